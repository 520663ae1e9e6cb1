"""One look for all plots: colours, markers, sizes, labels, footnotes."""

from __future__ import annotations

import textwrap
import unicodedata
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from codecbench.contracts.metric import Direction
from codecbench.runinfo import MetricInfo

# Nine colours whose closest pair stays 18 apart (CIE76) for protan, deutan and tritan vision, each with a
# contrast of at least 2.2 on white; a marker goes with each, so that print in grey tells them apart too.
PALETTE = ("#6E4B9E", "#661100", "#56B4E9", "#E69F00", "#AA3377", "#332288", "#EE6677", "#117733", "#997700")
# The same hues for a dark page: closest pair 25 apart in each of these visions, contrast at least 3.2 on #15181d.
PALETTE_DARK = ("#885DB9", "#C76F5D", "#A6C7E9", "#E8FD45", "#E4458C", "#605BEB", "#E53513", "#24F9B8", "#F4B864")
DARK_PAPER = "#15181d"
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
CEILING_COLOUR, FLOOR_COLOUR, FRONT_COLOUR = "#000000", "#777777", "#999999"
CEILING_BAR, FLOOR_BAR = "#707070", "#b5b5b5"  # whiskers stay visible on them
COLUMN_IN, FULL_IN = 3.4, 7.0
_LINE_IN = 0.115  # height of a line of small print
_LEGEND_IN = 0.128  # and of a row of the legend
_SMALL = 5.8
_MIN_TICKS = 3

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 7.0,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7.0,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.2,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.1,
    "lines.markersize": 4.0,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "svg.fonttype": "none",
    "svg.hashsalt": "codecbench",
    "text.usetex": False,
    "text.parse_math": False,  # a dollar sign in a codec's name is a dollar sign
}


@dataclass(frozen=True)
class Look:
    """Colour and marker of a codec family."""

    colour: str
    marker: str


def looks(families: Iterable[str]) -> dict[str, Look]:
    """Give each family a colour and marker of its own: the one its name hashes to, or the next one free.

    Beyond nine families colours repeat, each time with another marker.
    """
    taken: set[int] = set()
    chosen: dict[str, Look] = {}
    for count, family in enumerate(sorted(set(families))):
        start = zlib.crc32(family.encode()) % len(PALETTE)
        if count % len(PALETTE) == 0:
            taken = set()
        slot = next(s % len(PALETTE) for s in range(start, start + len(PALETTE)) if s % len(PALETTE) not in taken)
        taken.add(slot)
        chosen[family] = Look(PALETTE[slot], MARKERS[(slot + count // len(PALETTE)) % len(MARKERS)])
    return chosen


def style() -> Any:
    """Return the context in which figures are made and saved."""
    return rc_context(STYLE)


def figure(width_in: float, height_in: float, footnote: str, legend_rows: int = 0) -> Figure:
    """Return an empty figure of ``height_in`` with room below for a legend and ``footnote``."""
    lines = textwrap.wrap(plain(footnote, 600), max(20, int(width_in * 23.5)))
    note_in = len(lines) * _LINE_IN + 0.05
    total = height_in + note_in + legend_rows * _LEGEND_IN
    made = Figure(figsize=(width_in, total), layout="constrained")
    below = (note_in + legend_rows * _LEGEND_IN) / total
    engine: Any = made.get_layout_engine()
    engine.set(rect=(0.01, below, 0.98, 1 - below), w_pad=0.02, h_pad=0.03)
    text = made.text(0.01, 0.03 / total, "\n".join(lines), fontsize=_SMALL, color="#444444", va="bottom", ha="left")
    text.set_in_layout(False)
    return made


def legend(made: Figure, of: Axes, columns: int) -> None:
    """Put the legend of ``of`` above the footnote, in the room that ``figure`` kept for it."""
    handles, labels = of.get_legend_handles_labels()
    rows = -(-len(labels) // columns)
    note = made.texts[0].get_text().count("\n") + 1
    above = (note * _LINE_IN + 0.05 + rows * _LEGEND_IN) / made.get_figheight()
    box = made.legend(
        handles, labels, loc="upper center", bbox_to_anchor=(0.5, above), ncols=columns,
        handlelength=1.8, columnspacing=1.0, labelspacing=0.3, borderaxespad=0.0, borderpad=0.0,
    )  # fmt: skip
    box.set_in_layout(False)


def axis_label(metric: MetricInfo, component: str = "") -> str:
    """Title, unit, component and direction of a metric."""
    unit = f" ({metric.unit})" if metric.unit else ""
    of = f", {component}" if component else ""
    return plain(f"{metric.title}{of}{unit}") + (f", {better}" if (better := direction(metric)) else "")


def tall_label(metric: MetricInfo, component: str = "") -> str:
    """Return the axis label on two lines, for the short side of a figure."""
    label, better = axis_label(metric, component), direction(metric)
    return label.removesuffix(f", {better}") + f"\n{better}" if better else label


def direction(metric: MetricInfo) -> str:
    """Say which way is better, in words."""
    words = {Direction.HIGHER: "higher is better", Direction.LOWER: "lower is better"}
    return words.get(Direction(metric.direction), "")


def log_ticks(low: float, high: float) -> list[float]:
    """Return round figures from ``low`` to ``high`` for a logarithmic axis: no more than it takes to read it."""
    ticks: list[float] = []
    for steps in ((1,), (1, 2, 5), range(1, 10), range(10, 100, 5), range(10, 100)):
        ticks = sorted({m * 10.0**e for e in range(-5, 10) for m in steps if low <= m * 10.0**e <= high})
        if len(ticks) >= _MIN_TICKS:
            break
    return ticks


def tick_name(tick: float) -> str:
    """Write a tick short: thousands as k."""
    return f"{tick / 1000:g}k" if tick >= 1000 else f"{tick:g}"


def plain(text: str, limit: int = 120) -> str:
    """Make one line of visible characters, cut at ``limit``."""
    visible = "".join(" " if unicodedata.category(c)[0] == "C" else c for c in text)
    line = " ".join(visible.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def label_lines(label: str, width: int = 21) -> str:
    """Put a long codec name on two lines, broken at a sign between its parts; what is longer still is shortened."""
    text = plain(label)
    if len(text) <= width:
        return text
    after = {i + 1 for i, c in enumerate(text) if c in ":/@-_ "} - {len(text)}
    fitting = [i for i in after if i <= width and len(text) - i <= width]
    if text.find(":") + 1 in fitting:  # family and variant apart, where that fits
        fitting = [text.find(":") + 1]
    middle = len(text) / 2
    cut = min(fitting or after or {width}, key=lambda i: (abs(i - middle), i))
    return f"{_shorten(text[:cut], width)}\n{_shorten(text[cut:].strip(), width)}"


def rows_in(labels: Iterable[str]) -> float:
    """Return the height of a figure with a row for each label, in inches."""
    lines = [label_lines(label).count("\n") + 1 for label in labels]
    return 0.55 + len(lines) * (0.185 if max(lines, default=1) == 1 else 0.25)


def legend_name(label: str) -> str:
    """Shorten a codec name for a legend."""
    return _shorten(plain(label), 34)


def _shorten(text: str, width: int) -> str:
    if len(text) <= width:
        return text
    keep = width - 1
    return text[: keep - keep // 2] + "…" + text[len(text) - keep // 2 :]
