"""``codecbench run``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from codecbench.cli.common import host_with, json_option, plugin_option, print_json, set_option, split_names
from codecbench.errors import UsageError

if TYPE_CHECKING:
    from codecbench.plugins import PluginHost
    from codecbench.runner.config import RunConfig


@click.command("run")
@click.option("--codecs", multiple=True, metavar="NAMES", help="family[:variant][@codebooks][/mode], by commas.")
@click.option("--corpus", default="", metavar="NAME|PATH", help="A corpus by name, or a manifest or folder.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/latest"), show_default=True, metavar="DIR")
@click.option("--tasks", multiple=True, metavar="NAMES", help="What to measure; the default tasks if not given.")
@click.option("--recognizer", "recognizers", multiple=True, metavar="NAMES", help="Speech recognisers for WER.")
@click.option("--reports", multiple=True, metavar="NAMES", help="Reports to write; the default ones if not given.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N utterances.")
@click.option(
    "--device",
    default="cpu",
    show_default=True,
    metavar="NAMES",
    help="Where codecs run: cpu, cuda (all), cuda:0,cuda:1, cpu*4.",
)
@click.option("--workers", type=click.IntRange(0), default=0, help="Metric processes; 0 means one for each core.")
@click.option("--codec-threads", type=click.IntRange(1), default=1, show_default=True, help="Threads of a CPU codec.")
@click.option("--store", metavar="DIR|URL", help="Share a store between runs; a folder, or s3://… (fsspec).")
@click.option(
    "--memory-limit",
    type=click.FloatRange(0),
    metavar="GB",
    help="Memory of one worker process, above which it is ended; 80 % of the machine's if not given, 0 for none.",
)
@click.option("--keep-audio/--no-audio", default=None, help="Decoded audio for the page; up to 30 min if not given.")
@click.option("--resume/--no-resume", default=True, show_default=True, help="Go on from what --out holds already.")
@click.option("--strict", is_flag=True, help="Exit with 3 where a plausibility gate is tripped.")
@click.option("--timeout", "timeout_s", type=float, default=600.0, show_default=True, help="Seconds per utterance.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--engine", type=click.Choice(("local", "ray")), default="local", show_default=True, help="Who runs tasks."
)
@click.option("--address", default="", metavar="HOST:PORT|auto", help="Ray cluster; without it, Ray on this machine.")
@click.option("--shard", metavar="I/N", help="Only this part of the corpus; 'codecbench merge' joins the parts.")
@click.option("--dry-run", is_flag=True, help="Say what would be done and about how long it takes; write nothing.")
@set_option
@plugin_option
@json_option
def run_command(
    codecs: tuple[str, ...],
    corpus: str,
    out: Path,
    tasks: tuple[str, ...],
    recognizers: tuple[str, ...],
    reports: tuple[str, ...],
    limit: int | None,
    device: str,
    workers: int,
    codec_threads: int,
    store: str | None,
    memory_limit: float | None,
    keep_audio: bool | None,
    resume: bool,
    strict: bool,
    timeout_s: float,
    seed: int,
    engine: str,
    address: str,
    shard: str | None,
    dry_run: bool,
    settings: tuple[str, ...],
    plugin_files: tuple[Path, ...],
    as_json: bool,
) -> int:
    """Encode and decode a corpus with each codec, score it, and write tables, plots and reports.

    Without --codecs, every default codec that works here is run; without --corpus, the built-in one.
    """
    from codecbench.options import parse_settings
    from codecbench.runner.config import RunConfig, Shard
    from codecbench.runner.devices import parse_devices

    if as_json and not dry_run:
        raise UsageError("--json goes with --dry-run; a run's results are in its tables and records")
    devices = parse_devices(device)
    config = RunConfig(
        out=out,
        codecs=split_names(codecs),
        corpus=corpus,
        tasks=split_names(tasks),
        recognizers=split_names(recognizers),
        reports=split_names(reports),
        settings=parse_settings(settings),
        limit=limit,
        device=devices[0],
        devices=devices,
        engine=engine,
        address=address,
        workers=workers,
        codec_threads=codec_threads,
        store=store,
        keep_audio=keep_audio,
        resume=resume,
        strict=strict,
        plugin_files=plugin_files,
        timeout_s=timeout_s,
        seed=seed,
        memory_limit_bytes=None if memory_limit is None else int(memory_limit * 1e9),
        command=("codecbench", *sys.argv[1:]),
        shard=Shard.parse(shard) if shard else None,
    )
    host = host_with(plugin_files)
    if dry_run:
        return _preview(config, host, as_json)
    return _run_shard(config, host) if config.shard else _run(config, host)


def _run(config: RunConfig, host: PluginHost) -> int:
    from codecbench.cli.outcome import print_outcome
    from codecbench.runner.progress import RichProgress
    from codecbench.runner.run import run

    with RichProgress() as progress:
        outcome = run(config, progress, host)
    print_outcome(outcome, host.registry)
    return 3 if outcome.partial or (config.strict and outcome.info.flags) else 0


def _run_shard(config: RunConfig, host: PluginHost) -> int:
    from codecbench.runner.progress import RichProgress
    from codecbench.runner.run import run_shard

    with RichProgress() as progress:
        outcome = run_shard(config, progress, host)
    for label, reason in outcome.unavailable.items():
        click.echo(f"unavailable {label}: {reason}")
    for label, count in outcome.failures.items():
        click.echo(f"failed {label}: {count} records; see {outcome.folder / 'records'}")
    click.echo(f"shard {config.shard}: {outcome.num_utterances} utterances done in {outcome.folder}")
    return 3 if outcome.partial else 0


def _preview(config: RunConfig, host: PluginHost, as_json: bool) -> int:
    from codecbench.cli.previewing import print_preview
    from codecbench.runner.preview import preview

    found = preview(config, host)
    if as_json:
        print_json(found.plain())
    else:
        print_preview(found)
    return 0
