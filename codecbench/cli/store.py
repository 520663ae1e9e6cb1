"""``codecbench store``: what a store holds, whether it is sound, what of it no run needs, in how few files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codecbench.cli.common import json_option, print_json, print_table

if TYPE_CHECKING:
    from codecbench.store.places import StorePath

_STORE = click.argument("store", metavar="STORE")


@click.group("store")
def store_command() -> None:
    """Look into a store of tokens, scores and decoded audio (RUN/store, or what --store named).

    STORE is a folder or any path that fsspec knows, such as s3://bucket/store.
    """


@store_command.command("ls")
@_STORE
@json_option
def ls_command(store: str, as_json: bool) -> int:
    """List the codecs (by what their content hash is made of) whose tokens, scores or audio the store holds."""
    from codecbench.store.inventory import holdings

    found = list(holdings(_opened(store)))
    if as_json:
        print_json([vars(holding) for holding in found])
        return 0
    columns: dict[str, list[str]] = {
        "what": [h.kind for h in found],
        "codec": [h.codec or "?" for h in found],
        "identity": [h.id[:8] for h in found],
        "entries": [f"{h.entries:,}" for h in found],
        "size": [_size(h.num_bytes) for h in found],
        "age": [_age(h.age_s) for h in found],
        "corrupt": [str(h.corrupt or "") for h in found],
        "options": [_options(h.facts) for h in found],
    }
    shown = {name: cells for name, cells in columns.items() if any(cells)}
    total = _size(sum(h.num_bytes for h in found))
    print_table(f"{store}: {total}", tuple(shown), zip(*shown.values(), strict=True))
    return 0


@store_command.command("verify")
@_STORE
@click.option("--repair", is_flag=True, help="Put corrupted files aside, so that the next run does their work again.")
@json_option
def verify_command(store: str, repair: bool, as_json: bool) -> int:
    """Check every file of the store against its checksum; exit code 1 where one is corrupted and stays."""
    from codecbench.store.inventory import verify

    faults = list(verify(_opened(store), repair=repair))
    if as_json:
        print_json([vars(fault) for fault in faults])
    else:
        for fault in faults:
            click.echo(f"{fault.path}: {fault.reason}{'; put aside' if fault.repaired else ''}")
        remedy = "" if repair or not faults else "; 'codecbench store verify --repair' puts them aside"
        click.echo(f"{len(faults)} corrupted files in {store}{remedy}")
    return 1 if faults and not repair else 0


@store_command.command("gc")
@_STORE
@click.option(
    "--keep",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    metavar="RUN",
    help="A run folder whose scores, tokens and audio stay; give it once for each run.",
)
@click.option("--yes/--dry-run", default=False, help="Remove, rather than only say what would be removed (default).")
@json_option
def gc_command(store: str, keep: tuple[Path, ...], yes: bool, as_json: bool) -> int:
    """Remove what none of the runs rests on, and what killed processes left; not while a run uses the store."""
    from codecbench.store.collecting import find_waste, remove

    waste = find_waste(_opened(store), keep)
    if yes:
        waste = list(remove(waste))
    if as_json:
        facts = [{"path": str(w.path), "num_bytes": w.num_bytes, "why": w.why, "removed": yes} for w in waste]
        print_json(facts)
        return 0
    for why, count in Counter(w.why for w in waste).items():
        click.echo(f"{why}: {count} files, {_size(sum(w.num_bytes for w in waste if w.why is why))}")
    done = "removed" if yes else "can be removed with --yes"
    click.echo(f"{len(waste)} files, {_size(sum(w.num_bytes for w in waste))} {done}")
    return 0


@store_command.command("compact")
@_STORE
@json_option
def compact_command(store: str, as_json: bool) -> int:
    """Merge small shards of tokens and scores into large ones; also while runs use the store.

    What the store holds stays the same. Exit code 1 where a shard is corrupted: it is left alone.
    """
    from codecbench.store.compacting import compact

    done = []
    for folder in compact(_opened(store)):
        done.append(folder)
        if not as_json and folder.before != folder.after:
            named = f"{folder.kind} {folder.codec or '?'} {folder.id[:8]}"
            click.echo(f"{named}: {folder.before:,} shards, now {folder.after:,}")
    corrupt = [path for folder in done for path in folder.corrupt]
    if as_json:
        print_json([vars(folder) for folder in done])
        return 1 if corrupt else 0
    for path in corrupt:
        click.echo(f"{path} is corrupted and was left alone; 'codecbench store verify --repair' puts it aside")
    before, after = (sum(getattr(folder, name) for folder in done) for name in ("before", "after"))
    click.echo(f"{before:,} shards, now {after:,} in {store}")
    return 1 if corrupt else 0


def _opened(store: str) -> StorePath:
    from codecbench.errors import UsageError
    from codecbench.store.identities import Kind
    from codecbench.store.places import StorePath

    path = StorePath.of(store)
    if not set(Kind) & set(path.names()):
        raise UsageError(f"{store} is not a store: it holds none of {', '.join(Kind)} (a run's is RUN/store)")
    return path


def _options(facts: Mapping[str, Any]) -> str:
    chosen = {**facts.get("options", {}), **facts.get("encode", {}).get("options", {})}
    return ", ".join(f"{name}={value}" for name, value in chosen.items() if value not in (None, ""))


def _size(num_bytes: int) -> str:
    size, units = float(num_bytes), iter(("B", "kB", "MB", "GB", "TB"))
    unit = next(units)
    while size >= 1000 and unit != "TB":
        size, unit = size / 1000, next(units)
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def _age(seconds: float | None) -> str:
    steps: list[tuple[float, str]] = [(86400, "d"), (3600, "h"), (60, "min")]
    if seconds is None:
        return "-"
    return next((f"{seconds / step:.0f} {unit}" for step, unit in steps if seconds >= step), f"{seconds:.0f} s")
