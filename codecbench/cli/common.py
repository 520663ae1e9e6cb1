"""What several commands share: the loaded plugins, common options, JSON output, tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import click

from codecbench.errors import UsageError
from codecbench.plugins import PluginHost, load_plugins

WHOLE_WORD = 12

F = TypeVar("F", bound=Callable[..., Any])


@lru_cache(maxsize=1)
def default_host() -> PluginHost:
    """The installed plugins, loaded once."""
    return load_plugins()


def host_with(files: Sequence[Path]) -> PluginHost:
    """The installed plugins and those given by ``--plugin``."""
    return load_plugins(files) if files else default_host()


def split_names(values: Iterable[str]) -> tuple[str, ...]:
    """Split comma-separated names, given once or several times; raises UsageError where only blanks were given."""
    given = tuple(values)
    names = tuple(name.strip() for value in given for name in value.split(",") if name.strip())
    if given and not names:
        raise UsageError(f"'{','.join(given)}' names nothing: give names by commas, or leave the option out")
    return names


def plugin_option(command: F) -> F:
    """Add ``--plugin FILE``."""
    return click.option(
        "--plugin",
        "plugin_files",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Load a plugin that is not installed. A plugin is code: it runs with your rights.",
    )(command)


def set_option(command: F) -> F:
    """Add ``--set OWNER.OPTION=VALUE``."""
    return click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="OWNER.OPTION=VALUE",
        help="Set an option of a codec, scorer, recogniser, corpus or report.",
    )(command)


def json_option(command: F) -> F:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")(command)


def print_json(data: Any) -> None:
    """Print plain data as JSON."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False, default=str))


def one_line(text: str, instead: str = " ") -> str:
    """Text of any origin (ids come from manifests) as one line that cannot steer a terminal."""
    return "".join(char if char.isprintable() else instead for char in text)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows as a table; text is shown as it is, never as markup, and the first column, a name, in one line.

    Words of up to ``WHOLE_WORD`` letters stay whole, on a narrow terminal as many as fit.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells, console = list(rows), Console()
    form = {"box": box.SIMPLE_HEAD, "show_edge": False, "padding": (0, 1, 0, 0), "pad_edge": False}
    table = Table(title=title, title_justify="left", header_style="bold", **form)  # type: ignore[arg-type]
    widths = _widths(columns, cells, console.width - 2 * (len(columns) - 1))
    for index, (column, width) in enumerate(zip(columns, widths, strict=True)):
        table.add_column(column, overflow="fold", no_wrap=index == 0, width=width)
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> list[int]:
    """Return the widths of columns: first the name and the longest words, as far as they fit, then all of the rest."""
    texts = [[column, *(row[index] for row in rows)] for index, column in enumerate(columns)]
    whole = [max(map(len, column)) for column in texts]
    words = [max((len(word) for text in column for word in text.split()), default=1) for column in texts]
    for longest in range(WHOLE_WORD, 0, -1):
        widths = [whole[0], *(min(longest, word) for word in words[1:])]
        if sum(widths) <= room:
            break
    while sum(widths) < room and widths != whole:
        short = [index for index in range(len(columns)) if widths[index] < whole[index]]
        for index in short[: room - sum(widths)]:
            widths[index] += 1
    return widths
