"""The causal variant of the release: nothing looks ahead, and a stream is the offline result cut into pieces."""

from __future__ import annotations

import itertools

import pytest
import torch
from conftest import model_of
from hypothesis import given, settings
from hypothesis import strategies as st
from lmspt_made_up import SMALL_RELEASE

from codecbench_lmspt import LMSPT


@pytest.fixture(scope="module")
def causal() -> LMSPT:
    return model_of("release-causal", {**SMALL_RELEASE, "name": "release-causal", "causal": True})


def noise(samples: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return 0.2 * torch.randn(2, 1, samples, generator=generator, dtype=torch.float64)


AUDIO = noise(24 * 120)


@given(frame=st.integers(1, 119))
@settings(max_examples=20, deadline=None)
def test_a_prefix_of_the_input_gives_a_prefix_of_the_output(causal: LMSPT, frame: int) -> None:
    codes = causal.encode(AUDIO)
    assert torch.equal(causal.encode(AUDIO[..., : frame * 24]), codes[..., :frame])
    whole = causal.decode(codes)
    assert (causal.decode(codes[..., :frame]) - whole[..., : frame * 24]).abs().max() < 1e-10


@given(cuts=st.lists(st.integers(1, 24 * 120 - 1), max_size=12, unique=True))
@settings(max_examples=20, deadline=None)
def test_streaming_equals_offline_frame_for_frame(causal: LMSPT, cuts: list[int]) -> None:
    audio = AUDIO[..., : 24 * 120 - 5]
    session = causal.stream(batch_size=2)
    bounds = [0, *sorted(cut for cut in cuts if cut < audio.shape[-1]), audio.shape[-1]]
    pieces = [session.encode(audio[..., a:b]) for a, b in itertools.pairwise(bounds)]
    codes = torch.cat([*pieces, session.flush()], dim=-1)
    assert torch.equal(codes, causal.encode(audio))
    waves = [session.decode(part) for part in codes.split([1, 3, 60, 56], dim=-1)]
    assert (torch.cat(waves, dim=-1) - causal.decode(codes)).abs().max() < 1e-10


def test_a_flushed_session_starts_anew(causal: LMSPT) -> None:
    session = causal.stream(batch_size=2)
    first = torch.cat([session.encode(AUDIO), session.flush()], dim=-1)
    session.reset()
    assert torch.equal(torch.cat([session.encode(AUDIO), session.flush()], dim=-1), first)


def test_the_offline_model_does_look_ahead() -> None:
    model = model_of("release", SMALL_RELEASE)
    codes = model.encode(AUDIO)
    assert not torch.equal(model.encode(AUDIO[..., : 24 * 60]), codes[..., :60])


def test_rows_must_match_the_session(causal: LMSPT) -> None:
    with pytest.raises(ValueError, match="2 rows"):
        causal.stream(batch_size=2).encode(AUDIO[:1])
