"""Generation: the same places whatever the batch, the cache, or the device's graphs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from codecbench_slm.config import ModelConfig
from codecbench_slm.generate import Generator
from codecbench_slm.model import SpeechLM, make_model
from codecbench_slm.sampling import Sampling
from codecbench_slm.sequences import Example, Layout, collate

# Matrices of this size gain nothing from threads, and lose much where others are at work.
torch.set_num_threads(1)
TINY = ModelConfig(layers=2, width=32, heads=2, feed_forward=64, max_positions=256)
EOS = 0
SAMPLING = Sampling(1.0, 0)
FRAMES = 14


def examples(sizes: tuple[int, ...], count: int = 5) -> list[Example]:
    random = np.random.default_rng(1)
    made = []
    for number in range(count):
        frames, letters = random.integers(2, 9), random.integers(2, 9)
        codes = np.stack([random.integers(0, size, frames) for size in sizes])
        made.append(Example(f"u{number}", random.integers(1, 20, letters), codes, float(frames)))
    return made


def model_of(sizes: tuple[int, ...], device: str = "cpu", dtype: torch.dtype = torch.float64) -> SpeechLM:
    model = make_model(TINY, sizes, 20, 0, seed=0)
    # Weights of the usual size give nearly even odds; larger ones make every place depend on what came before.
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(6)
    return model.to(device, dtype).eval()


def said(model: SpeechLM, sizes: tuple[int, ...], **how: Any) -> list[tuple[np.ndarray, bool]]:
    layout = Layout(sizes, EOS)
    some = examples(sizes)
    prompts = [layout.prompt(example, "tts") for example in some]
    generator = Generator(model, EOS, **how)
    return generator.speech(prompts, [example.id for example in some], FRAMES, SAMPLING, seed=7)


def written(model: SpeechLM, sizes: tuple[int, ...], **how: Any) -> list[list[int]]:
    layout = Layout(sizes, EOS)
    prompts = [layout.prompt(example, "stt") for example in examples(sizes)]
    return Generator(model, EOS, **how).text(prompts, 25)


def _same(a: list[tuple[np.ndarray, bool]], b: list[tuple[np.ndarray, bool]]) -> None:
    for (codes, ended), (other, other_ended) in zip(a, b, strict=True):
        np.testing.assert_array_equal(codes, other)
        assert ended == other_ended


@pytest.mark.parametrize("sizes", [(12,), (12, 5), (12, 5, 7, 3)])
def test_batched_and_cached_generation_equal_single_uncached_generation(sizes: tuple[int, ...]) -> None:
    model = model_of(sizes)
    plain = said(model, sizes, batch_size=1, cache="none")
    assert len({codes.shape[1] for codes, _ in plain}) > 1, "all of one length: padding would not be tested"
    assert any(ended for _, ended in plain)
    for how in ({"cache": "none"}, {"cache": "dynamic"}, {"cache": "static"}, {"cache": "dynamic", "batch_size": 2}):
        _same(said(model, sizes, **how), plain)
    text = written(model, sizes, batch_size=1, cache="none")
    for cache in ("none", "dynamic", "static"):
        assert written(model, sizes, cache=cache) == text


@pytest.mark.parametrize("sizes", [(12,), (12, 5, 7)])
def test_what_is_generated_is_what_the_loss_calls_likely(sizes: tuple[int, ...]) -> None:
    """Greedy codes, put back as a training sequence: each is the likeliest at its place, by the training pass."""
    model, layout = model_of(sizes), Layout(sizes, EOS)
    example = examples(sizes)[0]
    (codes, ended), *_ = Generator(model, EOS).speech(
        [layout.prompt(example, "tts")], ["u"], FRAMES, Sampling(), seed=0
    )
    again = Example("u", example.text, codes, 1.0)
    batch = collate([layout.sequence(again, "tts")])
    with torch.no_grad():
        hidden = model.hidden(model.embed(batch.items, batch.kind))[0]
    places = np.flatnonzero(batch.predicted[0].numpy())[: codes.shape[1] if not ended else None]
    checked = 0
    for book, logits in enumerate(model.speech_logits(hidden)):
        for order, place in enumerate(places):
            wanted = int(batch.items[0, place, book])
            if wanted < logits.shape[-1] and order - book < codes.shape[1] - (0 if ended else len(sizes)):
                scores = logits[place - 1].clone()
                if book == 0 and order == 0:
                    scores[sizes[0]] = -torch.inf
                assert int(scores.argmax()) == wanted
                checked += 1
    assert checked >= 3


def test_the_loss_does_not_depend_on_padding() -> None:
    sizes = (12, 5)
    model, layout = model_of(sizes), Layout(sizes, EOS)
    sequences = [layout.sequence(e, task) for e in examples(sizes) for task in ("stt", "tts")]  # type: ignore[arg-type]
    with torch.no_grad():
        together = model(collate(sequences))
        alone = [model(collate([s])) for s in sequences]
    torch.testing.assert_close(together.text, sum(n.text for n in alone), rtol=1e-6, atol=1e-5)
    torch.testing.assert_close(together.speech, sum(n.speech for n in alone), rtol=1e-6, atol=1e-5)
    counts = [e.codes.shape[1] for e in examples(sizes)]
    ends = len(sizes) - 1
    assert together.speech_count.tolist() == [sum(counts) + len(counts) * ends, sum(counts)]
    assert int(together.text_count) == sum(len(e.text) + 1 for e in examples(sizes))


def test_graphs_without_a_gpu_are_refused() -> None:
    from codecbench import UsageError

    with pytest.raises(UsageError, match="CUDA"):
        said(model_of((12,)), (12,), cache="graph")


@pytest.mark.gpu
@pytest.mark.parametrize("sizes", [(12,), (12, 5, 7, 3)])
def test_graphs_give_what_plain_steps_give(sizes: tuple[int, ...]) -> None:
    model = model_of(sizes, "cuda")
    plain = said(model, sizes, cache="none", batch_size=1)
    _same(said(model, sizes, cache="static"), plain)
    _same(said(model, sizes, cache="graph"), plain)
    assert written(model, sizes, cache="graph") == written(model, sizes, cache="none", batch_size=1)
