"""Quality against what it costs, with Pareto fronts and Bjøntegaard deltas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from codecbench.contracts.codec import Role
from codecbench.contracts.metric import Direction, MetricRole
from codecbench.results import RunResults
from codecbench.runinfo import MetricInfo
from codecbench.stats import MetricSummary
from codecbench.stats.bdrate import BdRow, bd_rows
from codecbench.stats.curves import Curve, pareto_front, rate_curves
from codecbench_page.charts import DASHES, FRONT, Chart, DataTable, Looks, axis, error_bars
from codecbench_page.text import chart_text
from codecbench_plots.common import drawable, footnote, quality_views

# Bitrate first: the axis that every codec has.
RATE_ORDER = (MetricRole.BITRATE, MetricRole.TOKEN_RATE, MetricRole.ENTROPY_BITRATE)
View = tuple[MetricInfo, str]
Points = dict[str, tuple[float, MetricSummary]]


@dataclass(frozen=True)
class RatePair:
    """One metric of quality against one rate; ``words`` where the quality is that of a speech recogniser."""

    quality: str
    rate: str
    chart: Chart
    deltas: tuple[BdRow, ...]
    unit: str
    by_tokens: bool
    words: bool


def rate_pairs(results: RunResults) -> tuple[RatePair, ...]:
    """Return every headline metric against every rate at which at least two codecs of different rate were scored."""
    rates = [view for role in RATE_ORDER for view in results.views() if view[0].role == role]
    looks = Looks.of(results)
    pairs = []
    for quality in sorted(quality_views(results), key=lambda view: view[1] in results.info.recognizers):
        for rate in rates:
            points = _points(results, quality, rate)
            if len({cost for cost, _ in points.values()}) > 1:
                pairs.append(_pair(results, quality, rate, points, looks))
    return tuple(pairs)


def _pair(results: RunResults, quality: View, rate: View, points: Points, looks: Looks) -> RatePair:
    metric, component = quality
    deltas = bd_rows(results, metric.name, component, rate[0].name, rate[1])
    return RatePair(
        _name(quality),
        _name(rate),
        _chart(results, quality, rate, points, looks),
        deltas,
        metric.unit,
        rate[0].role == MetricRole.TOKEN_RATE,
        component in results.info.recognizers,
    )


def _name(view: View) -> str:
    metric, component = view
    return f"{metric.title} ({component})" if component else metric.title


def _points(results: RunResults, quality: View, rate: View) -> Points:
    rows = drawable(results, *quality)
    costs = {label: row.estimate for label, row in drawable(results, *rate).items()}
    roles = {codec.label: codec.role for codec in results.info.codecs}
    return {
        label: (cost, rows[label])
        for label, cost in costs.items()
        if label in rows and cost is not None and cost > 0 and roles.get(label) == Role.CODEC
    }


def _chart(results: RunResults, quality: View, rate: View, points: Points, looks: Looks) -> Chart:
    curves = [c for c in rate_curves(results) if c.role == Role.CODEC and any(label in points for label in c.labels)]
    higher = quality[0].direction == Direction.HIGHER
    seen: dict[str, int] = {}
    traces = [_front_trace(points, higher)]
    for curve in curves:
        traces.append(_curve_trace(curve, points, looks, seen.setdefault(curve.family, 0)))
        seen[curve.family] += 1
    shapes, notes = _anchors(results, quality)
    costs = [cost for cost, _ in points.values()]
    layout = {"xaxis": axis(*rate, log_of=costs), "yaxis": axis(*quality), "shapes": shapes, "annotations": notes}
    front = _front(points, higher)
    note = footnote(results, {k: row for k, (_, row) in points.items()}, "Whiskers")
    return Chart(
        f"{_name(quality)} by {_name(rate)}",
        f"{len(points)} codec settings. On the Pareto front, from least to greatest rate: {', '.join(front)}.",
        tuple(traces),
        layout,
        _data(quality, rate, points, front),
        note,
        460,
    )


def _front(points: Points, higher: bool) -> list[str]:
    able = [(label, cost, row.estimate) for label, (cost, row) in points.items() if not row.reason]
    pairs = [(cost, value) for _, cost, value in able if value is not None]
    return [able[i][0] for i in pareto_front(pairs, higher)]


def _front_trace(points: Points, higher: bool) -> dict[str, Any]:
    front = [points[label] for label in _front(points, higher)]
    return {
        "type": "scatter", "mode": "lines", "name": "Pareto front", "hoverinfo": "skip",
        "x": [cost for cost, _ in front], "y": [row.estimate for _, row in front],
        "line": {"color": FRONT, "width": 7, "shape": "hv"}, "opacity": 0.5,
    }  # fmt: skip


def _curve_trace(curve: Curve, points: Points, looks: Looks, number: int) -> dict[str, Any]:
    own = sorted(((*points[label], label) for label in curve.labels if label in points), key=lambda point: point[0])
    colour = looks.colour(curve.family)
    symbol = looks.marker(curve.family) + ("-open" if number else "")
    rows = [row for _, row, _ in own]
    return {
        "type": "scatter", "mode": "lines+markers", "meta": [label for _, _, label in own],
        "name": chart_text(own[0][2] if len(own) == 1 else curve.name, 34),
        "x": [cost for cost, _, _ in own], "y": [row.estimate for row in rows],
        "error_y": error_bars(rows) | {"color": colour},
        "text": [chart_text(label) for _, _, label in own],
        "hovertemplate": "<b>%{text}</b><br>%{x:.5~g} → %{y:.4~g}<extra></extra>",
        "line": {"color": colour, "dash": DASHES[number % len(DASHES)]},
        "marker": {"color": colour, "size": 9, "symbol": symbol},
    }  # fmt: skip


def _anchors(results: RunResults, quality: View) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Ceilings and floors as lines: they have no rate to stand at."""
    shapes, notes = [], []
    for label, row in drawable(results, *quality).items():
        codec = results.codec_infos.get(label)
        if codec is None or codec.role == Role.CODEC:
            continue
        colour, dash = ("@ceiling", "dash") if codec.role == Role.CEILING else ("@floor", "dot")
        place = {"xref": "paper", "yref": "y", "y0": row.estimate, "y1": row.estimate, "x0": 0, "x1": 1}
        shapes.append({"type": "line", **place, "line": {"color": colour, "width": 1, "dash": dash}})
        ceiling = codec.role == Role.CEILING  # at one end each, so that equal values do not hide each other's name
        notes.append({
            "xref": "paper", "x": int(not ceiling), "xanchor": "left" if ceiling else "right", "y": row.estimate,
            "yanchor": "bottom" if ceiling else "top", "showarrow": False,
            "text": chart_text(label, 24), "font": {"color": colour, "size": 11},
        })  # fmt: skip
    return shapes, notes


def _data(quality: View, rate: View, points: Points, front: list[str]) -> DataTable:
    heads = ("codec", _name(rate), _name(quality), "low", "high", "utterances", "Pareto front")
    rows = [
        (label, cost, row.estimate, row.ci_low, row.ci_high, row.n_utterances, "yes" if label in front else "")
        for label, (cost, row) in sorted(points.items(), key=lambda item: item[1][0])
    ]
    return DataTable(heads, tuple(rows))
