"""What the plots share: which metrics are drawn, footnotes, figures with their names."""

from __future__ import annotations

import re
from dataclasses import dataclass

from matplotlib.figure import Figure

from codecbench.contracts.metric import Direction, MetricRole
from codecbench.results import RunResults
from codecbench.runinfo import MetricInfo
from codecbench.stats import MetricSummary


@dataclass(frozen=True, eq=False)
class Plot:
    """A figure and the name of its files."""

    name: str
    figure: Figure


def quality_views(results: RunResults) -> tuple[tuple[MetricInfo, str], ...]:
    """Return the (metric, component) pairs to draw: headline metrics of quality, all of them where none is."""
    views = [v for v in results.views() if v[0].role == MetricRole.QUALITY and v[0].direction != Direction.NEUTRAL]
    return tuple([v for v in views if v[0].headline] or views)


def drawable(results: RunResults, metric: MetricInfo, component: str) -> dict[str, MetricSummary]:
    """Return the rows that have an estimate, by codec, in the order of the command."""
    return {row.codec: row for row in results.summary.of(metric.name, component) if row.estimate is not None}


def file_name(*parts: str) -> str:
    """Join parts into a file name of letters, digits and dashes."""
    return "-".join(filter(None, (re.sub(r"[^A-Za-z0-9_.]+", "-", part).strip("-.") for part in parts)))[:100]


def footnote(results: RunResults, rows: dict[str, MetricSummary], drawn: str) -> str:
    """Say what intervals mean and over how many units, and what was measured on what."""
    info, settings = results.info, results.summary.settings
    units = {(row.n_units, row.unit) for row in rows.values() if row.ci_low is not None}
    reach = ", ".join(f"{n} {unit}s" for n, unit in sorted(units, reverse=True)[:1])
    interval = f"{drawn}: {100 * settings.confidence:g} % intervals, paired bootstrap over {reach}. " if reach else ""
    left_out = [row.codec for row in rows.values() if row.reason]
    remark = f"Hollow: left out of the ranking ({', '.join(left_out)}). " if left_out else ""
    corpus = f"Corpus: {info.corpus.name}, {info.corpus.num_utterances} utterances"
    return f"{interval}{remark}{corpus}; protocol {info.protocol_version}."
