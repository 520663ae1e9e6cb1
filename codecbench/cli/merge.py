"""``codecbench merge``."""

from __future__ import annotations

from pathlib import Path

import click

from codecbench.cli.common import host_with, plugin_option, split_names


@click.command("merge")
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("shards", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--complete", is_flag=True, help="Do here what is missing; otherwise it is told and nothing is run.")
@click.option("--reports", multiple=True, metavar="NAMES", help="Reports to write; the default ones if not given.")
@plugin_option
def merge_command(
    out: Path, shards: tuple[Path, ...], complete: bool, reports: tuple[str, ...], plugin_files: tuple[Path, ...]
) -> int:
    """Join the folders of 'codecbench run --shard I/N' into one run in OUT, with its whole-corpus values and reports.

    The machine needs the codecs' plugins and weights, by whose identity their results are found; it encodes nothing.
    """
    from codecbench.cli.outcome import print_outcome
    from codecbench.runner.config import load_request
    from codecbench.runner.merge import merge
    from codecbench.runner.progress import RichProgress

    host = host_with(plugin_files or load_request(shards[0]).plugin_files)
    with RichProgress() as progress:
        merged = merge(out, shards, host, progress, complete=complete, reports=split_names(reports))
    for line in merged.missing:
        click.echo(f"{'was missing' if complete else 'missing'}: {line}", err=True)
    if merged.outcome is None:
        click.echo("run the missing shards, or give --complete to do it here", err=True)
        return 3
    print_outcome(merged.outcome, host.registry)
    return 3 if merged.outcome.partial else 0
