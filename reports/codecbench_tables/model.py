"""The summary table before it has a format: columns, rows, marks, caption."""

from __future__ import annotations

from dataclasses import dataclass, replace

from codecbench.contracts.codec import Role
from codecbench.contracts.metric import Direction, MetricRole, Status
from codecbench.results import RunResults
from codecbench.runinfo import CodecInfo, MetricInfo
from codecbench.stats import MetricSummary

ARROWS = {Direction.HIGHER: "↑", Direction.LOWER: "↓"}
TIE, LEFT_OUT, DASH = "†", "‡", "\N{EN DASH}"


@dataclass(frozen=True)
class Column:
    """One metric, and the component that its values are of (a recogniser, a batch size)."""

    metric: MetricInfo
    component: str = ""

    @property
    def arrow(self) -> str:
        """Direction of better, empty for neutral metrics."""
        return ARROWS.get(Direction(self.metric.direction), "")

    @property
    def title(self) -> str:
        """Title with arrow."""
        return f"{self.metric.title} {self.arrow}".rstrip()

    @property
    def subtitle(self) -> str:
        """Unit and component."""
        return ", ".join(part for part in (self.metric.unit, self.component) if part)


@dataclass(frozen=True)
class Cell:
    """One estimate; ``best`` leads its column, ``tied`` cannot be told apart from it, ``left_out`` is not ranked."""

    row: MetricSummary | None
    decimals: int
    best: bool = False
    tied: bool = False
    left_out: bool = False

    @property
    def estimate(self) -> str:
        """The figure, or a dash."""
        if self.row is None or self.row.estimate is None:
            return DASH
        return f"{self.row.estimate:.{self.decimals}f}"

    @property
    def ends(self) -> tuple[float, float] | None:
        """Ends of the interval, None where there is none or both would be printed as the estimate."""
        row = self.row
        if row is None or row.estimate is None or row.ci_low is None or row.ci_high is None:
            return None
        shown = {f"{figure:.{self.decimals}f}" for figure in (row.ci_low, row.estimate, row.ci_high)}
        return (row.ci_low, row.ci_high) if len(shown) > 1 else None

    @property
    def interval(self) -> str:
        """The interval in brackets, or nothing."""
        return "[{:.{d}f}, {:.{d}f}]".format(*self.ends, d=self.decimals) if self.ends else ""

    @property
    def half_width(self) -> str:
        """The longer arm of the interval, or nothing."""
        if self.ends is None or self.row is None or self.row.estimate is None:
            return ""
        return f"±{max(self.row.estimate - self.ends[0], self.ends[1] - self.row.estimate):.{self.decimals}f}"

    @property
    def mark(self) -> str:
        """Sign behind the figure: tied with the best, or left out of the ranking."""
        return TIE if self.tied else LEFT_OUT if self.left_out else ""


@dataclass(frozen=True)
class Line:
    """One codec; fewest scored and most failed utterances over the columns of quality that apply to it.

    Over the other columns where none of quality does.
    """

    codec: CodecInfo
    cells: tuple[Cell, ...]
    scored: int
    failed: int


@dataclass(frozen=True)
class SummaryTable:
    """Codecs × metrics with all that a reader must know beside the figures."""

    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    caption: str
    notes: tuple[str, ...]


def summary_table(results: RunResults, every: bool = False) -> SummaryTable:
    """Choose columns and rows: headline metrics (those of quality where none is), ceilings first, floors last.

    every: append a column for each other metric and component that has values; counts and notes stay those of
    the chosen ones.
    """
    views = list(results.views())
    chosen = [v for v in views if v[0].headline] or [v for v in views if v[0].role == MetricRole.QUALITY]
    asked = tuple(Column(metric, component) for metric, component in chosen)
    columns = tuple(column for column in asked if _has_values(results, column))
    order = {Role.CEILING: 0, Role.CODEC: 1, Role.FLOOR: 2}
    codecs = sorted(results.info.codecs, key=lambda codec: order.get(Role(codec.role), 1))
    lines = tuple(_line(results, codec, columns) for codec in codecs)
    table = SummaryTable(columns, lines, caption(results, columns, lines), notes(results, asked, lines))
    return _with_all_columns(results, table) if every else table


def _with_all_columns(results: RunResults, table: SummaryTable) -> SummaryTable:
    views = (Column(metric, component) for metric, component in results.views())
    more = tuple(column for column in views if column not in table.columns and _has_values(results, column))
    lines = tuple(replace(line, cells=line.cells + _cells(results, line.codec, more)) for line in table.lines)
    return replace(table, columns=table.columns + more, lines=lines)


def _has_values(results: RunResults, column: Column) -> bool:
    rows = results.summary.of(column.metric.name, column.component)
    return any(row.estimate is not None for row in rows)


def _line(results: RunResults, codec: CodecInfo, columns: tuple[Column, ...]) -> Line:
    cells = _cells(results, codec, columns)
    rows = [
        (row, _is_ranked(column.metric))
        for row, column in zip((cell.row for cell in cells), columns, strict=True)
        if row is not None and row.unit != "corpus" and not _inapplicable(row)
    ]
    counted = [row for row, is_ranked in rows if is_ranked] or [row for row, _ in rows]
    scored = min((row.n_scored for row in counted), default=0)
    return Line(codec, cells, scored, max((row.num_failed for row in counted), default=0))


def _cells(results: RunResults, codec: CodecInfo, columns: tuple[Column, ...]) -> tuple[Cell, ...]:
    rows = (results.summary.get(codec.label, column.metric.name, column.component) for column in columns)
    return tuple(_cell(row, column) for row, column in zip(rows, columns, strict=True))


def _inapplicable(row: MetricSummary) -> bool:
    return row.n_scored == 0 and Status.NOT_APPLICABLE in dict(row.n_failed)


def _is_ranked(metric: MetricInfo) -> bool:
    return metric.role == MetricRole.QUALITY and metric.direction != Direction.NEUTRAL


def _cell(row: MetricSummary | None, column: Column) -> Cell:
    group = row.group if row is not None else None
    best = row is not None and row.rank == 1
    left_out = row is not None and row.estimate is not None and bool(row.reason) and _is_ranked(column.metric)
    return Cell(row, column.metric.decimals, best, group == 1 and not best, left_out)


def caption(results: RunResults, columns: tuple[Column, ...], lines: tuple[Line, ...]) -> str:
    """Name corpus, recognisers, protocol and what intervals and marks mean."""
    info, settings = results.info, results.summary.settings
    corpus = info.corpus
    parts = [
        f"{corpus.name}: {corpus.num_utterances} utterances, {corpus.duration_s / 60:.1f} min"
        + (f", {corpus.num_speakers} speaker{'s' * (corpus.num_speakers > 1)}" if corpus.num_speakers else "")
        + "."
    ]
    recognizers = [name for name in info.recognizers if any(name == column.component for column in columns)]
    if recognizers:
        parts.append(f"Recogniser: {', '.join(recognizers)}.")
    if any(cell.interval for line in lines for cell in line.cells):
        parts.append(
            f"Brackets: {100 * settings.confidence:g} % intervals, {settings.resamples} paired bootstrap resamples "
            f"(seed {settings.seed})."
        )
    if any(row.group for row in results.summary.rows):
        parts.append(f"Bold: best codec; {TIE}: not separable from it (Holm-corrected); ceilings and floors unranked.")
    if any(cell.left_out for line in lines for cell in line.cells):
        parts.append(f"{LEFT_OUT}: left out of the ranking.")
    parts.append(f"Protocol {info.protocol_version}, codecbench {info.codecbench_version}.")
    return " ".join(parts)


def notes(results: RunResults, columns: tuple[Column, ...], lines: tuple[Line, ...]) -> tuple[str, ...]:
    """List what the figures do not say: reach of intervals, metrics without values, codecs' notes, codecs left out."""
    found = list(results.summary.notes)
    for column in columns:
        if not _has_values(results, column):
            found.append(f"{column.metric.title}: no value for any codec ({_why(results, column)})")
    for line in lines:
        label = line.codec.label
        if line.codec.unavailable:
            remedy = f" ({line.codec.remedy})" if line.codec.remedy else ""
            found.append(f"{label} is unavailable: {line.codec.unavailable}{remedy}")
        else:
            found += [f"{label}: {note}" for note in line.codec.notes]
        reasons = {cell.row.reason for cell in line.cells if cell.row is not None and cell.left_out}
        found += [f"{label} {LEFT_OUT}: {reason}" for reason in sorted(reasons)]
    return tuple(found)


def _why(results: RunResults, column: Column) -> str:
    rows = results.summary.of(column.metric.name, column.component)
    return ", ".join(sorted({status for row in rows for status, _ in row.n_failed})) or "no record"
