"""Recorded outputs: manifests and folders, lookup by utterance, lengths, rates, pages, and the published pairs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from codec_testing import host, speech

from codecbench import AudioPassthrough, BadInput, Batch, Codec, Corpus, Unavailable, UsageError, Utterance, Waveforms
from codecbench.audio.delay import align
from codecbench.audio.reading import read_audio
from codecbench.audio.resample import resample
from codecbench.loading import open_codec, prepare
from codecbench.options import resolve_options
from codecbench_recorded.codec import digest
from codecbench_recorded.command import main
from codecbench_recorded.manifest import read_recordings
from codecbench_recorded.pages import pages

RECORDED = "codecbench_recorded"


def open_recorded(name: str, manifest: Path, **options: str) -> Codec:
    """Open ``recorded:...`` over a manifest."""
    return open_codec(host(RECORDED).registry, name, {"recorded": {"manifest": str(manifest), **options}})


def open_pairs(manifest: Path, **options: str) -> Corpus:
    """Open the originals of a manifest as ``--corpus pairs:MANIFEST`` does."""
    entry = host(RECORDED).registry.corpora["pairs"]
    return entry.open(str(manifest), resolve_options("pairs", entry.spec.options, options))


def code(codec: Codec, utterance: Utterance) -> tuple[AudioPassthrough, Waveforms]:
    """Put one utterance through a codec."""
    import torch

    audio, rate_hz = read_audio(utterance)
    encoded = codec.encode(
        Batch(torch.from_numpy(audio)[None, None], torch.tensor([len(audio)]), rate_hz, (utterance,))
    )
    assert isinstance(encoded, AudioPassthrough)
    return encoded, codec.decode(encoded)


def write_manifest(folder: Path, rows: list[Mapping[str, Any] | str]) -> Path:
    """Write rows (as JSON, texts as they are) as a manifest."""
    file = folder / "manifest.jsonl"
    file.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two originals, and what two systems made of them: ``half`` (half the level) of both, ``late`` of one."""
    for number in (1, 2):
        audio = speech(16000, 1.0, clip=number)
        soundfile.write(tmp_path / f"u{number}.wav", audio, 16000)
        soundfile.write(tmp_path / f"half-u{number}.wav", 0.5 * audio, 16000)
    soundfile.write(tmp_path / "late-u1.wav", np.pad(speech(16000, 1.0, clip=1), (800, 0)), 16000)
    return tmp_path


def rows() -> list[Mapping[str, Any] | str]:
    """The manifest of ``folder``."""
    return [
        {"id": "u1", "system": "half", "bitrate_bps": 1500, "file": "half-u1.wav", "original": "u1.wav", "page": "p"},
        {"id": "u2", "system": "half", "bitrate": None, "file": "half-u2.wav", "original": "u2.wav", "text": "two"},
        {"id": "u1", "system": "late", "variant": "50ms", "file": "late-u1.wav", "original": "u1.wav", "page": "p"},
    ]


def test_the_recording_of_the_utterance_comes_out_with_its_stated_rate(folder: Path) -> None:
    codec = open_recorded("recorded:half", write_manifest(folder, rows()))
    for utterance in open_pairs(folder).utterances():
        encoded, decoded = code(codec, utterance)
        expected, _ = soundfile.read(folder / f"half-{utterance.id}.wav", dtype="float32")
        assert np.array_equal(decoded.row(0), expected)
        assert encoded.bitrate_bps == ((1500.0,) if utterance.id == "u1" else (None,))
        assert encoded.bitrate_source == ("stated by p" if utterance.id == "u1" else "stated in manifest.jsonl")


def test_a_recording_at_another_rate_is_brought_to_the_originals(folder: Path) -> None:
    original, _ = soundfile.read(folder / "u1.wav", dtype="float32")
    soundfile.write(folder / "half-u1.wav", resample(original, 16000, 24000), 24000, subtype="FLOAT")
    codec = open_recorded("recorded:half", write_manifest(folder, rows()))
    _, decoded = code(codec, Utterance("u1", folder / "u1.wav"))
    assert decoded.sample_rate_hz == 16000
    assert np.abs(decoded.row(0).numpy() - original)[100:-100].max() < 0.01


def test_lengths_within_the_tolerance_are_cut_and_others_are_left_to_the_runner(folder: Path) -> None:
    manifest = write_manifest(folder, rows())
    late = Utterance("u1", folder / "u1.wav")
    assert len(code(open_recorded("recorded:late-50ms", manifest), late)[1].row(0)) == 16000
    strict = open_recorded("recorded:late-50ms", manifest, length_tolerance_ms="40")
    assert len(code(strict, late)[1].row(0)) == 16800


def test_an_utterance_without_a_recording_is_told(folder: Path) -> None:
    codec = open_recorded("recorded:late-50ms", write_manifest(folder, rows()))
    with pytest.raises(Unavailable, match="'late-50ms' has no recording of utterance 'u2'"):
        code(codec, Utterance("u2", folder / "u2.wav"))
    (folder / "late-u1.wav").write_bytes(b"RIFF")
    with pytest.raises(BadInput, match=r"late-u1\.wav"):
        code(codec, Utterance("u1", folder / "u1.wav"))


def test_names_are_checked_against_the_manifest(folder: Path) -> None:
    manifest = write_manifest(folder, rows())
    with pytest.raises(UsageError, match=r"unknown system.*'hallf'; did you mean 'half'"):
        open_recorded("recorded:hallf", manifest)
    registry = host(RECORDED).registry
    assert "recorded.manifest=PATH" in str(prepare(registry, "recorded:half", {}).unavailable)
    bare = prepare(registry, "recorded", {"recorded": {"manifest": str(manifest)}})
    assert "name one, as in recorded:half" in str(bare.unavailable)
    with pytest.raises(UsageError, match="no manifest of recorded outputs at"):
        open_recorded("recorded:half", folder / "nothing.jsonl")


def test_the_identity_follows_the_contents_of_the_recordings(folder: Path) -> None:
    manifest = write_manifest(folder, rows())
    before = digest(read_recordings(manifest).of("half"))
    assert digest(read_recordings(manifest).of("half")) == before
    soundfile.write(folder / "half-u2.wav", np.zeros(16000), 16000)
    assert digest(read_recordings(manifest).of("half")) != before


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{not json", "not JSON"),
        ("[1]", "expected a JSON object"),
        ({"system": "a", "file": "u1.wav"}, "'id' must be a text"),
        ({"id": "x", "file": "u1.wav"}, "'system' must be a text"),
        ({"id": "x", "system": "a/b", "file": "u1.wav"}, "'a/b' must not be empty or hold"),
        ({"id": "x", "system": "a", "file": "../u1.wav"}, "'file' leaves the folder"),
        ({"id": "x", "system": "a", "file": "/etc/passwd"}, "'file' leaves the folder"),
        ({"id": "x", "system": "a", "file": "u1.wav", "original": "../../x.wav"}, "'original' leaves the folder"),
        ({"id": "x", "system": "a", "file": "u1.wav", "bitrate_bps": -3}, "the bitrate must be a positive number"),
        ({"id": "novariant", "reconstruction": "u1.wav"}, "'id' must be SYSTEM/UTTERANCE"),
    ],
)
def test_a_bad_line_is_a_problem_with_its_number_and_the_others_count(
    folder: Path, row: Mapping[str, Any] | str, reason: str
) -> None:
    recordings = read_recordings(write_manifest(folder, [*rows(), row]))
    assert len(recordings.entries) == 3
    (problem,) = recordings.problems
    assert problem.line == 4
    assert problem.reason.startswith("manifest.jsonl, line 4: ")
    assert reason in problem.reason
    utterances = list(open_pairs(folder).utterances())
    assert [u.id for u in utterances] == ["u1", "u2", "line-4"]
    assert utterances[-1].problem == problem.reason


def test_a_symbolic_link_cannot_leave_the_root_unless_allowed(folder: Path) -> None:
    inner = folder / "inner"
    inner.mkdir()
    (inner / "link.wav").symlink_to(folder / "u1.wav")
    manifest = write_manifest(inner, [{"id": "u1", "system": "a", "file": "link.wav"}])
    assert read_recordings(manifest).problems
    assert not read_recordings(manifest, allow_outside=True).problems


def test_a_folder_of_systems_needs_no_manifest(tmp_path: Path) -> None:
    for system in ("a", "b"):
        (tmp_path / system).mkdir()
        soundfile.write(tmp_path / system / "u1.flac", speech(16000, 0.5), 16000)
    (tmp_path / "a" / "notes.txt").write_text("not audio")
    recordings = read_recordings(tmp_path)
    assert recordings.systems == ("a", "b")
    assert [entry.utterance_id for entry in recordings.entries] == ["u1", "u1"]
    open_recorded("recorded:b", tmp_path)


def test_twice_the_same_utterance_is_refused(folder: Path) -> None:
    manifest = write_manifest(folder, [*rows(), rows()[0]])
    with pytest.raises(UsageError, match="more than one recording of 'u1'"):
        open_recorded("recorded:half", manifest)


def test_corpus_filters_and_the_listing_agree(folder: Path) -> None:
    manifest = write_manifest(folder, rows())
    assert [u.id for u in open_pairs(manifest, page="p").utterances()] == ["u1"]
    assert [u.id for u in open_pairs(manifest, systems="half,late-50ms").utterances()] == ["u1"]
    assert next(iter(open_pairs(manifest, systems="half").utterances())).text is None
    for options, what in (({"page": "q"}, "page"), ({"systems": "none"}, "system")):
        with pytest.raises(UsageError, match=f"unknown {what}"):
            open_pairs(manifest, **options)
    page = pages(read_recordings(manifest))[0]
    assert page.name == "p"
    assert page.common_ids() == ("u1",)
    listed = CliRunner().invoke(main, [str(manifest), "--names"], catch_exceptions=False)
    assert listed.output.strip() == "recorded:half,recorded:late-50ms"


def test_published_pairs_are_read_as_they_are(shared_dir: Path) -> None:
    """Counts as their README states them: 426 recordings of 98 originals; every file exists."""
    recordings = read_recordings(shared_dir / "pairs" / "manifest.jsonl")
    assert not recordings.problems
    assert len(recordings.entries) == 426
    assert all(entry.file.is_file() for entry in recordings.entries)
    utterances = list(open_pairs(shared_dir / "pairs").utterances())
    assert len({u.id for u in utterances}) == len(utterances) == 98
    assert sum(len(ids) for p in pages(recordings) for ids in p.systems.values()) == 426
    by_page = {p.name: p for p in pages(recordings)}
    assert len(by_page["x-codec-audio/x-codec-audio.github.io"].common_ids()) == 10
    mimi = by_page["Stability-AI/stable-codec-demo"].systems
    assert len(mimi["mimi-1100-8-codebooks"]) == 35
    assert len(mimi["mimi-550-4-codebooks"]) == 25


@pytest.mark.parametrize("system", ["mimi-1100-8-codebooks", "speechtokenizer-4000-xcodec-page-nq8"])
def test_published_pairs_score_as_when_they_were_gathered(shared_dir: Path, system: str) -> None:
    """PESQ and STOI of the first clips agree with the manifest's ``check`` fields, which another program measured."""
    from pesq import pesq
    from pystoi import stoi

    manifest = shared_dir / "pairs" / "manifest.jsonl"
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    checks = {Path(m["original"]).stem: m["check"] for m in lines if m["id"].startswith(f"{system}/")}
    codec = open_recorded(f"recorded:{system}", manifest)
    utterances = list(open_pairs(manifest, systems=system).utterances())[:3]
    for utterance in utterances:
        reference, rate_hz = read_audio(utterance)
        output = resample(code(codec, utterance)[1].row(0).numpy(), rate_hz, 16000)
        pair = align(resample(reference, rate_hz, 16000), output, checks[utterance.id]["lag_16k_samples"])
        assert pesq(16000, *pair, "wb") == pytest.approx(checks[utterance.id]["pesq_wb"], abs=0.05)
        assert stoi(*pair, 16000) == pytest.approx(checks[utterance.id]["stoi"], abs=0.005)
