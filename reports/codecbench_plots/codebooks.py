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
    columns = 2 if narrow else 4
    height = (1.6 if narrow else 2.3) * rows[0]
    note = (
        "Codebooks in decoding order; of each codec the setting with most codebooks. Use and entropy grow with the "
        f"number of frames seen. Corpus: {results.info.corpus.name}; protocol {results.info.protocol_version}."
    )
    figure = theme.figure(width_in, height, note, legend_rows=-(-len(curves) // columns))
    looks = theme.looks(curve.family for curve in rate_curves(results) if curve.role == Role.CODEC)
    grid = figure.subplots(*rows, squeeze=False, sharex=True)
    for axes, (metric, series) in zip(grid.flat, panels, strict=True):
        _panel(axes, metric, [(curve, looks[curve.family]) for curve in curves], series)
    for axes in grid[-1]:
        axes.set_xlabel("Codebook")
    theme.legend(figure, grid.flat[0], columns)
    return figure


def _panel(axes: Any, metric: MetricInfo, curves: list[Any], series: Series) -> None:
    from matplotlib.ticker import MaxNLocator

    for curve, look in curves:
        values = series.get(curve.name, [])
        name = theme.legend_name(curve.labels[0] if len(curve.labels) == 1 else curve.name)
        axes.plot(range(1, len(values) + 1), values, color=look.colour, marker=look.marker, markersize=3, label=name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_ylabel(theme.tall_label(metric))
