"""How much of each codebook is used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from codecbench.contracts.codec import Role
from codecbench.contracts.metric import MetricRole
from codecbench.results import RunResults
from codecbench.runinfo import MetricInfo
from codecbench.stats.curves import rate_curves
from codecbench_plots import theme
from codecbench_plots.common import Plot

Series = dict[str, list[float]]


def codebook_plots(results: RunResults, width_in: float) -> Iterator[Plot]:
    """Draw use and entropy of each codebook, one line a codec (its setting with most codebooks)."""
    metrics = [m for m in results.info.metrics if m.role in (MetricRole.CODEBOOK_USE, MetricRole.CODEBOOK_ENTROPY)]
    panels = [(metric, series) for metric in metrics if (series := _series(results, metric))]
    if panels:
        yield Plot("codebooks", _draw(results, panels, width_in))


def _series(results: RunResults, metric: MetricInfo) -> Series:
    """Return the values by codebook of each curve's setting with the most codebooks."""
    found: Series = {}
    for curve in rate_curves(results):
        best: list[float] = []
        for label in curve.labels if curve.role == Role.CODEC else ():
            rows = [row for row in results.summary.rows if row.codec == label and row.metric == metric.name]
            rows = [row for row in rows if row.estimate is not None and row.component]
            rows.sort(key=lambda row: [int(n) for n in re.findall(r"\d+", row.component)])
            values = [row.estimate for row in rows if row.estimate is not None]
            best = values if len(values) > len(best) else best
        if best:
            found[curve.name] = best
    return found


def _draw(results: RunResults, panels: list[tuple[MetricInfo, Series]], width_in: float) -> Any:
    narrow = width_in < 5
    names = {name for _, series in panels for name in series}
    curves = [curve for curve in rate_curves(results) if curve.name in names]
    rows = (len(panels), 1) if narrow else (1, len(panels))
    height = (1.7 if narrow else 2.3) * rows[0] + 0.13 * -(-len(curves) // (2 if narrow else 4))
    note = (
        "Codebooks in decoding order; of each codec the setting with most codebooks. Use and entropy grow with the "
        f"number of frames seen. {results.info.corpus.name}; protocol {results.info.protocol_version}."
    )
    figure = theme.figure(width_in, height, note)
    looks = theme.looks(curve.family for curve in rate_curves(results) if curve.role == Role.CODEC)
    grid = figure.subplots(*rows, squeeze=False, sharex=True)
    for axes, (metric, series) in zip(grid.flat, panels, strict=True):
        _panel(axes, metric, [(curve, looks[curve.family]) for curve in curves], series)
    for axes in grid[-1]:
        axes.set_xlabel("Codebook")
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2 if narrow else 4, labelspacing=0.35)
    return figure


def _panel(axes: Any, metric: MetricInfo, curves: list[Any], series: Series) -> None:
    from matplotlib.ticker import MaxNLocator

    for curve, look in curves:
        values = series.get(curve.name, [])
        name = theme.label_lines(curve.name, 34).replace("\n", "")
        axes.plot(range(1, len(values) + 1), values, color=look.colour, marker=look.marker, markersize=3, label=name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_ylabel(theme.axis_label(metric))
