"""The summary: codecs × metrics, every metric a column, the headline ones shown at first."""

from __future__ import annotations

from dataclasses import dataclass

from codecbench.contracts.metric import Direction, MetricRole
from codecbench.results import RunResults
from codecbench_page.speed import is_cost
from codecbench_tables.model import Cell, Column, SummaryTable, summary_table

_BY_CODEBOOK = (MetricRole.CODEBOOK_USE, MetricRole.CODEBOOK_ENTROPY)
_BETTER = {Direction.HIGHER: "higher is better", Direction.LOWER: "lower is better"}


@dataclass(frozen=True)
class Head:
    """A column as the page shows it; ``index`` is its place in the model, which the values are traced by."""

    column: Column
    index: int
    shown: bool

    @property
    def better(self) -> str:
        """Which way is better, in words."""
        return _BETTER.get(Direction(self.column.metric.direction), "no better or worse")

    @property
    def name(self) -> str:
        """Title and component, for lists and labels."""
        component = self.column.component
        return self.column.metric.title + (f" ({component})" if component else "")


@dataclass(frozen=True)
class SummaryPart:
    """The table and which of its columns the page has."""

    table: SummaryTable
    heads: tuple[Head, ...]
    reach: tuple[str, ...]

    def cells(self, place: int) -> tuple[Cell, ...]:
        """Return the cells of line ``place`` in the order of ``heads``."""
        return tuple(self.table.lines[place].cells[head.index] for head in self.heads)


def summary_part(results: RunResults) -> SummaryPart:
    """Make the summary; metrics by codebook and timings have parts of their own."""
    table = summary_table(results, every=True)
    chosen = len(summary_table(results).columns)
    heads = tuple(
        Head(column, index, index < chosen)
        for index, column in enumerate(table.columns)
        if index < chosen or not (is_cost(column.metric) or (column.metric.role in _BY_CODEBOOK and column.component))
    )
    return SummaryPart(table, heads, _reach(results))


def _reach(results: RunResults) -> tuple[str, ...]:
    """Say what the intervals cover and how many units there are."""
    confidence = f"{100 * results.summary.settings.confidence:g} %"
    found: dict[str, set[int]] = {}
    for row in results.summary.rows:
        if row.ci_low is not None:
            found.setdefault(row.unit, set()).add(row.n_units)
    lines = []
    for unit, counts in found.items():
        span = f"{min(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)} (by metric)"
        lines.append(f"{confidence} intervals over {span} {unit}s.")
    return tuple(lines)
