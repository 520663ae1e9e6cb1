"""N-gram models and the range coder: known sources, an independent implementation, round trips."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from task_testing import make, record
from token_testing import entropy_rate, ideal_bits, markov_matrix, sample_chain, tokens, total, view

import codecbench_token_lm
from codecbench import CodecSpec, CodecView, Measurement, Status, Tokens, TokenStream, UsageError, Utterance
from codecbench_token_lm import coder, heldout
from codecbench_token_lm.kneser_ney import KneserNey, modified_discounts
from codecbench_token_lm.sequences import Book, assign_folds

RATE_HZ = 50.0


def _book(sequences: list[list[int]], size: int, below: Book | None = None) -> Book:
    starts = np.concatenate([[0], np.cumsum([len(s) for s in sequences])]).astype(np.int64)
    return Book("codes/0", size, np.array([c for s in sequences for c in s], np.int64), starts, below)


class Reference:
    """Chen & Goodman's equations 24-26 read off the page, with dictionaries and a fixed discount."""

    def __init__(self, sequences: list[list[int]], size: int, order: int, discount: float) -> None:
        self.size, self.order, self.discount = size, order, discount
        raw: Counter[tuple[int, ...]] = Counter()
        for s in sequences:
            padded = [size] * (order - 1) + s
            raw.update(tuple(padded[i - order + 1 : i + 1]) for i in range(order - 1, len(padded)))
        self.counts: list[dict[tuple[int, ...], int]] = [{} for _ in range(order + 1)]
        self.counts[order] = dict(raw)
        for n in range(order - 1, 0, -1):
            before = defaultdict(set)
            for gram in self.counts[n + 1]:
                before[gram[1:]].add(gram[0])
            self.counts[n] = {gram: len(found) for gram, found in before.items()}

    def probability(self, history: tuple[int, ...], code: int) -> float:
        n = len(history) + 1
        lower = self.probability(history[1:], code) if history else 1 / self.size
        here = {gram: c for gram, c in self.counts[n].items() if gram[:-1] == history}
        if not here:
            return lower
        total_ = sum(here.values())
        own = max(here.get((*history, code), 0) - self.discount, 0) / total_
        return own + self.discount * len(here) / total_ * lower


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_probabilities_are_those_of_an_independent_implementation(order: int) -> None:
    rng, size = np.random.default_rng(order), 5
    sequences = [rng.integers(0, 4, length).tolist() for length in (40, 1, 25, 60)]  # code 4 is never seen
    reference = Reference(sequences, size, order, 0.3)
    book = _book(sequences, size)
    model = KneserNey.fit(book.codes, book.contexts(order), size, lambda counts: np.array([0, 0.3, 0.3, 0.3]))
    histories = list(product(range(size + 1), repeat=order - 1))
    nearest_first = [np.array([h[-1 - i] for h in histories]) for i in range(order - 1)]
    table = model.distributions(nearest_first, len(histories))
    wanted = [[reference.probability(h, code) for code in range(size)] for h in histories]
    np.testing.assert_allclose(table, wanted, rtol=1e-12)
    np.testing.assert_allclose(table.sum(axis=1), 1.0)
    for code in range(size):
        found = model.probability(np.full(len(histories), code), nearest_first)
        np.testing.assert_allclose(found, table[:, code], rtol=1e-12)


def test_modified_discounts_are_chen_and_goodmans() -> None:
    counts = np.repeat([1, 2, 3, 4, 9], [40, 20, 10, 8, 3])
    y = 40 / (40 + 2 * 20)
    np.testing.assert_allclose(modified_discounts(counts), [0, 1 - 2 * y / 2, 2 - 3 * y / 2, 3 - 4 * y * 0.8])
    assert modified_discounts(np.array([7, 9])).tolist() == [0, 0.5, 0.5, 0.5]


def _chains(matrix: np.ndarray, utterances: int, frames: int, seed: int = 0) -> list[Tokens]:
    rng = np.random.default_rng(seed)
    return [tokens(sample_chain(matrix, frames, rng)[None], (len(matrix),), RATE_HZ) for _ in range(utterances)]


def _score(codec_view: CodecView, **options: int) -> list[Measurement]:
    return list(make(codecbench_token_lm, "token_ngram", options).score(codec_view))


def _one(found: list[Measurement], metric: str, component: str = "") -> Measurement:
    (row,) = [m for m in found if m.metric == metric and m.component == component]
    return row


@pytest.mark.parametrize(("size", "sharpness"), [(2, 0.5), (16, 4.0), (64, 16.0)])
def test_cross_entropy_and_coder_converge_to_the_rate_of_a_markov_source(size: int, sharpness: float) -> None:
    matrix = markov_matrix(size, sharpness)
    excess = []
    for utterances in (10, 60):
        codes = _chains(matrix, utterances, 500)
        found = _score(view(codes, RATE_HZ))
        bits, coded = total(found, "ngram_bps"), total(found, "coded_bitrate_bps")
        assert bits * 0.999 < coded < bits + 1.1 * 2 * coder.WORD_BITS / 10.0  # 500 frames are ten seconds
        ideal = sum(ideal_bits(matrix, t.streams[0].codes[0, 0, :500].numpy()) for t in codes) / (utterances * 10.0)
        assert ideal == pytest.approx(entropy_rate(matrix) * RATE_HZ, rel=0.06)
        excess.append(bits / ideal - 1)
    assert -0.002 < excess[1] < 0.05
    assert excess[1] <= max(excess[0], 0.005)


def test_a_uniform_source_costs_its_fixed_length() -> None:
    rng = np.random.default_rng(0)
    codes = [tokens(rng.integers(0, 8, (1, 400)), (8,), RATE_HZ) for _ in range(40)]
    assert total(_score(view(codes, RATE_HZ)), "ngram_bps") == pytest.approx(3 * RATE_HZ, rel=0.02)


def test_a_codebook_that_copies_the_one_below_costs_nothing() -> None:
    rng = np.random.default_rng(0)
    first = [rng.integers(0, 8, 300) for _ in range(20)]
    codes = [tokens(np.stack([c, (c + 3) % 8]), (8, 8), RATE_HZ) for c in first]
    found = _score(view(codes, RATE_HZ))
    assert _one(found, "ngram_bits_per_code", "codes/0").value == pytest.approx(3.0, rel=0.02)
    assert _one(found, "ngram_bits_per_code", "codes/1").value < 0.05


def test_what_half_the_data_costs_falls_as_the_corpus_grows() -> None:
    matrix = markov_matrix(32, 4.0)
    losses = [
        _one(_score(view(_chains(matrix, utterances, 100), RATE_HZ)), "ngram_half_data_pct").value
        for utterances in (10, 200)
    ]
    assert losses[0] > 5
    assert 0 < losses[1] < losses[0] / 3


def test_global_tokens_and_side_information_cost_their_fixed_length() -> None:
    plain = _chains(markov_matrix(4, 4.0), 10, 100)
    speaker = TokenStream("speaker", torch.zeros(1, 2, 32, dtype=torch.int64), torch.tensor([32]), 0.0, (4096, 4096))
    costly = [replace(t.streams[0], side_info_bits=torch.tensor([7.0])) for t in plain]
    widened = [Tokens((stream, speaker), t.num_samples) for stream, t in zip(costly, plain, strict=True)]
    for metric in ("ngram_bps", "coded_bitrate_bps"):
        more = total(_score(view(widened, RATE_HZ)), metric) - total(_score(view(plain, RATE_HZ)), metric)
        assert more == pytest.approx((2 * 32 * 12 + 7) / 2.0)


def test_values_are_equal_whatever_the_order_of_the_corpus() -> None:
    codes = _chains(markov_matrix(8, 4.0), 12, 80)
    forward = view(codes, RATE_HZ)
    rows = list(forward.encoded())[::-1]
    backward = CodecView("codec", forward.spec, forward.records, (), lambda: iter(rows))
    found = [
        {m.utterance_id: m.value for m in _score(v) if m.metric == "coded_bitrate_bps"} for v in (forward, backward)
    ]
    assert found[0] == found[1]
    assert len(found[0]) == 12


def test_no_speaker_and_no_sentence_is_in_two_folds() -> None:
    def people(speakers: int) -> list[Utterance]:
        return [Utterance(f"u{i}", Path("x.wav"), f"text {i % 30}", f"s{i % speakers}") for i in range(120)]

    folds, split = assign_folds(people(24))
    assert split == "speaker"
    assert all(len({f for f, u in zip(folds, people(24), strict=True) if u.speaker == f"s{s}"}) == 1 for s in range(24))
    folds, split = assign_folds(people(3))
    assert split == "utterance"
    assert all(len(set(folds[i::30])) == 1 for i in range(30))
    assert set(folds) == {0, 1, 2, 3, 4}


codes_of_utterances = st.lists(
    st.integers(0, 40).flatmap(
        lambda n: st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2)), min_size=n, max_size=n)
    ),
    min_size=2,
    max_size=6,
)


@settings(max_examples=60)
@given(codes_of_utterances, st.integers(1, 4), st.integers(0, 3))
def test_the_coders_words_decode_to_the_codes(rows: list[list[tuple[int, int]]], order: int, fitted: int) -> None:
    """Also with a model that has seen nothing, or other utterances only."""
    below = _book([[a for a, _ in row] for row in rows], 7)
    books = [below, _book([[b for _, b in row] for row in rows], 3, below)]
    models = [
        KneserNey.fit(book.codes[:end], [c[:end] for c in book.contexts(order)], book.size)
        for book in books
        for end in [book.starts[min(fitted, len(rows))]]
    ]
    words = [coder.encode(models, books, u) for u in range(len(rows))]
    lengths = np.array([np.diff(book.starts) for book in books])
    decoded = coder.decode(models, books, words, lengths)
    for u, row in enumerate(rows):
        assert decoded[0][u, : len(row)].tolist() == [a for a, _ in row]
        assert decoded[1][u, : len(row)].tolist() == [b for _, b in row]


def test_a_coder_that_does_not_decode_gives_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    original = coder.encode

    def flip(*arguments: object) -> np.ndarray:
        words = original(*arguments)
        words[0] ^= np.uint32(1 << 31)
        return words

    monkeypatch.setattr(heldout.coder, "encode", flip)
    with pytest.raises(heldout.NotDecodableError, match="does not decode"):
        _score(view(_chains(markov_matrix(8, 4.0), 10, 80), RATE_HZ))


def test_all_codes_within_the_budget_are_decoded_again() -> None:
    found = _score(view(_chains(markov_matrix(8, 4.0), 10, 80), RATE_HZ))
    rows = [json.loads(m.detail) for m in found if m.metric == "coded_bitrate_bps"]
    assert all(row["decoded_back"] for row in rows)
    assert {row["codes_of_the_corpus"] for row in rows} == {800}
    found = _score(view(_chains(markov_matrix(8, 4.0), 10, 80), RATE_HZ), decode_codes=0)
    assert not any(json.loads(m.detail)["decoded_back"] for m in found if m.metric == "coded_bitrate_bps")


def test_without_tokens_or_utterances_to_hold_apart_there_is_no_value() -> None:
    nothing = CodecView("identity", CodecSpec("identity"), (), (), lambda: iter(()))
    assert {m.status for m in _score(nothing)} == {Status.NOT_APPLICABLE}
    single = _score(view(_chains(markov_matrix(8, 4.0), 1, 80), RATE_HZ))
    assert {m.status for m in single} == {Status.TOO_FEW_FRAMES}
    with pytest.raises(UsageError, match="max_order"):
        _score(nothing, max_order=0)


def test_an_utterance_that_failed_keeps_its_status() -> None:
    codec_view = view(_chains(markov_matrix(8, 4.0), 10, 80), RATE_HZ)
    failed = record("token_rate", "lost", status="backend_error", reason="it crashed")
    with_failure = CodecView("codec", codec_view.spec, [*codec_view.records, failed], (), codec_view.encoded)
    (row,) = [m for m in _score(with_failure) if m.utterance_id == "lost" and m.metric == "ngram_bps"]
    assert (row.status, row.reason, row.value) == (Status.BACKEND_ERROR, "it crashed", None)
