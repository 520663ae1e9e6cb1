"""Lists for VERSA: ``gt.scp``, one ``.scp`` for each codec, ``text``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from codecbench.errors import UsageError
from codecbench.results import RunResults


def write_lists(runs: Sequence[RunResults], folder: Path) -> tuple[Path, ...]:
    """Write the lists of each run, in folders of their own where there are several.

    An utterance whose id or path holds white space cannot stand in such a list: it is named in ``notes.txt``.
    Raises UsageError for a run that kept no decoded audio.
    """
    written: list[Path] = []
    for place, results in enumerate(runs):
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", results.info.name).strip("-") or "run"
        written += _write(results, folder / f"{place + 1}-{name}" if len(runs) > 1 else folder)
    return tuple(written)


def _write(results: RunResults, folder: Path) -> list[Path]:
    artifacts = results.artifacts
    decoded = {
        label: {u: p for u in artifacts.utterances if (p := artifacts.audio(label, u))} for label in results.codecs
    }
    if not any(decoded.values()):
        raise UsageError(f"run '{results.info.name}' kept no decoded audio; run it again with --keep-audio")
    folder.mkdir(parents=True, exist_ok=True)
    originals = {u: p for u in artifacts.utterances if (p := artifacts.reference(u))}
    texts = {u: " ".join(text.split()) for u in artifacts.utterances if (text := artifacts.text(u))}
    files = {"gt.scp": _paths(originals), "text": texts}
    files |= {f"{_file_name(i, label)}.scp": _paths(found) for i, (label, found) in enumerate(decoded.items()) if found}
    unlisted = sorted({u for rows in files.values() for u, value in rows.items() if not _fits(u, value, rows is texts)})
    written = []
    for name, rows in files.items():
        lines = (f"{u} {value}\n" for u, value in rows.items() if u not in unlisted)
        written.append(_text(folder / name, lines))
    if unlisted:
        written.append(
            _text(folder / "notes.txt", (f"not listed, white space in its id or path: {u!r}\n" for u in unlisted))
        )
    return written


def _paths(files: dict[str, Path]) -> dict[str, str]:
    return {utterance: str(path.resolve()) for utterance, path in files.items()}


def _file_name(place: int, label: str) -> str:
    return f"{place:02d}-" + re.sub(r"[^A-Za-z0-9_.@-]+", "-", label).strip("-.")[:80]


def _fits(utterance: str, value: str, is_text: bool) -> bool:
    return len(utterance.split()) == 1 and utterance == utterance.strip() and (is_text or len(value.split()) == 1)


def _text(path: Path, lines: Iterator[str]) -> Path:
    path.write_text("".join(lines), encoding="utf-8")
    return path
