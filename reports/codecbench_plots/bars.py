"""One bar for each codec with its interval."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from codecbench.contracts.codec import Role
from codecbench.results import RunResults
from codecbench.runinfo import MetricInfo
from codecbench.stats import MetricSummary
from codecbench.stats.curves import family_of
from codecbench_plots import theme
from codecbench_plots.common import Plot, drawable, file_name, footnote, quality_views


def bar_plots(results: RunResults, width_in: float) -> Iterator[Plot]:
    """Draw the bars of each headline metric that has figures."""
    for metric, component in quality_views(results):
        rows = drawable(results, metric, component)
        if rows:
            yield Plot(file_name("bars", metric.name, component), _bars(results, metric, component, rows, width_in))


def _bars(
    results: RunResults, metric: MetricInfo, component: str, rows: dict[str, MetricSummary], width_in: float
) -> Any:
    labels = list(reversed(rows))
    note = footnote(results, rows, "Whiskers")
    if any(row.group == 1 for row in rows.values()):
        note += " Bold names: best codec and those not separable from it (Holm-corrected)."
    figure = theme.figure(width_in, theme.rows_in(labels), note)
    axes = figure.subplots()
    looks = theme.looks(family_of(codec) for codec in results.info.codecs if codec.role == Role.CODEC)
    for place, label in enumerate(labels):
        _bar(axes, place, rows[label], codec_colour(results, label, looks), metric)
    axes.set_yticks(range(len(labels)), [theme.label_lines(label) for label in labels], linespacing=0.9)
    for tick, label in zip(axes.get_yticklabels(), labels, strict=True):
        tick.set_fontweight("bold" if rows[label].group == 1 else "normal")
    axes.set_ylim(-0.6, len(labels) - 0.4)
    if all((row.ci_low if row.ci_low is not None else row.estimate or 0.0) >= _base(metric) for row in rows.values()):
        axes.set_xlim(left=_base(metric))
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(theme.axis_label(metric, component))
    return figure


def _bar(axes: Any, place: int, row: MetricSummary, colour: str, metric: MetricInfo) -> None:
    assert row.estimate is not None
    base = _base(metric)
    face = "none" if row.reason else colour
    axes.barh(place, row.estimate - base, left=base, height=0.66, color=face, edgecolor=colour, linewidth=0.8)
    if row.ci_low is not None and row.ci_high is not None:
        arms = [[row.estimate - row.ci_low], [row.ci_high - row.estimate]]
        axes.errorbar(row.estimate, place, xerr=arms, fmt="none", ecolor="#111111", elinewidth=0.9, capsize=1.8)


def _base(metric: MetricInfo) -> float:
    """Where bars start: the least possible value, but not below zero."""
    return max(metric.bounds[0] or 0.0, 0.0)


def codec_colour(results: RunResults, label: str, looks: dict[str, theme.Look]) -> str:
    """Colour of a codec: its family's, or that of ceilings or floors."""
    codec = results.codec_infos.get(label)
    if codec is None or codec.role == Role.CODEC:
        return looks[family_of(codec)].colour if codec else theme.FLOOR_BAR
    return theme.CEILING_BAR if codec.role == Role.CEILING else theme.FLOOR_BAR
