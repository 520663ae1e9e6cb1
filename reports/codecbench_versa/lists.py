"""Lists for VERSA: ``gt.scp``, one ``.scp`` for each codec, ``text``, and the command for each codec.

As VERSA's scorer reads them (commit c398480, May 2026): a line is an id, white space, and all the rest; it refuses
more outputs than originals, and passes over an utterance that a ``text`` does not name.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from codecbench.errors import UsageError
from codecbench.results import RunResults

_COMMAND = "python versa/bin/scorer.py --io soundfile --score_config egs/speech.yaml"


def write_lists(runs: Sequence[RunResults], folder: Path) -> tuple[Path, ...]:
    """Write the lists of each run, in folders of their own where there are several.

    What cannot stand in such a list, or has no original any more, is named in ``notes.txt``. Raises UsageError for a
    run that kept no decoded audio.
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
    listed = {u: p for u, p in originals.items() if _fits(u, p, decoded.values())}
    texts = {u: " ".join(text.split()) for u in listed if (text := artifacts.text(u))}
    outputs = {
        f"{_file_name(place, label)}.scp": {u: str(p.resolve()) for u, p in found.items() if u in listed}
        for place, (label, found) in enumerate(decoded.items())
        if found
    }
    written = [_list(folder / "gt.scp", {u: str(p.resolve()) for u, p in listed.items()})]
    written += [_list(folder / "text", texts)] if texts else []
    written += [_list(folder / name, rows) for name, rows in outputs.items()]
    written.append(_text(folder / "commands.txt", _commands(folder, outputs, bool(texts))))
    notes = list(_notes(artifacts.utterances, originals, listed, texts))
    return written + ([_text(folder / "notes.txt", notes)] if notes else [])


def _fits(utterance: str, original: Path, decoded: Iterable[dict[str, Path]]) -> bool:
    """Whether the lines of an utterance read back as its id and its paths."""
    paths = [str(p.resolve()) for p in (original, *(found[utterance] for found in decoded if utterance in found))]
    broken = any(path != path.strip() or len(path.splitlines()) != 1 or path.endswith("|") for path in paths)
    return utterance.split() == [utterance] and not broken


def _commands(folder: Path, outputs: Iterable[str], has_text: bool) -> list[str]:
    """One command a codec; ``codecbench versa-import`` reads what it writes."""
    place = shlex.quote(str(folder.resolve()))
    text = f" --text {place}/text" if has_text else ""
    return [
        f"{_COMMAND} --gt {place}/gt.scp --pred {place}/{name}{text} --output_file {place}/{Path(name).stem}.jsonl"
        for name in outputs
    ]


def _notes(
    utterances: Iterable[str], originals: dict[str, Path], listed: dict[str, Path], texts: dict[str, str]
) -> Iterable[str]:
    for u in utterances:
        if u not in originals:
            yield f"not listed, its original is gone: {u!r}"
        elif u not in listed:
            yield f"not listed, white space in its id or a path that VERSA would read otherwise: {u!r}"
        elif texts and u not in texts:
            yield f"no transcript, so that VERSA passes over it where --text is given: {u!r}"


def _file_name(place: int, label: str) -> str:
    return f"{place:02d}-" + re.sub(r"[^A-Za-z0-9_.@-]+", "-", label).strip("-.")[:80]


def _list(path: Path, rows: dict[str, str]) -> Path:
    return _text(path, [f"{utterance} {value}" for utterance, value in rows.items()])


def _text(path: Path, lines: Iterable[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path
