"""The listing commands: what there is, where it comes from, and whether it can be used here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from codecbench.cli.common import host_with, json_option, plugin_option, print_json, print_table, set_option
from codecbench.errors import Unavailable
from codecbench.options import parse_settings, resolve_options

LANGUAGES_SHOWN = 8


@dataclass(frozen=True)
class _CodecRow:
    name: str
    available: bool
    default: bool
    sample_rate_hz: int | None
    frame_rate_hz: float | None
    codebooks: int
    bitrate_bps: float | None
    causal: bool
    licence_weights: str
    plugin: str
    reason: str
    remedy: str
    description: str
    notes: tuple[str, ...]


@click.command("codecs")
@set_option
@plugin_option
@json_option
def codecs_command(settings: tuple[str, ...], plugin_files: tuple[Path, ...], as_json: bool) -> None:
    """List codecs and whether they can be used here."""
    rows = list(_codec_rows(plugin_files, parse_settings(settings)))
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    notes: dict[str, int] = {}
    cells = [
        (r.name, _number(r.sample_rate_hz, "any"), _number(r.frame_rate_hz, "-"), str(r.codebooks or "-"),
         _rate(r, notes), "yes" if r.available else f"no [{_note(notes, r.reason, r.remedy)}]")
        for r in rows
    ]  # fmt: skip
    print_table("Codecs", ("codec", "rate, Hz", "frames/s", "codebooks", "bit/s", "available"), cells)
    for text, number in notes.items():
        click.echo(f"[{number}] {text}")


def _note(notes: dict[str, int], reason: str, remedy: str = "") -> int:
    """Number each distinct reason once: many variants share one."""
    return notes.setdefault(f"{reason} → {remedy}" if remedy else reason, len(notes) + 1)


def _rate(row: _CodecRow, notes: dict[str, int]) -> str:
    """The nominal bit rate, with the numbers of the codec's own notes."""
    return " ".join([_number(row.bitrate_bps, "-"), *(f"[{_note(notes, text)}]" for text in row.notes)])


def _codec_rows(files: tuple[Path, ...], settings: Mapping[str, Mapping[str, str]]) -> Iterator[_CodecRow]:
    from codecbench.loading import prepare

    registry = host_with(files).registry
    for family in registry.codecs.values():
        for entry in family.entries.values():
            spec = entry.spec
            problem = prepare(registry, spec.full_name, settings).unavailable
            yield _CodecRow(
                spec.full_name,
                problem is None,
                spec.default,
                spec.sample_rate_hz,
                spec.streams[0].frame_rate_hz if spec.streams else None,
                spec.num_codebooks,
                spec.nominal_bitrate_bps,
                spec.causal,
                spec.licence_weights,
                entry.plugin,
                problem.reason if problem else "",
                problem.remedy if problem else "",
                spec.description,
                spec.notes,
            )


@click.command("tasks")
@plugin_option
@json_option
def tasks_command(plugin_files: tuple[Path, ...], as_json: bool) -> None:
    """List tasks and what they measure."""
    entries = host_with(plugin_files).registry.tasks.values()
    if as_json:
        print_json([asdict(e.spec) | {"plugin": e.plugin} for e in entries])
        return
    rows = [
        (e.spec.name, "yes" if e.spec.default else "no", ", ".join(e.spec.scorers), e.spec.description) for e in entries
    ]
    print_table("Tasks", ("task", "default", "scorers", "what it asks"), rows)


@click.command("metrics")
@plugin_option
@json_option
def metrics_command(plugin_files: tuple[Path, ...], as_json: bool) -> None:
    """List metrics with unit, direction, source and whether their scorer can be used here."""
    rows = list(_metric_rows(plugin_files))
    if as_json:
        print_json(rows)
        return
    cells = [
        (r["name"], r["title"], r["direction"], r["unit"] or "-", r["scorer"],
         "yes" if not r["reason"] else _because(r["reason"], r["remedy"]))
        for r in rows
    ]  # fmt: skip
    print_table("Metrics", ("metric", "title", "better", "unit", "scorer", "available"), cells)


def _metric_rows(files: tuple[Path, ...]) -> Iterator[dict[str, Any]]:
    for entry in host_with(files).registry.scorers.values():
        problem = None
        try:
            if entry.available is not None:
                entry.available(resolve_options(entry.spec.name, entry.spec.options, {}))
        except Unavailable as error:
            problem = error
        for metric in entry.spec.metrics:
            yield {
                **asdict(metric),
                "scorer": entry.spec.name,
                "stage": str(entry.spec.stage),
                "plugin": entry.plugin,
                "reason": problem.reason if problem else "",
                "remedy": problem.remedy if problem else "",
            }


@click.command("recognizers")
@set_option
@plugin_option
@json_option
def recognizers_command(settings: tuple[str, ...], plugin_files: tuple[Path, ...], as_json: bool) -> None:
    """List speech recognisers for WER."""
    from codecbench.runner.scoring import prepare_recognizer

    registry = host_with(plugin_files).registry
    given = parse_settings(settings)
    found = [(e, prepare_recognizer(registry, name, given).unavailable) for name, e in registry.recognizers.items()]
    if as_json:
        print_json([asdict(e.spec) | {"plugin": e.plugin, "unavailable": str(p or "")} for e, p in found])
        return
    rows = [
        (e.spec.name, "yes" if e.spec.default else "no", _languages(e.spec.languages), e.spec.description,
         "yes" if p is None else _because(p.reason, p.remedy))
        for e, p in found
    ]  # fmt: skip
    print_table("Recognisers", ("recogniser", "default", "languages", "what it is", "available"), rows)


@click.command("corpora")
@plugin_option
@json_option
def corpora_command(plugin_files: tuple[Path, ...], as_json: bool) -> None:
    """List corpora and corpus formats."""
    entries = host_with(plugin_files).registry.corpora.values()
    if as_json:
        print_json([asdict(e.spec) | {"plugin": e.plugin} for e in entries])
        return
    rows = [(e.spec.name, e.spec.path_format or "by name", e.spec.description, e.spec.licence) for e in entries]
    print_table("Corpora", ("corpus", "given as", "what it is", "licence"), rows)


@click.command("plugins")
@plugin_option
@json_option
def plugins_command(plugin_files: tuple[Path, ...], as_json: bool) -> None:
    """List plugins, what they register, and what failed to load."""
    plugins = host_with(plugin_files).plugins
    if as_json:
        print_json([asdict(p) for p in plugins])
        return
    rows = [
        (p.name, f"{p.distribution} {p.version}".strip(), p.module,
         p.error or ", ".join(h.removeprefix("register_") for h in p.hooks))
        for p in plugins
    ]  # fmt: skip
    print_table("Plugins", ("plugin", "distribution", "module", "registers, or why it failed"), rows)


def _languages(codes: Sequence[str]) -> str:
    """All codes of a short list, the count of a long one (``--json`` names them)."""
    return (", ".join(codes) if len(codes) <= LANGUAGES_SHOWN else f"{len(codes)} languages") or "any"


def _number(value: float | None, none: str) -> str:
    return none if value is None else f"{value:.6g}"


def _because(reason: str, remedy: str) -> str:
    return f"no: {reason}" + (f" → {remedy}" if remedy else "")
