"""Entropy, mutual information, growth and merges of codes on sources whose answers are known."""

from __future__ import annotations

import json

import numpy as np
import pytest
from task_testing import make
from token_testing import entropy, entropy_rate, markov_matrix, sample_chain, stationary, tokens, view

import codecbench_token_lm
from codecbench import CodecSpec, CodecView, Measurement, Status
from codecbench_token_lm.bpe import as_text, learn
from codecbench_token_lm.growth import expected_types, growth_exponent, ngram_counts
from codecbench_token_lm.information import LEAST_COVERAGE, estimate_entropy, estimate_pair
from codecbench_token_lm.sequences import Book

RATE_HZ = 50.0


def _book(codes: np.ndarray, size: int) -> Book:
    return Book("codes/0", size, codes, np.array([0, len(codes)]))


@pytest.mark.parametrize("shape", ["uniform", "zipf", "geometric"])
@pytest.mark.parametrize("size", [64, 1024])
def test_the_correction_takes_out_most_of_the_bias_where_little_has_been_seen(shape: str, size: int) -> None:
    rng, ranks = np.random.default_rng(0), np.arange(1, size + 1)
    weights = {"uniform": np.ones(size), "zipf": 1 / ranks, "geometric": (1 - 8 / size) ** ranks}[shape]
    share = weights / weights.sum()
    found = [estimate_entropy(rng.multinomial(size, share)) for _ in range(100)]
    assert np.mean([e.coverage for e in found]) > LEAST_COVERAGE
    true = entropy(share)
    plain, corrected = (np.mean([getattr(e, name) for e in found]) - true for name in ("plug_in_bits", "bits"))
    assert plain < -0.15
    assert abs(corrected) < abs(plain) / 3


@pytest.mark.parametrize("size", [8, 64])
def test_independent_codes_share_nothing_and_copies_share_all(size: int) -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, size, (2, 2 * size * size))
    pair = estimate_pair(first, second)
    assert pair.enough
    plug_in = pair.first.plug_in_bits + pair.second.plug_in_bits - pair.joint.plug_in_bits
    assert pair.mutual_bits < min(0.1, plug_in / 2)
    copied = estimate_pair(first, (first * 3 + 1) % size)
    assert copied.mutual_bits == pytest.approx(np.log2(size), rel=0.02)
    assert copied.conditional_bits < 0.05


def test_mutual_information_of_a_binary_symmetric_channel() -> None:
    rng = np.random.default_rng(0)
    sent, flipped = rng.integers(0, 2, 20000), rng.random(20000) < 0.11
    true = 1 - entropy(np.array([0.11, 0.89]))
    assert estimate_pair(sent, sent ^ flipped).mutual_bits == pytest.approx(true, abs=0.02)


def test_nothing_and_one_observation_have_no_entropy() -> None:
    assert estimate_entropy(np.zeros(4, np.int64)).bits == 0.0
    assert estimate_entropy(np.array([0, 1])).coverage == 0.0


def _found(codes: list[np.ndarray], sizes: tuple[int, ...], scorer: str = "token_structure") -> dict:
    given = view([tokens(np.atleast_2d(c), sizes, RATE_HZ) for c in codes], RATE_HZ)
    rows: list[Measurement] = make(codecbench_token_lm, scorer).score(given)
    return {(m.metric, m.component): m for m in rows}


def test_conditional_entropy_of_a_markov_source_is_its_rate() -> None:
    matrix, rng = markov_matrix(16, 4.0), np.random.default_rng(1)
    found = _found([sample_chain(matrix, 500, rng) for _ in range(20)], (16,))
    rate = entropy_rate(matrix)
    assert found["conditional_entropy_bits", "codes/0"].value == pytest.approx(rate, rel=0.02)
    information = found["temporal_information_bits", "codes/0"]
    assert information.value == pytest.approx(entropy(stationary(matrix)) - rate, rel=0.05)
    detail = json.loads(information.detail)
    assert detail["frames"] == 20 * 499
    assert detail["entropy_bits"] == pytest.approx(entropy(stationary(matrix)), rel=0.02)


def test_information_between_codebooks_is_told_for_neighbours_only_and_needs_coverage() -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(0, 8, 4000)
    found = _found([np.stack([first, first // 2, rng.integers(0, 8, 4000)])], (8, 4, 8))
    assert found["codebook_information_bits", "codes/0~codes/1"].value == pytest.approx(2.0, abs=0.01)
    assert found["codebook_information_bits", "codes/1~codes/2"].value == pytest.approx(0.0, abs=0.01)
    assert ("codebook_information_bits", "codes/0~codes/2") not in found
    few = _found([rng.integers(0, 1024, (2, 3000))], (1024, 1024))["codebook_information_bits", "codes/0~codes/1"]
    assert (few.status, few.value) == (Status.TOO_FEW_FRAMES, None)
    assert "3000 frames" in few.reason
    assert json.loads(few.detail)["information_bits_plug_in"] > 7  # what a naive estimate makes of nothing


def test_rarefaction_is_the_mean_over_draws() -> None:
    counts, rng = np.array([30, 10, 5, 3, 1, 1]), np.random.default_rng(0)
    population = np.repeat(np.arange(6), counts)
    draws = np.array([1, 7, 25, 50])
    simulated = [np.mean([len(set(rng.permutation(population)[:n])) for _ in range(3000)]) for n in draws]
    np.testing.assert_allclose(expected_types(counts, draws), simulated, rtol=0.02)
    assert expected_types(counts, draws)[-1] == pytest.approx(6)


def test_growth_is_one_where_all_is_new_and_zero_where_all_is_known() -> None:
    assert growth_exponent(np.ones(5000, np.int64)) == pytest.approx(1.0)
    assert growth_exponent(np.full(4, 5000)) == pytest.approx(0.0, abs=1e-9)


def test_growth_counts_runs_within_utterances() -> None:
    book = Book("codes/0", 3, np.array([0, 1, 2, 0, 1]), np.array([0, 3, 5]))
    assert sorted(ngram_counts(book, 2).tolist()) == [1, 2]  # 01 twice, 12 once; 20 would cross
    assert ngram_counts(book, 3).tolist() == [1]


def test_type_growth_keeps_its_curve_and_needs_a_hundred_pairs() -> None:
    rng = np.random.default_rng(0)
    found = _found([rng.integers(0, 64, 2000)], (64,))["type_growth", "codes/0"]
    curve = json.loads(found.detail)
    assert curve["pairs"][-1] == 1999
    assert 0.3 < found.value < 1
    assert _found([rng.integers(0, 64, 100)], (64,))["type_growth", "codes/0"].status is Status.TOO_FEW_FRAMES


def test_merges_are_those_of_the_algorithm() -> None:
    """Worked by hand: 01 is most frequent, then 01 with 01."""
    pytest.importorskip("tokenizers")
    texts = [as_text([0, 1, 0, 1, 2]), as_text([0, 1, 0, 1, 3])]
    merges = learn(texts, 4, 2)
    assert merges.merges == ((as_text([0]), as_text([1])), (as_text([0, 1]), as_text([0, 1])))
    assert [merges.lengths([as_text([0, 1, 0, 1, 0, 1])], n)[0] for n in (0, 1, 2)] == [6, 3, 2]


def test_merges_shorten_words_and_leave_noise_alone() -> None:
    pytest.importorskip("tokenizers")
    rng = np.random.default_rng(0)
    words = [rng.integers(0, 1000, 8) for _ in range(20)]
    speech = [np.concatenate([words[w] for w in rng.integers(0, 20, 25)]) for _ in range(60)]
    found = _found(speech, (1000,), "token_merges")
    assert found["bpe_compression", "codes/0"].value > 7
    curve = json.loads(found["bpe_token_rate", "codes/0"].detail)
    assert curve["merges"][0] == 0
    assert curve["tokens_per_second"][0] == pytest.approx(RATE_HZ)
    assert curve["tokens_per_second"] == sorted(curve["tokens_per_second"], reverse=True)
    noise = _found([rng.integers(0, 1000, 200) for _ in range(60)], (1000,), "token_merges")
    assert 1.0 <= noise["bpe_compression", "codes/0"].value < 1.05


@pytest.mark.parametrize("scorer", ["token_structure", "token_merges"])
def test_a_codec_without_tokens_has_no_structure(scorer: str) -> None:
    pytest.importorskip("tokenizers")
    nothing = CodecView("identity", CodecSpec("identity"), (), (), lambda: iter(()))
    assert {m.status for m in make(codecbench_token_lm, scorer).score(nothing)} == {Status.NOT_APPLICABLE}
