"""``codecbench check CODEC``: the conformance kit on the command line."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path

import click

from codecbench.cli.common import (
    host_with,
    json_option,
    plugin_option,
    print_json,
    print_table,
    set_option,
    split_names,
)


@click.command("check")
@click.argument("codecs", nargs=-1, metavar="CODEC...")
@click.option("--only", multiple=True, metavar="PROPERTY", help="Judge these properties (and what they need) alone.")
@click.option("--properties", "list_only", is_flag=True, help="List the properties and stop.")
@click.option("--device", default="cpu", show_default=True, help="Where the codec runs: cpu, cuda, cuda:1.")
@set_option
@plugin_option
@json_option
def check_command(
    codecs: tuple[str, ...],
    only: tuple[str, ...],
    list_only: bool,
    device: str,
    settings: tuple[str, ...],
    plugin_files: tuple[Path, ...],
    as_json: bool,
) -> int:
    """Hold codecs to the plugin contract: shapes, lengths, batching, determinism, rates, delays, odd input.

    A property that a codec is known not to have stands in its specification (known_failures) and is shown as
    declared. Exit code 1 where a property fails.
    """
    if list_only:
        return _list_properties(as_json)
    if not codecs:
        raise click.UsageError("name a codec to check, for example: codecbench check mimi")
    from codecbench.conformance import subject_by_name
    from codecbench.options import check_owners, parse_settings

    registry = host_with(plugin_files).registry
    given = parse_settings(settings)
    check_owners(given, registry.codecs)
    kept = True
    for name in split_names(codecs):
        subject = subject_by_name(registry, name, settings=given, device=device, plugin_files=plugin_files)
        kept &= _check_one(subject, split_names(only), as_json)
    return 0 if kept else 1


def _check_one(subject: object, only: tuple[str, ...], as_json: bool) -> bool:
    from rich.console import Console

    from codecbench.conformance import Examination, Subject

    assert isinstance(subject, Subject)
    findings = []
    with Console(stderr=True).status(f"checking {subject.spec.full_name}") as status:
        for finding in Examination(subject).findings(only):
            status.update(f"checking {subject.spec.full_name}: {finding.name} {finding.verdict}")
            findings.append(finding)
    if as_json:
        print_json({"codec": subject.spec.full_name, "findings": [asdict(f) for f in findings]})
    else:
        rows = [(f.name, str(f.verdict), f.message) for f in findings]
        print_table(f"{subject.spec.full_name} ({subject.speech.source} speech)", ("property", "verdict", ""), rows)
        counts = Counter(str(f.verdict) for f in findings)
        click.echo(", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
    return all(finding.ok for finding in findings)


def _list_properties(as_json: bool) -> int:
    from codecbench.conformance import PROPERTIES

    rows = [(p.name, p.question, ", ".join(p.needs)) for p in PROPERTIES]
    if as_json:
        print_json([{"name": n, "question": q, "needs": needs.split(", ") if needs else []} for n, q, needs in rows])
    else:
        print_table("Conformance properties", ("property", "question", "needs"), rows)
    return 0
