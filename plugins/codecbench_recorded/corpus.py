"""The originals of recorded outputs as a corpus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from codecbench import Corpus, UsageError, Utterance
from codecbench.errors import unknown_name
from codecbench_recorded.manifest import Recording, Recordings, read_recordings

NOTE = "originals chosen by the page's authors: compare systems within one page and on the same originals only"


def open_corpus(argument: str, options: Mapping[str, Any]) -> Corpus:
    """Open the originals of the manifest at ``argument``.

    Options: ``page`` and ``systems`` narrow the originals, ``root`` and ``allow_outside`` as for the codec. Raises
    UsageError for an unknown page or system, or where nothing is left.
    """
    if not argument:
        raise UsageError("--corpus pairs:MANIFEST needs the path of a manifest")
    recordings = read_recordings(Path(argument).expanduser(), options["root"], options["allow_outside"])
    originals = tuple(_distinct(recordings, options["page"], _split(options["systems"])))
    if not originals:
        raise UsageError(f"{recordings.source} holds no originals that all of the systems asked for recorded")
    utterances = (*originals, *_problems(recordings))
    name = f"pairs:{options['page'] or recordings.source.parent.name}"
    return Corpus(name, lambda: iter(utterances), len(utterances), (NOTE,))


def _split(systems: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (systems or "").split(",") if name.strip())


def _distinct(recordings: Recordings, page: str | None, systems: tuple[str, ...]) -> Iterator[Utterance]:
    """Yield each original once: of ``page``, and recorded by all of ``systems``."""
    on_page = [entry for entry in recordings.entries if page is None or entry.page == page]
    if not on_page and recordings.entries:
        raise unknown_name("page", page or "", {entry.page for entry in recordings.entries})
    known = {entry.system for entry in on_page}
    for system in systems:
        if system not in known:
            raise unknown_name("system", system, known)
    recorded = [{e.utterance_id for e in on_page if e.system == system} for system in systems]
    seen: dict[str, Path] = {}
    for entry in on_page:
        if entry.original is None or not all(entry.utterance_id in ids for ids in recorded):
            continue
        if seen.setdefault(entry.utterance_id, entry.original) != entry.original:
            raise UsageError(f"{recordings.source}: the id '{entry.utterance_id}' stands for two originals")
        if seen[entry.utterance_id] is entry.original:
            yield _utterance(entry, entry.original)


def _utterance(entry: Recording, original: Path) -> Utterance:
    return Utterance(entry.utterance_id, original, entry.text, entry.speaker, entry.language)


def _problems(recordings: Recordings) -> Iterator[Utterance]:
    for problem in recordings.problems:
        yield Utterance(f"line-{problem.line}", recordings.source, problem=problem.reason)
