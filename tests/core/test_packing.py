"""Packed tokens: whatever goes in comes out, at the width that the codebook needs."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from codecbench import Bitstream, Tokens, TokenStream
from codecbench.store.packing import PackedUtterance, code_width, pack, unpack


@st.composite
def streams(draw: st.DrawFn) -> TokenStream:
    sizes = tuple(draw(st.lists(st.sampled_from([2, 3, 10, 16, 1000, 1024, 4096, 16384, 65536]), max_size=4)))
    frames = draw(st.integers(0, 40))
    rows = [draw(st.lists(st.integers(0, size - 1), min_size=frames, max_size=frames)) for size in sizes]
    codes = torch.tensor(rows, dtype=torch.int64).reshape(1, len(sizes), frames)
    durations = torch.tensor([draw(st.lists(st.integers(1, 500), min_size=frames, max_size=frames))])
    return TokenStream(
        draw(st.text(max_size=5)),
        codes,
        torch.tensor([frames]),
        draw(st.sampled_from([0.0, 6.25, 12.5, 50.0])),
        sizes,
        durations.long() if draw(st.booleans()) else None,
        torch.tensor([17.5]) if draw(st.booleans()) else None,
    )


@given(st.lists(streams(), min_size=1, max_size=3), st.integers(1, 10**6))
def test_tokens_round_trip(made: list[TokenStream], num_samples: int) -> None:
    tokens = Tokens(tuple(made), torch.tensor([num_samples]))
    packed = pack(tokens)
    assert packed is not None
    restored = unpack(packed)
    assert isinstance(restored, Tokens)
    assert int(restored.num_samples[0]) == num_samples
    assert restored.num_bits(0) == pytest.approx(tokens.num_bits(0))
    for before, after in zip(tokens.streams, restored.streams, strict=True):
        assert torch.equal(before.codes, after.codes)
        assert (before.name, before.frame_rate_hz, before.codebook_sizes) == (
            after.name,
            after.frame_rate_hz,
            after.codebook_sizes,
        )
        assert (before.durations is None) == (after.durations is None)
        assert before.durations is None or torch.equal(before.durations, after.durations)  # type: ignore[arg-type]


@given(st.binary(max_size=200))
def test_bitstreams_round_trip(payload: bytes) -> None:
    packed = pack(Bitstream((payload,), torch.tensor([320]), (max(0, 8 * len(payload) - 3),)))
    assert packed is not None
    restored = unpack(packed)
    assert isinstance(restored, Bitstream)
    assert restored.payloads == (payload,)
    assert restored.num_bits(0) == max(0, 8 * len(payload) - 3)


@pytest.mark.parametrize("size", [2, 1000, 1024, 1025, 4096, 16384])
def test_codes_take_the_bits_they_need(size: int) -> None:
    codes = torch.randint(size, (1, 8, 100))
    packed = pack(Tokens((TokenStream("c", codes, torch.tensor([100]), 12.5, (size,) * 8),), torch.tensor([1])))
    assert packed is not None
    assert len(packed.payload) == 8 * math.ceil(100 * math.ceil(math.log2(size)) / 8)
    assert code_width(size) == math.ceil(math.log2(size))


def test_codes_out_of_range_are_refused() -> None:
    stream = TokenStream("c", torch.tensor([[[5]]]), torch.tensor([1]), 12.5, (4,))
    with pytest.raises(ValueError, match="of a codebook with 4 entries"):
        pack(Tokens((stream,), torch.tensor([1])))


@given(st.integers(0, 60))
def test_a_payload_that_does_not_fit_its_header_is_refused(cut: int) -> None:
    codes = torch.randint(1024, (1, 4, 20))
    packed = pack(Tokens((TokenStream("c", codes, torch.tensor([20]), 12.5, (1024,) * 4),), torch.tensor([9])))
    assert packed is not None
    broken = PackedUtterance(packed.kind, packed.num_samples, packed.header, packed.payload[:cut])
    with pytest.raises(ValueError, match="payload"):
        unpack(broken)
