"""LPCNet: exact bits, delay, reproducible audio, and a clear word where the library is missing."""

from __future__ import annotations

import numpy as np
import pytest
from codec_testing import digests, digests_in_new_process, host, open_named, round_trip, spectral_delay, speech

from codecbench import Bitstream, Codec
from codecbench.loading import prepare

LPCNET = "codecbench_lpcnet"


@pytest.fixture(scope="module")
def codec() -> Codec:
    """The codec; skips where its library is not installed."""
    prepared = prepare(host(LPCNET).registry, "lpcnet", {})
    if prepared.unavailable is not None:
        pytest.skip(str(prepared.unavailable))
    return open_named(LPCNET, "lpcnet")


def test_any_length_comes_back_with_52_bits_a_frame(codec: Codec) -> None:
    for length in (0, 1, 480, 3001):
        encoded, decoded = round_trip(codec, speech(16000)[:length], 16000)
        assert isinstance(encoded, Bitstream)
        frames = -(-(length + 890) // 480) if length else 0
        assert encoded.num_bits(0) == 52 * frames
        assert len(encoded.payloads[0]) == -(-52 * frames // 8)
        assert len(decoded) == length


def test_the_envelope_lies_on_the_inputs_and_speech_is_intelligible(codec: Codec) -> None:
    from pystoi import stoi

    audio = np.concatenate([speech(16000, 3.0), speech(16000, 3.0, clip=1)])
    _, decoded = round_trip(codec, audio, 16000)
    assert abs(spectral_delay(audio, decoded, 16000)) <= 48
    assert stoi(audio, decoded, 16000) > 0.8


def test_the_same_at_every_call_and_in_every_process(codec: Codec) -> None:
    first = digests(LPCNET, ["lpcnet"])
    assert digests(LPCNET, ["lpcnet"]) == first
    assert digests_in_new_process(LPCNET, ["lpcnet"]) == first


def test_without_the_library_the_install_line_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import ctypes

    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    prepared = prepare(host(LPCNET).registry, "lpcnet", {})
    assert prepared.unavailable is not None
    assert "apt-get install libcodec2-1.0" in str(prepared.unavailable)
