"""How the values of single utterances are spread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from codecbench.contracts.codec import Role
from codecbench.results import RunResults
from codecbench.stats import ScoreTable
from codecbench.stats.curves import family_of
from codecbench_plots import theme
from codecbench_plots.bars import codec_colour
from codecbench_plots.common import Plot, file_name, quality_views

# Fewer values say more as single points than as a box.
MIN_FOR_BOX = 5


def distribution_plots(results: RunResults, width_in: float) -> Iterator[Plot]:
    """Draw the per-utterance values of each headline metric that has some."""
    for metric, component in quality_views(results):
        table = results.scores(metric.name, component)
        values = {label: table.values[c][np.isfinite(table.values[c])] for c, label in enumerate(table.codecs)}
        drawn = {label: values[label] for label in results.codecs if label in values and values[label].size > 1}
        if drawn:
            name = file_name("distribution", metric.name, component)
            yield Plot(name, _draw(results, table, drawn, width_in))


def _draw(results: RunResults, table: ScoreTable, drawn: dict[str, np.ndarray], width_in: float) -> Any:
    labels = list(reversed(drawn))
    counts = sorted({len(values) for values in drawn.values()})
    spread = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    note = (
        f"One value for each utterance ({spread} a codec). Box: quartiles, line: median, whiskers: 5th and 95th "
        f"percentile, points: beyond. Corpus: {results.info.corpus.name}; protocol {results.info.protocol_version}."
    )
    figure = theme.figure(width_in, theme.rows_in(labels), note)
    axes = figure.subplots()
    looks = theme.looks(family_of(codec) for codec in results.info.codecs if codec.role == Role.CODEC)
    for place, label in enumerate(labels):
        _box(axes, place, drawn[label], codec_colour(results, label, looks))
    axes.set_yticks(range(len(labels)), [theme.label_lines(label) for label in labels], linespacing=0.9)
    axes.set_ylim(-0.6, len(labels) - 0.4)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(theme.axis_label(table.metric, table.component))
    return figure


def _box(axes: Any, place: int, values: np.ndarray, colour: str) -> None:
    if len(values) < MIN_FOR_BOX:
        axes.plot(values, np.full(len(values), place), "o", color=colour, markersize=2.5, alpha=0.7)
        return
    low, first, median, third, high = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])
    axes.plot([low, high], [place, place], color=colour, linewidth=0.9, zorder=1.9)
    axes.barh(place, third - first, left=first, height=0.6, color=colour, alpha=0.55, edgecolor=colour, linewidth=0.8)
    axes.plot([median, median], [place - 0.3, place + 0.3], color="#111111", linewidth=1.3, solid_capstyle="butt")
    beyond = values[(values < low) | (values > high)]
    axes.plot(beyond, np.full(len(beyond), place), ".", color=colour, markersize=1.8, alpha=0.6, rasterized=True)
