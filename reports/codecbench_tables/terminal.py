"""The summary as it is printed at the end of a run."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from codecbench.results import RunResults
from codecbench.runinfo import CodecInfo
from codecbench_tables.model import Cell, Column
from codecbench_tables.model import summary_table as _model
from codecbench_tables.text import clean


def summary_table(results: RunResults) -> Table:
    """Return codecs × headline metrics for ``rich``; ± is the longer arm of the interval."""
    model = _model(results)
    caption = model.caption.replace("Brackets:", "±: longer arm of the")
    table = Table(caption=Text(clean(caption, 2000)), caption_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    widest = max((len(clean(line.codec.label)) for line in model.lines), default=5)
    table.add_column("codec", overflow="fold", width=min(widest, 20))  # a least width would push others off the screen
    for column in model.columns:
        table.add_column(_head(column), justify="right", overflow="fold")
    table.add_column("scored\n/failed", justify="right", no_wrap=True)
    for line in model.lines:
        cells = [_cell(cell) for cell in line.cells]
        table.add_row(_label(line.codec), *cells, _counts(line.codec, line.scored, line.failed))
    return table


def notes(results: RunResults) -> tuple[Text, ...]:
    """Return the notes to print below the table, one paragraph each."""
    return tuple(Text(clean(note, 400), style="dim") for note in _model(results).notes)


def _head(column: Column) -> Text:
    head = Text(clean(column.title), style="bold")
    if column.subtitle:
        head.append("\n" + clean(column.subtitle), style="dim")
    return head


def _label(codec: CodecInfo) -> Text:
    return Text(clean(codec.label), style="dim" if codec.unavailable else "" if codec.role == "codec" else "italic")


def _counts(codec: CodecInfo, scored: int, failed: int) -> Text:
    if codec.unavailable:
        return Text("unavail.", style="yellow")
    return Text(str(scored)).append(f"/{failed}", style="red" if failed else "dim")


def _cell(cell: Cell) -> Text:
    text = Text(cell.estimate, style="bold green" if cell.best else "green" if cell.tied else "")
    text.append(cell.mark)
    if cell.half_width:
        text.append(f" {cell.half_width}", style="dim")
    return text
