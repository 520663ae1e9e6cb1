"""What several commands share: the loaded plugins, common options, JSON output, tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import click

from codecbench.plugins import PluginHost, load_plugins

F = TypeVar("F", bound=Callable[..., Any])


@lru_cache(maxsize=1)
def default_host() -> PluginHost:
    """The installed plugins, loaded once."""
    return load_plugins()


def host_with(files: Sequence[Path]) -> PluginHost:
    """The installed plugins and those given by ``--plugin``."""
    return load_plugins(files) if files else default_host()


def split_names(values: Iterable[str]) -> tuple[str, ...]:
    """Split comma-separated names, given once or several times."""
    return tuple(name.strip() for value in values for name in value.split(",") if name.strip())


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


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows as a table; text is shown as it is, never as markup, and the first column, a name, in one line."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", header_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=index == 0)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
