"""``codecbench report`` and ``codecbench plot``: outputs of finished runs, from their records alone."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from codecbench.cli.common import host_with, json_option, plugin_option, print_json, set_option, split_names
from codecbench.errors import UsageError

_RUNS = click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
_OUT = click.option("--out", type=click.Path(path_type=Path), help="Folder to write to; the first run's if not given.")


@click.command("report")
@_RUNS
@_OUT
@click.option("--reports", multiple=True, metavar="NAMES", help="Reports to write; the default ones if not given.")
@set_option
@plugin_option
@json_option
def report_command(
    runs: tuple[Path, ...],
    out: Path | None,
    reports: tuple[str, ...],
    settings: tuple[str, ...],
    plugin_files: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Write the reports of one or more finished runs."""
    _write(runs, out, split_names(reports), settings, plugin_files, as_json)


@click.command("plot")
@_RUNS
@_OUT
@set_option
@plugin_option
@json_option
def plot_command(
    runs: tuple[Path, ...],
    out: Path | None,
    settings: tuple[str, ...],
    plugin_files: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Draw the plots of one or more finished runs."""
    _write(runs, out, ("plots",), settings, plugin_files, as_json)


def _write(
    runs: tuple[Path, ...],
    out: Path | None,
    names: tuple[str, ...],
    settings: tuple[str, ...],
    plugin_files: tuple[Path, ...],
    as_json: bool,
) -> None:
    from codecbench.options import parse_settings
    from codecbench.reporting import write_reports

    registry = host_with(plugin_files).registry
    if out is not None:
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"--out {out}: cannot write there: {error.strerror or error}") from error
    written, _ = write_reports(
        registry, runs, out or runs[0], names, parse_settings(settings), partial(click.echo, err=True)
    )
    if as_json:
        print_json([str(path) for path in written])
        return
    for path in written:
        click.echo(path)
