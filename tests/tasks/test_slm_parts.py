"""Parts of the speech language model task that need no training: patterns, errors told apart, intervals, formats."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from codecbench import Bitstream, CodecSpec, Measurement, Status, Tokens, TokenStream, Unavailable, UsageError
from codecbench.plugins import load_plugins
from codecbench_slm.config import DataConfig
from codecbench_slm.corpus import usable
from codecbench_slm.crossed import crossed_interval
from codecbench_slm.delay import delayed, num_positions, undelayed
from codecbench_slm.robustness import spoken_errors
from codecbench_slm.sampling import Sampling, uniforms
from codecbench_slm.seeds import merged, seed_values
from codecbench_slm.specs import STT_METRICS
from codecbench_slm.speech import SpeechFormat
from codecbench_slm.text import learn
from codecbench_slm.train import Losses


@st.composite
def coded(draw: st.DrawFn) -> tuple[np.ndarray, tuple[int, ...]]:
    sizes = tuple(draw(st.lists(st.integers(1, 40), min_size=1, max_size=9)))
    frames = draw(st.integers(0, 12))
    rows = [draw(st.lists(st.integers(0, size - 1), min_size=frames, max_size=frames)) for size in sizes]
    return np.array(rows, np.int64).reshape(len(sizes), frames), sizes


@given(coded())
def test_the_delay_pattern_gives_the_codes_back(case: tuple[np.ndarray, tuple[int, ...]]) -> None:
    codes, sizes = case
    rows = delayed(codes, sizes)
    assert len(rows) == num_positions(codes.shape[1], len(sizes))
    back, is_ended = undelayed(rows, sizes)
    np.testing.assert_array_equal(back, codes)
    assert is_ended


@given(coded())
def test_no_code_comes_before_the_coarser_codes_of_its_frame(case: tuple[np.ndarray, tuple[int, ...]]) -> None:
    codes, sizes = case
    rows = delayed(codes, sizes)
    for book in range(len(sizes)):
        places = np.flatnonzero(rows[:, book] < sizes[book])
        np.testing.assert_array_equal(places, np.arange(codes.shape[1]) + book)
    # The end stands wherever the first book has no code left.
    assert (rows[codes.shape[1] :, 0] == sizes[0]).all()


@given(coded(), st.integers(0, 30))
def test_speech_that_was_cut_keeps_its_complete_frames(case: tuple[np.ndarray, tuple[int, ...]], kept: int) -> None:
    codes, sizes = case
    rows = delayed(codes, sizes)[:kept]
    back, is_ended = undelayed(rows, sizes)
    complete = min(codes.shape[1], max(0, len(rows) - len(sizes) + 1))
    np.testing.assert_array_equal(back, codes[:, :complete])
    assert is_ended == (len(rows) > codes.shape[1])


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("the cat sat on the mat", (0, 0, 0, 0)),
        ("the cat sat the mat", (0, 1, 0, 0)),
        ("the cat sat quietly on the mat", (0, 0, 1, 0)),
        ("the the cat sat on the mat", (0, 0, 0, 1)),
        ("the cat sat on the mat on the mat on the mat", (0, 0, 0, 6)),
        ("the dog sat on the mat", (1, 0, 0, 0)),
        ("", (0, 6, 0, 0)),
    ],
)
def test_errors_are_told_apart(said: str, expected: tuple[int, int, int, int]) -> None:
    errors = spoken_errors("the cat sat on the mat", said)
    found = (errors.substitutions, errors.deletions, errors.insertions, errors.repetitions)
    assert found == expected
    assert errors.errors == sum(expected)


def test_a_repetition_in_the_text_is_no_error() -> None:
    assert spoken_errors("one one seven", "one one seven").errors == 0
    assert spoken_errors("one one seven", "one one one seven").repetitions == 1


def test_sampling_follows_the_distribution_and_its_cut() -> None:
    probabilities = torch.tensor([0.1, 0.5, 0.3, 0.1])
    uniform = (torch.arange(10_000) + 0.5) / 10_000
    logits = probabilities.log().expand(10_000, 4)
    counts = torch.bincount(Sampling(1.0)(logits, uniform), minlength=4) / 10_000
    torch.testing.assert_close(counts, probabilities, atol=2e-3, rtol=0)
    cut = torch.bincount(Sampling(1.0, top_k=2)(logits, uniform), minlength=4) / 10_000
    torch.testing.assert_close(cut, torch.tensor([0.0, 0.625, 0.375, 0.0]), atol=2e-3, rtol=0)
    assert (Sampling(0.0)(logits, uniform) == 1).all()


def test_random_numbers_are_the_utterances_own() -> None:
    both, alone = uniforms(3, ["a", "b"], 5, 2), uniforms(3, ["b"], 5, 2)
    torch.testing.assert_close(both[1], alone[0])
    assert not torch.equal(both[0], both[1])
    assert not torch.equal(uniforms(4, ["b"], 5, 2), alone)


def _coverage(seeds: int, seed_spread: float) -> float:
    random = np.random.default_rng(0)
    hits = 0
    for _ in range(600):
        words = random.integers(5, 20, 60).astype(float)
        difficulty, luck = random.normal(0, 0.1, 60), random.normal(0, seed_spread, seeds)
        rate = 0.5 + difficulty[None] + luck[:, None] + random.normal(0, 0.1, (seeds, 60))
        interval = crossed_interval(rate * words, np.broadcast_to(words, rate.shape))
        assert interval.low is not None
        assert interval.high is not None
        hits += interval.low <= 0.5 <= interval.high
    return hits / 600


@pytest.mark.parametrize(("seeds", "spread"), [(1, 0.0), (3, 0.0), (3, 0.05), (6, 0.05)])
def test_intervals_over_utterances_and_seeds_cover_the_truth(seeds: int, spread: float) -> None:
    assert 0.93 <= _coverage(seeds, spread) <= 0.995


def test_an_interval_over_utterances_alone_would_be_too_narrow() -> None:
    """What the second axis is for: seeds that differ are not covered by utterances of one."""
    assert _coverage(1, 0.05) < 0.7


def _tokens(*streams: tuple[float, tuple[int, ...]], durations: bool = False) -> Tokens:
    made = tuple(
        TokenStream(
            f"s{i}",
            torch.zeros(1, len(sizes), 4, dtype=torch.int64),
            torch.tensor([4]),
            rate,
            sizes,
            torch.ones(1, 4, dtype=torch.int64) if durations else None,
        )
        for i, (rate, sizes) in enumerate(streams)
    )
    return Tokens(made, torch.tensor([1280]))


SPEC = CodecSpec("c", sample_rate_hz=16000)


def test_codes_go_through_the_format_unchanged() -> None:
    speech = SpeechFormat.of("c", SPEC, _tokens((50.0, (8,)), (50.0, (4, 4))))
    assert speech.codebook_sizes == (8, 4, 4)
    codes = np.array([[7, 1, 2], [3, 0, 1], [0, 1, 2]])
    tokens = speech.tokens(codes)
    assert [s.codes.shape[1] for s in tokens.streams] == [1, 2]
    np.testing.assert_array_equal(speech.codes(tokens), codes)
    assert int(tokens.num_samples[0]) == 960


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        (Bitstream((b"x",), torch.tensor([1])), "bit stream"),
        (_tokens((50.0, (8,)), (25.0, (8,))), "share one frame rate"),
        (_tokens((50.0, (8,)), (0.0, (8,))), "share one frame rate"),
        (_tokens((50.0, (8,)), durations=True), "durations"),
        (None, "no tokens"),
    ],
)
def test_codecs_whose_tokens_cannot_be_modelled_are_refused_with_the_reason(encoded: object, reason: str) -> None:
    with pytest.raises(Unavailable, match=reason):
        SpeechFormat.of("c", SPEC, encoded)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["characters", "bpe"])
def test_text_comes_back(kind: str) -> None:
    texts = ["hello there world", "où est la gare", "привет мир"]
    text = learn(kind, texts, 300)  # type: ignore[arg-type]
    for line in texts:
        assert text.decode([*text.encode(line), text.eos_id]) == line
        assert max(text.encode(line)) < text.size
    if kind == "characters":
        assert len(text.encode("hello there")) == len("hello there")


METRICS = {metric.name: metric for metric in STT_METRICS}


def test_lengths_are_measured_and_not_taken_from_headers(tmp_path: Path) -> None:
    rows = []
    for name, claimed_s in (("honest", 0.5), ("liar", 20.0)):
        path = tmp_path / f"{name}.flac"
        soundfile.write(path, 0.1 * np.sin(np.arange(8000) * 0.1), 16000)
        data = bytearray(path.read_bytes())
        data[22:26] = int(16000 * claimed_s).to_bytes(4, "big")  # the lower bits of the number of samples
        path.write_bytes(data)
        rows.append({"id": name, "audio": path.name, "text": "one two"})
    manifest = tmp_path / "lies.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert soundfile.info(tmp_path / "liar.flac").duration == 20.0
    registry, data = load_plugins().registry, DataConfig(min_duration_s=0.1, max_duration_s=30.0)
    found = usable(registry, str(manifest), data)
    assert next(found).duration_s == 0.5
    with pytest.raises(UsageError, match=r"lies.jsonl: audio file cannot be read .*liar.flac; mend it"):
        next(found)
    found = usable(registry, str(manifest), replace(data, exclude=("liar",)))
    assert [u.id for u in found] == ["honest"]


def test_seeds_become_one_row_that_still_holds_each() -> None:
    rows = {s: [Measurement("stt_wer", 100 * e / 4, numerator=e, denominator=4.0)] for s, e in ((0, 1), (1, 3))}
    (row,) = merged(rows, METRICS)
    assert (row.value, row.numerator, row.denominator) == (50.0, 4, 8)
    assert [(v.seed, v.numerator) for v in seed_values(row.detail)] == [(0, 1.0), (1, 3.0)]


def test_what_one_seed_lacks_is_lacking() -> None:
    rows = {
        0: [Measurement("stt_wer", 0.0, numerator=0.0, denominator=4.0)],
        1: [Measurement("stt_wer", status=Status.OUT_SILENT, reason="nothing")],
    }
    (row,) = merged(rows, METRICS)
    assert row.value is None
    assert row.status is Status.OUT_SILENT
    assert "seed 1" in row.reason
    assert seed_values(row.detail) == ()
    assert seed_values(json.dumps({"hypothesis": "x"})) == ()


def test_a_line_of_losses_stays_short_with_eighty_codebooks() -> None:
    line = str(Losses(1.0, tuple(float(k) for k in range(80))))
    assert line.endswith("15.000 … (mean of 80: 39.500) nats")
    assert str(Losses(1.0, (2.0, 3.0))) == "text 1.000  speech 2.000 3.000 nats"
