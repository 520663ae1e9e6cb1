"""Manifests of recorded outputs: one JSON object a line, or a folder with one folder for each system."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codecbench import UsageError

AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".mp3", ".opus", ".aiff"})
MANIFEST_NAME = "manifest.jsonl"


@dataclass(frozen=True)
class Recording:
    """What one system made of one utterance.

    original: the input, where it is not the corpus' own file. bitrate_bps: what ``bitrate_source`` states.
    page: where the recording was published; systems are comparable within one page.
    """

    utterance_id: str
    system: str
    file: Path
    original: Path | None = None
    bitrate_bps: float | None = None
    bitrate_source: str = ""
    page: str = ""
    text: str | None = None
    speaker: str | None = None
    language: str | None = None


@dataclass(frozen=True)
class Problem:
    """A line that cannot be used, and why."""

    line: int
    reason: str


@dataclass(frozen=True)
class Recordings:
    """All that a manifest holds."""

    source: Path
    entries: tuple[Recording, ...]
    problems: tuple[Problem, ...] = ()

    @property
    def systems(self) -> tuple[str, ...]:
        """Names of the systems, in the order of their first recording."""
        return tuple(dict.fromkeys(entry.system for entry in self.entries))

    def of(self, system: str) -> tuple[Recording, ...]:
        """Return the recordings of one system."""
        return tuple(entry for entry in self.entries if entry.system == system)


def read_recordings(path: Path, root: Path | None = None, allow_outside: bool = False) -> Recordings:
    """Read a manifest, a folder that holds ``manifest.jsonl``, or a folder of ``SYSTEM/UTTERANCE.wav``.

    Fields of a line: ``id`` (utterance), ``system`` with an optional ``variant``, ``file``, and optionally
    ``original``, ``bitrate_bps`` or ``bitrate``, ``bitrate_source``, ``page`` or ``source``, ``text``, ``speaker``
    and ``language``. Paths start at ``root``, by default the manifest's folder. A line with ``reconstruction``
    instead of ``file`` is of the layout that has the system in ``id`` as ``SYSTEM/UTTERANCE`` and its paths from
    the folder above. A line that cannot be used becomes a problem with its number. Raises UsageError where
    there is nothing at ``path``.
    """
    if path.is_dir() and not (path / MANIFEST_NAME).is_file():
        return _read_folder(path)
    file = path / MANIFEST_NAME if path.is_dir() else path
    if not file.is_file():
        raise UsageError(f"no manifest of recorded outputs at {path}: give a JSONL file or a folder")
    entries: list[Recording] = []
    problems: list[Problem] = []
    for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if line.strip():
            try:
                entries.append(_parse(line, file, root, allow_outside))
            except ValueError as error:
                problems.append(Problem(number, f"{file.name}, line {number}: {error}"))
    return Recordings(file, tuple(entries), tuple(problems))


def _parse(line: str, manifest: Path, root: Path | None, allow_outside: bool) -> Recording:
    """Make a recording of a line; raises ValueError for what is wrong in it."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON ({error})") from error
    if not isinstance(fields, dict):
        raise ValueError("expected a JSON object")
    published = "reconstruction" in fields
    base = root or (manifest.parent.parent if published else manifest.parent)
    file = _path(fields, "reconstruction" if published else "file", base, allow_outside)
    original = _path(fields, "original", base, allow_outside) if fields.get("original") else None
    system, utterance_id = _names(fields, published, original)
    page = _page(fields)
    return Recording(
        utterance_id,
        system,
        file,
        original,
        _bitrate(fields),
        str(fields.get("bitrate_source") or (page and f"stated by {page}") or f"stated in {manifest.name}"),
        page,
        *(_text(fields, name) for name in ("text", "speaker", "language")),
    )


def _names(fields: Mapping[str, Any], published: bool, original: Path | None) -> tuple[str, str]:
    """Return system and utterance id. The published layout's ids can differ for equal originals: theirs is used."""
    label = _required(fields, "id")
    if published:
        system, slash, utterance_id = label.partition("/")
        if not slash:
            raise ValueError(f"'id' must be SYSTEM/UTTERANCE, not '{label}'")
        utterance_id = original.stem if original is not None else utterance_id
    else:
        system, utterance_id = _required(fields, "system"), label
        if fields.get("variant"):
            system = f"{system}-{fields['variant']}"
    if not system or set(system) & set("@/, "):
        raise ValueError(f"the system '{system}' must not be empty or hold any of '@', '/', ',' and space")
    return system, utterance_id


def _required(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"'{name}' must be a text that is not empty, not {value!r}")
    return value


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    return _required(fields, name) if fields.get(name) is not None and fields[name] != "" else None


def _bitrate(fields: Mapping[str, Any]) -> float | None:
    value = fields.get("bitrate_bps", fields.get("bitrate"))
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ValueError(f"the bitrate must be a positive number of bits per second, not {value!r}")
    return float(value)


def _path(fields: Mapping[str, Any], name: str, root: Path, allow_outside: bool) -> Path:
    path = (root / _required(fields, name)).resolve()
    if not allow_outside and not path.is_relative_to(root.resolve()):
        raise ValueError(f"'{name}' leaves the folder {root}: set recorded.allow_outside=true if it is meant to")
    return path


def _page(fields: Mapping[str, Any]) -> str:
    """Return the page: the repository of a source such as ``github:owner/name@commit:path``."""
    source = str(fields.get("page") or fields.get("source") or "")
    return source.removeprefix("github:").partition("@")[0]


def _read_folder(folder: Path) -> Recordings:
    return Recordings(folder, tuple(_in_folder(folder)))


def _in_folder(folder: Path) -> Iterator[Recording]:
    for file in sorted(folder.glob("*/*")):
        if file.suffix.lower() in AUDIO_SUFFIXES and file.is_file():
            yield Recording(file.stem, file.parent.name, file)
