"""The light recogniser: it learns a language of codes, hears nothing in noise, and repeats to the digit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from task_testing import make, record
from token_testing import tokens

import codecbench_semantic
from codecbench import CodecSpec, CodecView, Measurement, Status, Tokens, TokenStream, Utterance
from codecbench_semantic.asr_model import CodeRecognizer

LETTERS = "abdehiknost "
STEPS = 150


def _spell(text: str, rng: np.random.Generator, frames: int, noise: bool) -> np.ndarray:
    """Each letter as ``frames`` codes of its own two, in the first codebook; the second says nothing."""
    codes = np.repeat([LETTERS.index(c) * 2 for c in text], frames)
    codes = codes + rng.integers(0, 2, len(codes))
    if noise:
        rng.shuffle(codes)
    return np.stack([codes, rng.integers(0, 24, len(codes))])


def _view(frames: int, rate_hz: float, noise: bool = False, utterances: int = 60) -> CodecView:
    rng, rows = np.random.default_rng(0), []
    words = ["the", "sand", "kids", "one", "boat", "not", "its", "hand", "ob"]
    for i in range(utterances):
        text = " ".join(rng.choice(words, 3))
        rows.append(
            (
                Utterance(f"u{i}", Path("x"), f"{text.upper()}!"),
                tokens(_spell(text, rng, frames, noise), (24, 24), rate_hz),
            )
        )
    records = [record("token_rate", u.id) for u, _ in rows]
    return CodecView("codec", CodecSpec("codec"), records, (), lambda: iter(rows))


def _score(view: CodecView, steps: int) -> tuple[list[Measurement], dict[str, float]]:
    found = list(make(codecbench_semantic, "asr_probe", {"steps": steps}).score(view))
    values = {}
    for metric in ("asr_probe_wer", "asr_probe_cer"):
        rows = [m for m in found if m.metric == metric and m.numerator is not None]
        values[metric] = sum(m.numerator for m in rows) / max(1, sum(m.denominator for m in rows))
    return found, values


def test_it_reads_a_language_that_the_codes_spell() -> None:
    """With but one code for each letter, several to the second: a doubled outcome needs a blank between."""
    found, values = _score(_view(1, 12.5), STEPS)
    assert values["asr_probe_wer"] < 0.1
    assert 0 < len(found) < 60  # two metrics of the held-out fifth


def test_it_hears_nothing_in_codes_without_order() -> None:
    assert _score(_view(1, 12.5, noise=True), STEPS)[1]["asr_probe_cer"] > 0.4


def test_it_repeats_to_the_digit_and_leaves_the_generator_alone() -> None:
    state = torch.random.get_rng_state()
    first, second = (_score(_view(3, 50.0, utterances=20), 10)[0] for _ in range(2))
    assert first == second
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(
    ("rate_hz", "pooling", "upsampling"), [(6.25, 1, 8), (12.5, 1, 4), (25.0, 2, 4), (50.0, 4, 4), (75.0, 6, 4)]
)
def test_every_codec_gives_about_fifty_outputs_a_second(rate_hz: float, pooling: int, upsampling: int) -> None:
    model = CodeRecognizer([16], 30, rate_hz)
    assert (model.pooling, model.upsampling) == (pooling, upsampling)
    outputs = -(-10 // pooling) * upsampling
    assert model(torch.zeros(2, 1, 10, dtype=torch.int64), torch.tensor([10, 3])).shape == (2, outputs, 31)


@pytest.mark.parametrize("rate_hz", [12.5, 50.0])
def test_padding_does_not_change_what_is_heard(rate_hz: float) -> None:
    model = CodeRecognizer([16, 16], 30, rate_hz).eval()
    codes = torch.randint(0, 16, (1, 2, 9))
    padded = torch.cat([codes, torch.randint(0, 16, (1, 2, 6))], 2)
    both = model(torch.cat([padded, torch.randint(0, 16, (1, 2, 15))]), torch.tensor([9, 15]))
    alone = model(codes, torch.tensor([9]))[0]
    torch.testing.assert_close(both[0, : len(alone)], alone)


def test_streams_of_another_rate_are_left_out_and_named() -> None:
    view = _view(3, 50.0, utterances=20)
    slow = TokenStream("slow", torch.zeros(1, 1, 4, dtype=torch.int64), torch.tensor([4]), 12.5, (8,))
    rows = [(u, Tokens((*e.streams, slow), e.num_samples)) for u, e in view.encoded() if isinstance(e, Tokens)]
    mixed = CodecView("codec", view.spec, view.records, (), lambda: iter(rows))
    assert '"streams_left_out": ["slow"]' in _score(mixed, 2)[0][0].detail


def test_few_utterances_and_no_tokens_have_no_value() -> None:
    few = make(codecbench_semantic, "asr_probe").score(_view(3, 50.0, utterances=5))
    assert {m.status for m in few} == {Status.TOO_FEW_FRAMES}
    nothing = CodecView("identity", CodecSpec("identity"), (), (), lambda: iter(()))
    assert {m.status for m in make(codecbench_semantic, "asr_probe").score(nothing)} == {Status.NOT_APPLICABLE}
