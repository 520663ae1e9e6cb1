"""Report ``training-curves``: the scores of a run's checkpoints against the training step."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codecbench.errors import UsageError

if TYPE_CHECKING:
    from codecbench.results import RunResults

_STEP = re.compile(r"step-(\d+)$")


@dataclass(frozen=True)
class CurvePoint:
    """One metric of one checkpoint with its 95 % interval."""

    codec: str
    metric: str
    component: str
    step: int
    estimate: float
    ci_low: float | None
    ci_high: float | None


def render(runs: Sequence[RunResults], folder: Path, options: Mapping[str, Any]) -> Sequence[Path]:
    """Write ``curves.csv`` and one picture for each headline metric.

    Raises:
        UsageError: if no run folder is named ``step-N``, as the trainer names them.
    """
    points = curve_points(runs)
    if not points:
        raise UsageError("training-curves: give the step-N folders below OUT/scores of a training run")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "curves.csv").open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(list(CurvePoint.__dataclass_fields__))
        writer.writerows([list(vars(point).values()) for point in points])
    metrics = dict.fromkeys((p.metric, p.component) for p in points)
    return [folder / "curves.csv", *(_draw(points, runs[0], m, c, folder) for m, c in metrics)]


def curve_points(runs: Sequence[RunResults]) -> list[CurvePoint]:
    """Headline metrics of every run whose folder is named ``step-N``, in the order of steps."""
    points = []
    for run in runs:
        match = _STEP.search(run.folder.name) if run.folder else None
        if match is None:
            continue
        for row in run.summary.rows:
            info = run.codec_infos.get(row.codec)
            if run.metrics[row.metric].headline and row.estimate is not None and info and info.role == "codec":
                point = CurvePoint(
                    row.codec, row.metric, row.component, int(match[1]), row.estimate, row.ci_low, row.ci_high
                )
                points.append(point)
    return sorted(points, key=lambda p: (p.codec, p.metric, p.component, p.step))


def _draw(points: Sequence[CurvePoint], run: RunResults, metric: str, component: str, folder: Path) -> Path:
    from matplotlib.figure import Figure

    info = run.metrics[metric]
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    for codec in dict.fromkeys(p.codec for p in points):
        mine = [p for p in points if (p.codec, p.metric, p.component) == (codec, metric, component)]
        steps, values = [p.step for p in mine], [p.estimate for p in mine]
        (line,) = axes.plot(steps, values, marker="o", markersize=3, label=codec)
        bounded = [p for p in mine if p.ci_low is not None and p.ci_high is not None]
        axes.fill_between(
            [p.step for p in bounded], [p.ci_low or 0.0 for p in bounded], [p.ci_high or 0.0 for p in bounded],
            color=line.get_color(), alpha=0.15,
        )  # fmt: skip
    axes.set_xlabel("optimizer step")
    axes.set_ylabel(f"{info.title}{f' ({component})' if component else ''}, {info.unit} ({info.direction} is better)")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    path = folder / f"{metric}{f'-{component}' if component else ''}.png".replace("/", "-")
    figure.savefig(path, dpi=150)
    return path
