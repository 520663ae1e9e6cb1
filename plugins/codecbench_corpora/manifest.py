"""Manifests: one utterance a line (JSONL) or row (CSV); what cannot be read becomes a record that says so."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from codecbench import Corpus, UsageError, Utterance

FIELDS = ("id", "audio", "text", "speaker", "language")
MAX_LINE_BYTES = 1 << 20


def open_manifest(path: Path, *, allow_outside: bool = False, name: str = "") -> Corpus:
    """Open a JSONL or CSV manifest with the fields id, audio, text, speaker, language (the last three optional).

    ``audio`` is relative to the manifest's folder and may not leave it unless ``allow_outside``. ``sha256`` of
    the file and ``seconds`` are taken where given. Raises UsageError for a file that is missing or has no header.
    """
    if not path.is_file():
        raise UsageError(f"--corpus {path}: no such manifest")
    reader = _csv_rows if path.suffix.lower() == ".csv" else _jsonl_rows
    if reader is _csv_rows:
        _check_header(path)

    def walk() -> Iterator[Utterance]:
        for line, row in reader(path):
            yield row if isinstance(row, Utterance) else _utterance(path, line, row, allow_outside)

    return Corpus(name or path.stem, walk)


def _jsonl_rows(path: Path) -> Iterator[tuple[int, dict[str, Any] | Utterance]]:
    with path.open("rb") as file:
        for number, raw in enumerate(_lines(file), 1):
            if raw is None:
                yield number, _broken(path, number, f"longer than {MAX_LINE_BYTES} bytes")
            elif raw.strip():
                yield number, _json_row(path, number, raw)


def _lines(file: io.BufferedReader) -> Iterator[bytes | None]:
    """Yield lines; None for one above the limit, which is skipped without being held in memory."""
    while line := file.readline(MAX_LINE_BYTES + 1):
        if len(line) <= MAX_LINE_BYTES:
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(MAX_LINE_BYTES)
        yield None


def _json_row(path: Path, number: int, raw: bytes) -> dict[str, Any] | Utterance:
    try:
        row = json.loads(raw)
    except (ValueError, RecursionError) as error:
        return _broken(path, number, f"not JSON ({error})")
    return row if isinstance(row, dict) else _broken(path, number, f"expected an object, found {type(row).__name__}")


def _check_header(path: Path) -> None:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        header = next(csv.reader([file.readline(MAX_LINE_BYTES)]), [])
    if "audio" not in header:
        found = ", ".join(header)[:200] or "nothing"
        raise UsageError(f"--corpus {path}: the first row must name the columns {', '.join(FIELDS)}; found {found}")


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any] | Utterance]]:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.DictReader(file)
        while True:
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield reader.line_num, _broken(path, reader.line_num, f"not CSV ({error})")
                continue
            yield reader.line_num, {key: value for key, value in row.items() if key is not None and value != ""}


def _utterance(path: Path, line: int, row: dict[str, Any], allow_outside: bool) -> Utterance:
    audio = row.get("audio")
    if not isinstance(audio, str) or not audio or "\0" in audio:
        return _broken(path, line, "the field 'audio' must be the path of a file")
    for field in ("id", "text", "speaker", "language", "sha256"):
        if row.get(field) is not None and not isinstance(row[field], str | int):
            return _broken(path, line, f"the field '{field}' must be text, not {type(row[field]).__name__}")
    file = path.parent / audio
    problem = None
    if not allow_outside and not _inside(file, path.parent):
        problem = (
            f"line {line}: the audio path '{audio[:200]}' leaves the manifest's folder; "
            "move the file, or allow it by --set manifest.allow_outside=true"
        )
    return Utterance(
        id=_text(row.get("id")) or Path(audio).stem,
        audio=file,
        text=_text(row.get("text")),
        speaker=_text(row.get("speaker")),
        language=_text(row.get("language")),
        sha256=_text(row.get("sha256")),
        problem=problem,
    )


def _inside(file: Path, root: Path) -> bool:
    try:
        return file.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError, ValueError):
        return False


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)


def _broken(path: Path, line: int, reason: str) -> Utterance:
    return Utterance(id=f"{path.name}:{line}", audio=path, problem=f"{path.name}, line {line}: {reason}")
