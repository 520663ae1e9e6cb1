"""Quality against what it costs: bitrate, entropy-coded bitrate, tokens per second."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from codecbench.contracts.codec import Role
from codecbench.contracts.metric import Direction, MetricRole
from codecbench.results import RunResults
from codecbench.runinfo import MetricInfo
from codecbench.stats import MetricSummary
from codecbench.stats.curves import Curve, pareto_front, rate_curves
from codecbench_plots import theme
from codecbench_plots.common import Plot, drawable, file_name, footnote, quality_views

RATE_ROLES = (MetricRole.BITRATE, MetricRole.TOKEN_RATE, MetricRole.ENTROPY_BITRATE)
Points = dict[str, tuple[float, MetricSummary]]


def rate_plots(results: RunResults, width_in: float) -> Iterator[Plot]:
    """Draw each headline metric against each rate at which codecs of two rates or more were scored."""
    rates = [view for view in results.views() if view[0].role in RATE_ROLES]
    for metric, component in quality_views(results):
        rows = drawable(results, metric, component)
        for rate, part in rates:
            costs = {label: row.estimate for label, row in drawable(results, rate, part).items()}
            points = {k: (cost, rows[k]) for k, cost in costs.items() if k in rows and cost is not None and cost > 0}
            codecs = [k for k in points if _role(results, k) == Role.CODEC]
            if len({points[k][0] for k in codecs}) > 1:
                name = file_name("rate", metric.name, component, "by", rate.name, part)
                drawn = {k: points[k] for k in codecs}
                yield Plot(name, _draw(results, (metric, component), (rate, part), drawn, rows, width_in))


def _role(results: RunResults, label: str) -> str:
    codec = results.codec_infos.get(label)
    return codec.role if codec else Role.CODEC


def _draw(
    results: RunResults,
    quality: tuple[MetricInfo, str],
    rate: tuple[MetricInfo, str],
    points: Points,
    rows: dict[str, MetricSummary],
    width_in: float,
) -> Any:
    curves = [curve for curve in rate_curves(results) if any(label in points for label in curve.labels)]
    columns = 2 if width_in < 5 else 4
    anchors = sum(_role(results, label) != Role.CODEC for label in rows)
    note = footnote(results, {k: row for k, (_, row) in points.items()}, "Whiskers")
    height = 2.35 if width_in < 5 else 3.2
    figure = theme.figure(width_in, height, note, legend_rows=-(-(len(curves) + 1 + anchors) // columns))
    axes = figure.subplots()
    looks = theme.looks(curve.family for curve in rate_curves(results) if curve.role == Role.CODEC)
    seen: dict[str, int] = {}
    for curve in curves:
        _curve(axes, curve, points, looks[curve.family], seen.setdefault(curve.family, 0))
        seen[curve.family] += 1
    _front(axes, list(points.values()), quality[0])
    _anchors(axes, results, rows)
    axes.set_xscale("log")
    _plain_ticks(axes)
    axes.set_xlabel(theme.axis_label(*rate) + ", log scale")
    axes.set_ylabel(theme.tall_label(*quality))
    theme.legend(figure, axes, columns)
    return figure


def _curve(axes: Any, curve: Curve, points: Points, look: theme.Look, number: int) -> None:
    """Draw one family's settings; further curves of a family differ by line and filling."""
    own = sorted((points[label] for label in curve.labels if label in points), key=lambda point: point[0])
    x, y = [p[0] for p in own], [p[1].estimate for p in own]
    low = [0.0 if r.ci_low is None else (r.estimate or 0.0) - r.ci_low for _, r in own]
    high = [0.0 if r.ci_high is None else r.ci_high - (r.estimate or 0.0) for _, r in own]
    line = ("-", "--", ":", "-.")[number % 4]
    face = look.colour if number == 0 else "white"
    axes.errorbar(x, y, yerr=[low, high], fmt="none", ecolor=look.colour, elinewidth=0.8, capsize=1.5, zorder=2.5)
    axes.plot(x, y, line, color=look.colour, marker=look.marker, markerfacecolor=face, label=_name(curve, points))
    hollow = [(cost, row.estimate) for cost, row in own if row.reason]
    axes.plot(*zip(*hollow, strict=True), look.marker, color=look.colour, markerfacecolor="white") if hollow else None


def _name(curve: Curve, points: Points) -> str:
    drawn = [label for label in curve.labels if label in points]
    return theme.legend_name(drawn[0] if len(drawn) == 1 else curve.name)


def _front(axes: Any, points: list[tuple[float, MetricSummary]], metric: MetricInfo) -> None:
    pairs = [(cost, row.estimate) for cost, row in points if row.estimate is not None and not row.reason]
    front = pareto_front(pairs, metric.direction == Direction.HIGHER)
    x, y = [pairs[i][0] for i in front], [pairs[i][1] for i in front]
    style = {"color": theme.FRONT_COLOUR, "linewidth": 3.2, "alpha": 0.45, "zorder": 1.5}
    axes.plot(x, y, drawstyle="steps-post", label="Pareto front", **style)


def _anchors(axes: Any, results: RunResults, rows: dict[str, MetricSummary]) -> None:
    """Draw ceilings and floors as lines: they have no rate to stand at."""
    for label, row in rows.items():
        role = _role(results, label)
        if role == Role.CODEC:
            continue
        colour, line = (theme.CEILING_COLOUR, "--") if role == Role.CEILING else (theme.FLOOR_COLOUR, ":")
        axes.axhline(
            row.estimate, color=colour, linestyle=line, linewidth=0.8, label=theme.legend_name(label), zorder=1
        )


def _plain_ticks(axes: Any) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

    axes.xaxis.set_major_locator(FixedLocator(theme.log_ticks(*axes.get_xlim())))
    axes.xaxis.set_minor_locator(LogLocator(subs=range(2, 10)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: theme.tick_name(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
