"""The value of every utterance behind every figure, packed small: 32-bit floats in base64, statuses by exception."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from codecbench.contracts.metric import Status
from codecbench.results import RunResults
from codecbench.stats import MetricSummary, ScoreTable
from codecbench_page.text import visible


def trace_data(results: RunResults) -> dict[str, Any]:
    """Return codecs, utterances, and for each metric and component its summary rows and values [codec, utterance]."""
    tables = [results.scores(metric.name, component) for metric, component in results.views()]
    ids = list(dict.fromkeys(str(name) for table in tables for name in table.utterances))
    place = {name: index for index, name in enumerate(ids)}
    return {
        "codecs": [visible(label) for label in results.codecs],
        "utterances": [visible(name) for name in ids],
        "views": [_view(results, table, place) for table in tables],
    }


def _view(results: RunResults, table: ScoreTable, place: dict[str, int]) -> dict[str, Any]:
    metric = table.metric
    rows = [results.summary.get(label, metric.name, table.component) for label in results.codecs]
    return {
        "metric": visible(metric.name),
        "title": visible(metric.title),
        "component": visible(table.component),
        "unit": visible(metric.unit),
        "version": visible(metric.version),
        "direction": metric.direction,
        "decimals": metric.decimals,
        "rows": [_row(row) for row in rows],
        "values": None if table.is_corpus else _values(results, table, place),
        "statuses": {} if table.is_corpus else _statuses(results, table, place),
    }


def _row(row: MetricSummary | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {
        "estimate": row.estimate, "low": row.ci_low, "high": row.ci_high, "used": row.n_utterances,
        "scored": row.n_scored, "failed": [list(pair) for pair in row.n_failed], "units": row.n_units,
        "unit": row.unit, "method": row.method, "rank": row.rank, "group": row.group, "reason": visible(row.reason),
    }  # fmt: skip


def _values(results: RunResults, table: ScoreTable, place: dict[str, int]) -> str:
    packed = np.full((len(results.codecs), len(place)), np.nan, "<f4")
    rows = [results.codecs.index(label) for label in table.codecs]
    columns = [place[str(name)] for name in table.utterances]
    packed[np.ix_(rows, columns)] = table.values
    return base64.b64encode(packed.tobytes()).decode()


def _statuses(results: RunResults, table: ScoreTable, place: dict[str, int]) -> dict[str, dict[str, list[int]]]:
    """Return {codec index: {status: utterance indices}} of what is not ``ok``."""
    columns = np.array([place[str(name)] for name in table.utterances])
    found: dict[str, dict[str, list[int]]] = {}
    for c, label in enumerate(table.codecs):
        for status in sorted({str(s) for s in table.status[c]} - {str(Status.OK)}):
            where = columns[table.status[c] == status].tolist()
            found.setdefault(str(results.codecs.index(label)), {})[status] = where
    return found
