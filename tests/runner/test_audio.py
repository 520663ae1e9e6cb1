"""Decoded audio and tokens behind the records: kept, found again, and made when asked for later."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from codecbench.contracts.encoded import Tokens
from codecbench.errors import CodecbenchError
from codecbench.results import RunResults
from codecbench.runner import job as job_module
from codecbench.runner.run import RunOutcome
from codecbench.store.audio import AudioStore
from codecbench.store.shards import StoreError

Start = Callable[..., RunOutcome]


def test_audio_tokens_and_originals_are_found_through_the_results(toy_run: Start) -> None:
    outcome = toy_run(codecs=("toy-ceiling", "toy", "toy@1", "toy/half-rate"), keep_audio=True)
    artifacts = RunResults.load(outcome.folder).artifacts
    assert artifacts.utterances == tuple(f"u{i}" for i in range(10))
    reference = artifacts.reference("u3")
    kept = artifacts.audio("toy-ceiling", "u3")
    assert reference is not None
    assert kept is not None
    original, rate_hz = soundfile.read(reference)
    decoded, decoded_hz = soundfile.read(kept)
    assert decoded_hz == rate_hz
    np.testing.assert_allclose(decoded, original, atol=2.0**-15)
    half = artifacts.audio("toy/half-rate", "u3")
    assert half is not None
    assert soundfile.info(half).samplerate == 8000
    whole, cut = artifacts.tokens("toy", "u3"), artifacts.tokens("toy@1", "u3")
    assert isinstance(whole, Tokens)
    assert isinstance(cut, Tokens)
    assert (whole.streams[0].codes.shape[1], cut.streams[0].codes.shape[1]) == (2, 1)
    assert artifacts.text("u3") == "text 3"
    assert artifacts.tokens("toy-ceiling", "u3") is None


def test_a_run_folder_can_be_moved(toy_run: Start, tmp_path: Path) -> None:
    outcome = toy_run(keep_audio=True)
    moved = outcome.folder.rename(tmp_path / "elsewhere")
    artifacts = RunResults.load(moved).artifacts
    assert artifacts.audio("toy", "u0") is not None
    assert artifacts.tokens("toy", "u0") is not None


def test_audio_asked_for_later_is_decoded_without_scoring_again(toy_run: Start, tmp_path: Path) -> None:
    counter = tmp_path / "count"
    settings = {"toy-level": {"counter": str(counter)}}
    first = toy_run(settings=settings, keep_audio=False)
    assert first.results.artifacts.audio("toy", "u0") is None
    scored = counter.read_text()
    later = toy_run(settings=settings, keep_audio=True)
    assert all(later.results.artifacts.audio("toy", f"u{i}") for i in range(10))
    assert counter.read_text() == scored


def test_failed_audio_is_none_and_not_tried_again(toy_run: Start, tmp_path: Path) -> None:
    broken = {"toy-bad": {"fault": "nan"}}
    outcome = toy_run(codecs=("toy-ceiling", "toy-bad"), settings=broken, keep_audio=True)
    artifacts = outcome.results.artifacts
    assert artifacts.audio("toy-bad", "u0") is None
    assert artifacts.audio("toy-ceiling", "u0") is not None
    again = toy_run(codecs=("toy-ceiling", "toy-bad"), settings=broken, keep_audio=True)
    assert again.results.artifacts.audio("toy-bad", "u0") is None
    assert len(list((outcome.folder / "store" / "audio").rglob("*.none"))) == 10


def test_short_runs_keep_audio_by_themselves(toy_run: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    assert toy_run().results.artifacts.audio("toy", "u0") is not None
    monkeypatch.setattr(job_module, "KEEP_AUDIO_UP_TO_S", 1.0)
    assert toy_run(out=Path(toy_run().folder.parent / "long")).results.artifacts.audio("toy", "u0") is None


def test_audio_beyond_full_scale_is_clipped_not_wrapped(tmp_path: Path) -> None:
    store = AudioStore(tmp_path / "audio")
    store.put("key", np.array([0.0, 1.5, -1.5, 0.5], np.float32), 16000)
    path = store.path("key")
    assert path is not None
    np.testing.assert_allclose(soundfile.read(path)[0], [0, 1, -1, 0.5], atol=1e-4)


def test_a_store_that_cannot_be_written_is_an_error_with_nothing_left(tmp_path: Path) -> None:
    (tmp_path / "audio").write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="cannot write audio"):
        AudioStore(tmp_path / "audio").put("key", np.zeros(4, np.float32), 16000)


def test_a_broken_index_is_named(toy_run: Start) -> None:
    outcome = toy_run()
    (outcome.folder / "artifacts.parquet").write_bytes(b"not parquet")
    with pytest.raises(CodecbenchError, match=r"artifacts\.parquet cannot be read"):
        _ = RunResults.load(outcome.folder).artifacts
