"""Corpora that lie: rows that reach outside, that are endless, that hold anything Unicode has."""

from __future__ import annotations

import json
import tracemalloc
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import soundfile

from codecbench import Utterance
from codecbench.results import RunResults
from codecbench.runner.config import RunConfig
from codecbench.runner.run import run
from codecbench_corpora.folders import MAX_TEXT_BYTES, open_folder, open_librispeech
from codecbench_corpora.manifest import MAX_NAME_CHARS, open_manifest
from tests.runner.conftest import TOY

# Lines are held one at a time, at most a megabyte of each.
MEMORY_LIMIT = 16 << 20


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.full(1600, 0.1), 16000)
    return path


def walk(manifest: Path, content: str | bytes) -> list[Utterance]:
    manifest.write_bytes(content if isinstance(content, bytes) else content.encode())
    tracemalloc.start()
    try:
        utterances = list(open_manifest(manifest).utterances())
        assert tracemalloc.get_traced_memory()[1] < MEMORY_LIMIT
    finally:
        tracemalloc.stop()
    return utterances


@pytest.mark.parametrize("name", ["m.jsonl", "m.csv"])
@pytest.mark.parametrize(
    "outside", ["../secret.wav", "/etc/passwd", "sub/../../secret.wav", "link/secret.wav", "C:/../../../secret.wav"]
)
def test_no_row_reaches_outside_of_the_folder(tmp_path: Path, name: str, outside: str) -> None:
    (tmp_path / "secret.wav").touch()
    folder = tmp_path / "corpus"
    (folder / "sub").mkdir(parents=True)
    (folder / "link").symlink_to(tmp_path)
    content = json.dumps({"audio": outside}) if name == "m.jsonl" else f"audio\n{outside}\n"
    (utterance,) = walk(folder / name, content)
    assert "leaves the manifest's folder" in str(utterance.problem)


@pytest.mark.parametrize(("name", "row"), [("m.jsonl", b'{"audio": "a.wav"}'), ("m.csv", b"a.wav,x")])
def test_a_line_of_ten_megabytes_costs_that_line(tmp_path: Path, audio: Path, name: str, row: bytes) -> None:
    header = b"audio,text\n" if name == "m.csv" else b""
    for filler in (b"x", b'"', b",", b"[", b"\0", b"\xff"):
        content = header + row + b"\n" + filler * (10 << 20) + b"\n" + row
        first, *bad, last = walk(tmp_path / name, content)
        assert first.problem is last.problem is None
        assert first.audio == last.audio == audio
        assert bad
        assert all("line" in str(u.problem) for u in bad)


def test_a_quote_that_is_never_closed_costs_the_rows_of_one_field(tmp_path: Path, audio: Path) -> None:
    rows = (b"a.wav," + b"long text " * 100 + b"\n") * 400
    bad, *good = walk(tmp_path / "m.csv", b'audio,text\n"open' + rows)
    assert "not CSV (field larger than" in str(bad.problem)
    assert {u.problem for u in good} == {None}
    assert len(good) > 250


@pytest.mark.parametrize(
    ("field", "value", "part"),
    [
        ("id", "x" * (MAX_NAME_CHARS + 1), "513 characters"),
        ("id", "tab\there", "control character"),
        ("id", "nul\0here", "control character"),
        ("speaker", "line\nbreak", "control character"),
        ("id", True, "must be text, not bool"),
        ("text", "nul\0here", "NUL"),
        ("text", ["a"], "must be text, not list"),
        ("sha256", "0" * 63, "64 hexadecimal digits"),
        ("sha256", "../../" + "0" * 58, "64 hexadecimal digits"),
        ("seconds", "long", "'seconds' must be a number"),
        ("seconds", float("nan"), "'seconds' must be a number"),
        ("seconds", -1, "'seconds' must be a number"),
        ("seconds", 10**400, "'seconds' must be a number"),
        ("seconds", [1], "'seconds' must be a number"),
        ("audio", "a" * 5000, "5000 characters"),
        ("audio", "a\0.wav", "must be the path"),
    ],
)
def test_a_field_that_cannot_be_used_is_named(
    tmp_path: Path, audio: Path, field: str, value: object, part: str
) -> None:
    (utterance,) = walk(tmp_path / "m.jsonl", json.dumps({"audio": "a.wav", field: value}))
    assert part in str(utterance.problem)
    assert "line 1" in str(utterance.problem)
    assert len(str(utterance.problem)) < 500


def test_stated_facts_are_taken(tmp_path: Path, audio: Path) -> None:
    (utterance,) = walk(tmp_path / "m.jsonl", json.dumps({"audio": "a.wav", "sha256": "AB" * 32, "seconds": 1.5}))
    assert (utterance.sha256, utterance.duration_s) == ("ab" * 32, 1.5)
    (utterance,) = walk(tmp_path / "m.csv", "audio,seconds\na.wav,2\n")
    assert utterance.duration_s == 2.0


NAMES = (
    unicodedata.normalize("NFC", "é"),
    unicodedata.normalize("NFD", "é"),
    "case",
    "CASE",
    "..",
    "../up",
    "a/b",
    "CON",
    "-rf",
    "$(touch x)",
    "<script>alert(1)</script>",
    "שלום",
    "\u202egnp.exe",
    "\U0001f600" * 100,
    "\u200b",
    "%s{}",
    "n" * MAX_NAME_CHARS,
)


def test_ids_of_every_kind_stay_apart_through_a_whole_run(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    rows = []
    for index, name in enumerate([*NAMES, "case", "lone \ud800 surrogate"]):
        soundfile.write(folder / f"{index}.wav", 0.01 * (index + 1) * np.sin(np.arange(1600) * 0.3), 16000)
        rows.append(json.dumps({"id": name, "audio": f"{index}.wav", "text": name}))
    manifest = folder / "m.jsonl"
    manifest.write_text("\n".join(rows), "ascii")
    config = RunConfig(
        out=tmp_path / "run",
        codecs=("toy-ceiling", "toy"),
        corpus=str(manifest),
        tasks=("toy-task",),
        reports=("tables",),
        workers=1,
        keep_audio=True,
        plugin_files=(TOY,),
    )
    run(config)
    results = RunResults.load(tmp_path / "run")
    found = results.records[(results.records.codec == "toy") & (results.records.metric == "toy_error")]
    statuses = dict(zip(found.utterance_id, found.status, strict=True))
    assert {name for name, status in statuses.items() if status == "ok"} == set(NAMES)
    assert statuses["case#2"] == statuses["lone ? surrogate"] == "bad_input"
    assert len(statuses) == len(NAMES) + 2
    kept = {results.artifacts.audio("toy", name) for name in NAMES}
    assert len(kept) == len(NAMES)
    assert all(path is not None and path.is_relative_to(tmp_path / "run") for path in kept)
    assert not (tmp_path / "x").exists()


def test_a_transcript_file_cannot_lead_outside_or_be_endless(tmp_path: Path) -> None:
    chapter = tmp_path / "1089" / "134686"
    chapter.mkdir(parents=True)
    soundfile.write(tmp_path / "secret.flac", np.full(1600, 0.1), 16000)
    soundfile.write(chapter / "1089-134686-0000.flac", np.full(1600, 0.1), 16000)
    transcripts = chapter / "1089-134686.trans.txt"
    transcripts.write_bytes(b"../../secret TEXT\n/etc/passwd TEXT\n\xff\xfe\0 TEXT\n1089-134686-0000 HE \xff HOPED\n")
    *bad, good = open_librispeech(tmp_path).utterances()
    assert all("not the name of an utterance" in str(u.problem) for u in bad)
    assert len({u.id for u in bad}) == len(bad) == 3
    assert (good.problem, good.text) == (None, "HE \ufffd HOPED")
    transcripts.write_bytes(b"x" * (MAX_TEXT_BYTES + 1))
    (one,) = open_librispeech(tmp_path).utterances()
    assert "no transcript" in str(one.problem)


def test_a_sidecar_of_a_folder_cannot_be_endless(tmp_path: Path, audio: Path) -> None:
    audio.with_suffix(".txt").write_bytes(b"x" * (MAX_TEXT_BYTES + 1))
    (utterance,) = open_folder(tmp_path).utterances()
    assert "no transcript" in str(utterance.problem)
    audio.with_suffix(".txt").write_bytes(b"a\0b\xff")
    (utterance,) = open_folder(tmp_path).utterances()
    assert utterance.text == "a\ufffdb\ufffd"
