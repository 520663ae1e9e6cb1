"""Edits and damage of codes on toy codecs whose answers follow from their definition."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from task_testing import RATE_HZ, make, speech

import codecbench_stability
from codecbench import (
    Bitstream,
    CodecProbe,
    CodecSpec,
    Encoded,
    Measurement,
    Status,
    Tokens,
    TokenStream,
    Utterance,
    single_stream,
)
from codecbench_stability import transcoding
from codecbench_stability.alterations import ALTERATIONS, Setting, draws
from codecbench_stability.damage import corrupt_codes, lose_frames
from codecbench_stability.edits import code_edits

FRAME = 320


def _tokens(codes: np.ndarray, size: int, num_samples: int = 0) -> Tokens:
    given_codes = torch.from_numpy(np.asarray(codes, np.int64))[None]
    return single_stream(
        given_codes,
        num_frames=torch.tensor([given_codes.shape[2]]),
        num_samples=torch.tensor([num_samples]),
        frame_rate_hz=RATE_HZ / FRAME,
        codebook_sizes=(size,) * given_codes.shape[1],
    )


def _frames(audio: np.ndarray) -> np.ndarray:
    return np.pad(audio, (0, -len(audio) % FRAME)).reshape(-1, FRAME)


def quantiser(audio: np.ndarray) -> Tokens:
    """The first sample of each frame at 8 bits: nearly the identity, so that every change of level shows."""
    first = _frames(audio)[:, 0]
    codes = np.clip(np.round(first * 127), -128, 127).astype(np.int64) + 128
    return _tokens(codes[None], 256, len(audio))


def unquantised(encoded: Encoded) -> tuple[np.ndarray, int]:
    assert isinstance(encoded, Tokens)
    levels = (encoded.streams[0].codes[0, 0].numpy() - 128) / 127
    return np.repeat(levels, FRAME)[: int(encoded.num_samples[0])].astype(np.float32), RATE_HZ


def counter(audio: np.ndarray) -> Tokens:
    """Codes that follow from the number of frames alone: no alteration but a shorter signal shows."""
    frames = len(_frames(audio))
    return _tokens(np.arange(frames)[None] % 7, 7, len(audio))


def probe(
    audio: np.ndarray,
    encode: Callable[[np.ndarray], Encoded],
    decode: Callable[[Encoded], tuple[np.ndarray, int]] = unquantised,
    **spec: object,
) -> CodecProbe:
    utterance = Utterance("u1", Path("u1.wav"))
    return CodecProbe(utterance, "toy", CodecSpec("toy", **spec), audio, RATE_HZ, encode(audio), encode, decode)


def _edits(given_probe: CodecProbe) -> dict[str, Measurement]:
    return {m.component: m for m in make(codecbench_stability, "code_edits").score(given_probe)}


def _steps() -> np.ndarray:
    """Frames of constant level, every one another."""
    levels = np.random.default_rng(0).permutation(np.arange(-50, 50)) / 127
    return np.repeat(levels, FRAME).astype(np.float32)


def test_gain_changes_the_codes_that_it_must() -> None:
    audio = _steps()
    found = _edits(probe(audio, quantiser))
    before = quantiser(audio).streams[0].codes[0, 0].numpy()
    for name, level_db in (("gain-6dB", -6), ("gain+6dB", 6)):
        after = quantiser((audio * 10 ** (level_db / 20)).astype(np.float32)).streams[0].codes[0, 0].numpy()
        changed = int((before != after).sum())
        assert 0 < found[name].numerator <= changed
        assert found[name].denominator == 100
    detail = json.loads(found["gain-6dB"].detail)
    assert detail == {"codes": 100, "edits_pct": {"codes/0": found["gain-6dB"].value}}


def test_what_is_constant_within_a_frame_does_not_mind_a_part_of_it() -> None:
    """A quarter of a frame off the front of constant frames leaves every first sample where it was."""
    found = _edits(probe(_steps(), quantiser))
    assert found["shift-1/4-frame"].value == 0
    assert found["shift-1/2-frame"].value == 0


def test_a_codec_blind_to_its_input_is_stable() -> None:
    found = _edits(probe(speech()[: 100 * FRAME], counter, lambda e: (speech()[: int(e.num_samples[0])], RATE_HZ)))
    changed = {name: m.value for name, m in found.items() if m.value}
    assert changed == {}
    assert {m.status for m in found.values()} == {Status.OK}


def test_quantising_again_changes_nothing_and_a_late_codec_drifts() -> None:
    assert all(_edits(probe(_steps(), quantiser))[f"reencoded-{n}"].value == 0 for n in (1, 2, 3))

    def late(encoded: Encoded) -> tuple[np.ndarray, int]:
        audio, rate_hz = unquantised(encoded)
        return np.concatenate([np.zeros(FRAME, np.float32), audio])[: len(audio)], rate_hz

    found = _edits(probe(_steps(), quantiser, late))
    # Each round puts one frame of silence before and drops one at the end.
    assert [found[f"reencoded-{n}"].numerator for n in (1, 2, 3)] == [2, 4, 6]


def test_noise_changes_more_the_more_of_it_there_is() -> None:
    found = _edits(probe(speech()[: 200 * FRAME], quantiser))
    values = [found[f"noise-{snr}dB"].value for snr in (30, 20, 10)]
    assert 0 < values[0] < values[1] < values[2]
    again = _edits(probe(speech()[: 200 * FRAME], quantiser))
    assert {name: m.value for name, m in again.items()} == {name: m.value for name, m in found.items()}


def test_noise_has_the_ratio_that_its_name_says() -> None:
    audio = speech()
    for alteration in ALTERATIONS:
        if alteration.name.startswith("noise"):
            noise = alteration.apply(audio, Setting(RATE_HZ, FRAME, draws("u", "n"))) - audio
            snr_db = 10 * np.log10(np.mean(audio**2) / np.mean(noise**2))
            assert alteration.name == f"noise-{snr_db:.0f}dB"


def test_the_band_limit_takes_away_what_lies_above_it_and_resampling_next_to_nothing() -> None:
    by_name = {a.name: a for a in ALTERATIONS}
    t, setting = np.arange(RATE_HZ) / RATE_HZ, Setting(RATE_HZ, FRAME, draws("u", "b"))
    low, high = (np.sin(2 * np.pi * f * t).astype(np.float32) for f in (1000, 6000))
    limited = by_name["band-4kHz"].apply(low + high, setting)
    assert len(limited) == RATE_HZ
    middle = slice(1000, -1000)
    np.testing.assert_allclose(limited[middle], low[middle], atol=2e-3)
    np.testing.assert_allclose(
        by_name["resampled-44.1kHz"].apply(low + high, setting)[middle], (low + high)[middle], atol=2e-3
    )


def test_transcoded_speech_is_the_speech_and_not_the_same_samples() -> None:
    pytest.importorskip("av")
    alterations, missing = transcoding.make_transcoders()
    assert ([a.name for a in alterations], missing) == (["mp3-64kbps", "opus-16kbps"], {})
    audio = speech()
    for alteration in alterations:
        output = alteration.apply(audio, Setting(RATE_HZ, FRAME, draws("u", "t")))
        assert output.shape == audio.shape
        assert 0.8 < np.corrcoef(audio, output)[0, 1] < 0.99999


def test_a_transcoder_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> None:
        raise ImportError("No module named 'av'")

    monkeypatch.setattr(transcoding, "_mp3", absent)
    found = _edits(probe(_steps(), quantiser))
    assert found["mp3-64kbps"].status is Status.UNAVAILABLE
    assert "codecbench[classical]" in found["mp3-64kbps"].reason


def test_edits_are_the_least_number_of_changes() -> None:
    before, after = _tokens(np.array([[1, 2, 3, 4], [5, 5, 5, 5]]), 8), _tokens(np.array([[2, 3, 4], [5, 5, 6]]), 8)
    edits = code_edits(before, after)
    assert edits.edits == {"codes/0": 1, "codes/1": 2}
    assert (edits.total, edits.total_codes) == (3, 8)


def test_without_tokens_or_decoder_there_is_no_value() -> None:
    coded = probe(speech(), lambda audio: Bitstream((b"x",), torch.tensor([len(audio)])))
    assert {m.status for m in _edits(coded).values()} == {Status.NOT_APPLICABLE}
    assert {m.status for m in make(codecbench_stability, "code_damage").score(coded)} == {Status.NOT_APPLICABLE}
    blind = probe(_steps(), quantiser, encode_only=True)
    assert _edits(blind)["reencoded-1"].status is Status.NOT_APPLICABLE
    assert _edits(blind)["gain-6dB"].status is Status.OK
    assert {m.status for m in make(codecbench_stability, "code_damage").score(blind)} == {Status.NOT_APPLICABLE}
    short = _edits(probe(_steps()[:FRAME], quantiser, min_samples=FRAME))
    assert short["shift-1/4-frame"].status is Status.TOO_SHORT


@given(st.integers(1, 60), st.floats(0, 1), st.integers(0, 5))
def test_a_lost_frame_repeats_one_that_arrived(frames: int, share: float, seed: int) -> None:
    codes = np.stack([np.arange(frames), np.arange(frames) + 100])
    after = lose_frames(_tokens(codes, 200), share, np.random.default_rng(seed)).streams[0].codes[0].numpy()
    lost = np.random.default_rng(seed).random(frames + 1)[:frames] < share
    np.testing.assert_array_equal(after[1], after[0] + 100)  # all codebooks of a frame are lost together
    if not lost.all():
        np.testing.assert_array_equal(after[0][~lost], np.flatnonzero(~lost))
        assert not np.isin(after[0], np.flatnonzero(lost)).any()
        expected = [max((i for i in range(t + 1) if not lost[i]), default=np.argmin(lost)) for t in range(frames)]
        np.testing.assert_array_equal(after[0], expected)


def test_streams_lose_the_same_time_and_global_tokens_stay() -> None:
    def stream(name: str, rate_hz: float, frames: int) -> TokenStream:
        return TokenStream(name, torch.arange(frames)[None, None], torch.tensor([frames]), rate_hz, (1000,))

    tokens = Tokens((stream("slow", 10.0, 20), stream("fast", 40.0, 80), stream("global", 0.0, 5)), torch.tensor([1]))
    slow, fast, speaker = lose_frames(tokens, 0.4, np.random.default_rng(1)).streams
    lost = slow.codes[0, 0].numpy() != np.arange(20)
    np.testing.assert_array_equal(fast.codes[0, 0].numpy() != np.arange(80), np.repeat(lost, 4))
    assert 2 < lost.sum() < 18
    np.testing.assert_array_equal(speaker.codes[0, 0].numpy(), np.arange(5))


def test_corrupted_codes_are_others_of_the_book_in_the_share_asked_for() -> None:
    before = _tokens(np.full((2, 5000), 3), 8)
    after = corrupt_codes(before, 0.1, np.random.default_rng(0)).streams[0].codes[0].numpy()
    assert np.mean(after != 3) == pytest.approx(0.1, abs=0.01)
    counts = np.bincount(after[after != 3], minlength=8)
    assert counts[3] == 0
    assert counts.min() > 0 or counts.argmin() == 3
    assert set(np.flatnonzero(counts)) == {0, 1, 2, 4, 5, 6, 7}
    assert (before.streams[0].codes == 3).all()  # the tokens given are not touched
    assert torch.equal(corrupt_codes(_tokens(np.zeros((1, 9)), 1), 1.0, np.random.default_rng(0)).streams[0].codes,
                       torch.zeros(1, 1, 9, dtype=torch.int64))  # fmt: skip


def _pcm(audio: np.ndarray) -> Tokens:
    """Every sample a code, in 320 codebooks of 256 entries: a codec whose quality falls as codes do."""
    codes = np.clip(np.round(_frames(audio) * 127), -128, 127).astype(np.int64) + 128
    return _tokens(codes.T, 256, len(audio))


def _unpcm(encoded: Encoded) -> tuple[np.ndarray, int]:
    assert isinstance(encoded, Tokens)
    samples = ((encoded.streams[0].codes[0].numpy().T - 128) / 127).reshape(-1)
    return samples[: int(encoded.num_samples[0])].astype(np.float32), RATE_HZ


def test_quality_falls_as_more_is_lost_or_wrong() -> None:
    audio = speech()[: 3 * RATE_HZ]
    rows = make(codecbench_stability, "code_damage").score(probe(audio, _pcm, _unpcm))
    found = {(m.metric, m.component): m for m in rows}
    for kind in ("lost", "errors"):
        names = [f"{kind}-{share}%" for share in (1, 3, 10)]
        curve = [found["damaged_stoi", c].value for c in ("clean", *names)]
        assert curve == sorted(curve, reverse=True)
        assert curve[-1] < curve[0] - 0.005
        assert found["damaged_pesq_wb", "clean"].value > found["damaged_pesq_wb", f"{kind}-10%"].value
    assert found["damaged_stoi", "clean"].value > 0.99
    codes = 320 * len(_frames(audio))
    assert json.loads(found["damaged_stoi", "errors-10%"].detail)["codes_changed"] == pytest.approx(
        codes / 10, rel=0.02
    )


def test_a_delayed_output_is_compared_where_it_belongs() -> None:
    def late(encoded: Encoded) -> tuple[np.ndarray, int]:
        audio, rate_hz = _unpcm(encoded)
        return np.concatenate([np.zeros(400, np.float32), audio])[: len(audio)], rate_hz

    rows = make(codecbench_stability, "code_damage").score(probe(speech()[: 3 * RATE_HZ], _pcm, late))
    found = {m.component: m for m in rows if m.metric == "damaged_stoi"}
    assert json.loads(found["clean"].detail)["lag_samples_16k"] == 400
    assert found["clean"].value > 0.99
