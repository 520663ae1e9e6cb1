"""Manifests: one utterance a line (JSONL) or row (CSV); what cannot be read becomes a record that says so."""

from __future__ import annotations

import csv
import json
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from codecbench import Corpus, UsageError, Utterance

FIELDS = ("id", "audio", "text", "speaker", "language")
MAX_LINE_BYTES = 1 << 20
# Names stand in every record and in the reports' tables.
MAX_NAME_CHARS = 512
MAX_PATH_CHARS = 4096
_TEXTS = ("id", "text", "speaker", "language", "sha256")
_NAMES = ("id", "speaker", "language")
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_SHA256 = re.compile("[0-9a-fA-F]{64}")

Row = dict[str, Any] | Utterance


def open_manifest(path: Path, *, allow_outside: bool = False, name: str = "") -> Corpus:
    """Open a JSONL or CSV manifest with the fields id, audio, text, speaker, language (the last three optional).

    ``audio`` is relative to the manifest's folder and may not leave it unless ``allow_outside``. ``sha256`` of
    the file and ``seconds`` are taken where given. Raises UsageError for a file that is missing or has no header.
    """
    try:
        found = path.is_file()
    except OSError:  # a name longer than the file system takes
        found = False
    if not found:
        raise UsageError(f"--corpus {path}: no such manifest")
    reader = _csv_rows if path.suffix.lower() == ".csv" else _jsonl_rows
    if reader is _csv_rows:
        _check_header(path)

    def walk() -> Iterator[Utterance]:
        root = None if allow_outside else os.path.realpath(path.parent)
        for line, row in reader(path):
            yield row if isinstance(row, Utterance) else _utterance(path, line, row, root)

    return Corpus(name or path.stem, walk)


def _jsonl_rows(path: Path) -> Iterator[tuple[int, Row]]:
    with path.open("rb") as file:
        for number, raw in enumerate(_lines(file), 1):
            if raw is None:
                yield number, _broken(path, number, f"longer than {MAX_LINE_BYTES} bytes")
            elif raw.strip():
                yield number, _json_row(path, number, raw)


def _lines(file: IO[bytes]) -> Iterator[bytes | None]:
    """Yield lines; None for one above the limit, which is skipped without being held in memory."""
    while line := file.readline(MAX_LINE_BYTES + 1):
        if len(line) <= MAX_LINE_BYTES:
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(MAX_LINE_BYTES)
        yield None


def _json_row(path: Path, number: int, raw: bytes) -> Row:
    try:
        row = json.loads(raw.strip())
    except json.JSONDecodeError as error:  # its own text counts lines within this one
        return _broken(path, number, f"not JSON ({error.msg}, column {error.colno})")
    except (ValueError, RecursionError) as error:
        return _broken(path, number, f"not JSON ({error})")
    return row if isinstance(row, dict) else _broken(path, number, f"expected an object, found {type(row).__name__}")


def _check_header(path: Path) -> None:
    header = _columns(path)
    if "audio" not in header:
        found = ", ".join(header)[:200] or "nothing"
        raise UsageError(f"--corpus {path}: the first row must name the columns {', '.join(FIELDS)}; found {found}")


def _columns(path: Path) -> list[str]:
    with path.open("rb") as file:
        first = next(_lines(file), None) or b""
    try:
        return next(csv.reader([_decoded(first).removeprefix("\ufeff")]), [])
    except csv.Error:
        return []


def _csv_rows(path: Path) -> Iterator[tuple[int, Row]]:
    header = _columns(path)
    with path.open("rb") as file:
        lines = _CsvLines(file)
        reader = csv.reader(lines)
        while True:
            lines.row_bytes = 0
            try:
                values = next(reader)
            except StopIteration:
                return
            except (csv.Error, _LongLineError) as error:
                # What was read of this row is forgotten: the next line begins a new one.
                yield lines.number, _broken(path, lines.number, f"not CSV ({error})")
                reader = csv.reader(lines)
                continue
            if lines.number > 1 and values:
                yield lines.number, _csv_row(path, lines.number, header, values)


def _csv_row(path: Path, number: int, header: list[str], values: list[str]) -> Row:
    if any(values[len(header) :]):  # most likely a text with bare commas, which would be cut at the first
        said = f"{len(values)} fields, the first row names {len(header)}: put quotes around a text that holds commas"
        return _broken(path, number, said)
    return {k: v for k, v in zip(header, values, strict=False) if v != ""}


class _LongLineError(ValueError):
    """A line, or a row of several, is longer than the limit."""


class _CsvLines:
    """Lines for the CSV reader, which asks for as many as a row has; raises for what is too long in sum."""

    def __init__(self, file: IO[bytes]) -> None:
        self._lines = _lines(file)
        self.number = 0
        self.row_bytes = 0

    def __iter__(self) -> _CsvLines:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        self.row_bytes += 0 if line is None else len(line)
        if line is None or self.row_bytes > MAX_LINE_BYTES:
            raise _LongLineError(f"longer than {MAX_LINE_BYTES} bytes")
        return _decoded(line)


def _decoded(line: bytes) -> str:
    return line.decode("utf-8", errors="replace")


def _utterance(path: Path, line: int, row: dict[str, Any], root: str | None) -> Utterance:
    """Make an utterance of one row; ``root``: the folder that its audio may not leave."""
    reason = _wrong_field(row)
    if reason:
        return _broken(path, line, reason)
    audio: str = row["audio"]
    file = path.parent / audio
    problem = None
    if root is not None and not _inside(file, root):
        problem = (
            f"{path.name}, line {line}: the audio path '{audio[:200]}' leaves the manifest's folder; "
            "move the file, or allow it by --set manifest.allow_outside=true"
        )
    return Utterance(
        id=_text(row.get("id")) or Path(audio).stem or f"{path.name}:{line}",
        audio=file,
        text=_text(row.get("text")),
        speaker=_text(row.get("speaker")),
        language=_text(row.get("language")),
        sha256=str(row["sha256"]).lower() if row.get("sha256") else None,
        duration_s=None if row.get("seconds") is None else float(row["seconds"]),
        problem=problem,
    )


def _wrong_field(row: dict[str, Any]) -> str:
    """Return what is wrong with the values of a row, or nothing."""
    audio = row.get("audio")
    if not isinstance(audio, str) or not audio or "\0" in audio:
        return "the field 'audio' must be the path of a file"
    if len(audio) > MAX_PATH_CHARS:
        return f"the path in 'audio' has {len(audio)} characters, at most {MAX_PATH_CHARS} are taken"
    for field in _TEXTS:
        value = row.get(field)
        if value is not None and (isinstance(value, bool) or not isinstance(value, str | int)):
            return f"the field '{field}' must be text, not {type(value).__name__}"
    for field in _NAMES:
        name = str(row.get(field) or "")
        if len(name) > MAX_NAME_CHARS:
            return f"the field '{field}' has {len(name)} characters, at most {MAX_NAME_CHARS} are taken"
        if _CONTROL.search(name):
            return f"the field '{field}' holds a control character: {name[:80]!r}"
    if "\0" in str(row.get("text") or ""):
        return "the field 'text' holds a NUL character"
    if row.get("sha256") and not _SHA256.fullmatch(str(row["sha256"])):
        return "the field 'sha256' must be 64 hexadecimal digits"
    return "" if row.get("seconds") is None or _is_duration(row["seconds"]) else "the field 'seconds' must be a number"


def _is_duration(value: Any) -> bool:
    try:
        return not isinstance(value, bool) and math.isfinite(float(value)) and float(value) > 0
    except (TypeError, ValueError, OverflowError):
        return False


def _inside(file: Path, root: str) -> bool:
    try:
        return Path(os.path.realpath(file)).is_relative_to(root)
    except (OSError, RuntimeError, ValueError):
        return False


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)


def _broken(path: Path, line: int, reason: str) -> Utterance:
    return Utterance(id=f"{path.name}:{line}", audio=path, problem=f"{path.name}, line {line}: {reason}")
