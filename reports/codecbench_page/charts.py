"""Charts as Plotly takes them, with the table behind each; colours are slots that the page fills by theme."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from codecbench.contracts.codec import Role
from codecbench.results import RunResults
from codecbench.runinfo import MetricInfo
from codecbench.stats import MetricSummary
from codecbench.stats.curves import rate_curves
from codecbench_page.text import chart_text, visible
from codecbench_plots import theme

Figure = float | int | str | None
SYMBOLS = {
    "o": "circle", "s": "square", "^": "triangle-up", "D": "diamond", "v": "triangle-down",
    "P": "cross", "X": "x", "<": "triangle-left", ">": "triangle-right",
}  # fmt: skip
INK, CEILING, FLOOR, FRONT = "@ink", "@ceiling", "@floor", "@front"
DASHES = ("solid", "dash", "dot", "dashdot")


@dataclass(frozen=True)
class DataTable:
    """The figures of a chart: heads, rows, and which columns are text."""

    heads: tuple[str, ...]
    rows: tuple[tuple[Figure, ...], ...]


@dataclass(frozen=True)
class Chart:
    """One figure. traces, layout: as in Plotly; keys that end in ``color`` may hold a slot (``@3``, ``@ink``).

    alt: what the figure shows, for readers who do not see it.
    """

    title: str
    alt: str
    traces: tuple[dict[str, Any], ...]
    layout: dict[str, Any]
    data: DataTable
    note: str = ""
    height: int = 420

    def plain(self) -> dict[str, Any]:
        """Return the chart for JSON."""
        rows = [[visible(v) if isinstance(v, str) else v for v in row] for row in self.data.rows]
        return {
            "title": visible(self.title),
            "alt": visible(self.alt),
            "traces": self.traces,
            "layout": self.layout,
            "heads": [visible(head) for head in self.data.heads],
            "rows": rows,
            "note": visible(self.note),
            "height": self.height,
        }


@dataclass(frozen=True)
class Looks:
    """Colour slot and marker of every codec family of a run."""

    slots: dict[str, int] = field(default_factory=dict)
    markers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, results: RunResults) -> Looks:
        """Take the looks that the plots of this run have."""
        looks = theme.looks(curve.family for curve in rate_curves(results) if curve.role == Role.CODEC)
        slots = {family: theme.PALETTE.index(look.colour) for family, look in looks.items()}
        return cls(slots, {family: SYMBOLS[look.marker] for family, look in looks.items()})

    def colour(self, family: str, role: str = Role.CODEC) -> str:
        """Return the colour slot of a family, ceiling or floor."""
        if role != Role.CODEC:
            return CEILING if role == Role.CEILING else FLOOR
        return f"@{self.slots[family]}" if family in self.slots else FLOOR

    def marker(self, family: str) -> str:
        """Return the marker symbol of a family."""
        return self.markers.get(family, "circle")


def axis(metric: MetricInfo, component: str = "", log_of: Iterable[float] = ()) -> dict[str, Any]:
    """Return the Plotly axis of a metric, with its unit and which way is better; logarithmic with ``log_of`` values."""
    values = list(log_of)
    label = theme.axis_label(metric, component) + (", log scale" if values else "")
    made: dict[str, Any] = {"title": {"text": chart_text(label, 90)}, "zeroline": False, "automargin": True}
    if not values:
        return made
    ticks = theme.log_ticks(min(values) / 1.2, max(values) * 1.2)
    return made | {"type": "log", "tickvals": ticks, "ticktext": [theme.tick_name(tick) for tick in ticks]}


def error_bars(rows: Sequence[MetricSummary]) -> dict[str, Any]:
    """Return the arms of the intervals; zero where there is none."""
    up = [0.0 if r.ci_high is None or r.estimate is None else r.ci_high - r.estimate for r in rows]
    down = [0.0 if r.ci_low is None or r.estimate is None else r.estimate - r.ci_low for r in rows]
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": 1.2, "width": 3}
