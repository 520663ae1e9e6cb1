"""What codecs cost in time and memory, by batch and threads."""

from __future__ import annotations

from dataclasses import dataclass

from codecbench.contracts.metric import MetricRole, Stage
from codecbench.results import RunResults
from codecbench.runinfo import MetricInfo
from codecbench.stats import MetricSummary
from codecbench.stats.curves import family_of
from codecbench_page.charts import Chart, DataTable, Looks, axis
from codecbench_page.text import chart_text


@dataclass(frozen=True)
class SpeedRow:
    """One codec under one condition; ``cells`` hold the figure and, without one, why."""

    codec: str
    condition: str
    cells: tuple[MetricSummary | None, ...]


@dataclass(frozen=True)
class Speed:
    """The table of costs and a chart for each of them."""

    metrics: tuple[MetricInfo, ...]
    rows: tuple[SpeedRow, ...]
    charts: tuple[Chart, ...]


def is_cost(metric: MetricInfo) -> bool:
    """Whether a metric belongs to this part of the page."""
    return metric.role == MetricRole.COST or metric.stage == Stage.TIMING


def speed(results: RunResults) -> Speed:
    """Gather all timings, memory and sizes of a run."""
    views = [view for view in results.views() if is_cost(view[0])]
    metrics = tuple(dict.fromkeys(metric.name for metric, _ in views))
    conditions = sorted({component for _, component in views})
    rows = [
        SpeedRow(codec, condition, tuple(results.summary.get(codec, name, condition) for name in metrics))
        for codec in results.codecs
        for condition in conditions
    ]
    kept = tuple(row for row in rows if any(cell is not None and cell.estimate is not None for cell in row.cells))
    looks = Looks.of(results)
    charts = tuple(chart for view in views if (chart := _chart(results, view, looks)))
    return Speed(tuple(results.metrics[name] for name in metrics), kept, charts)


def _chart(results: RunResults, view: tuple[MetricInfo, str], looks: Looks) -> Chart | None:
    metric, component = view
    rows = [row for row in results.summary.of(metric.name, component) if row.estimate is not None]
    if len(rows) < 2:
        return None
    infos = results.codec_infos
    rows.sort(key=lambda row: row.estimate or 0.0)
    colours = [looks.colour(family_of(infos[r.codec]), infos[r.codec].role) for r in rows if r.codec in infos]
    trace = {
        "type": "bar", "orientation": "h", "x": [row.estimate for row in rows], "meta": [row.codec for row in rows],
        "y": [chart_text(row.codec, 30) for row in rows], "marker": {"color": colours},
        "hovertemplate": "<b>%{y}</b> %{x:.4~g}<extra></extra>",
    }  # fmt: skip
    values = [row.estimate for row in rows if row.estimate]
    log = len(values) == len(rows) and min(values) > 0 and max(values) > 30 * min(values)
    layout = {
        "xaxis": axis(metric, component, log_of=values if log else ()),
        "yaxis": {"automargin": True, "type": "category"},
    }
    title = f"{metric.title} ({component})" if component else metric.title
    best, worst = rows[0], rows[-1]
    return Chart(
        title,
        f"Bars of {len(rows)} codecs, from {best.codec} ({best.estimate:.4g}) to {worst.codec} ({worst.estimate:.4g}).",
        (trace,),
        layout,
        DataTable(("codec", title), tuple((row.codec, row.estimate) for row in reversed(rows))),
        height=110 + 26 * len(rows),
    )
