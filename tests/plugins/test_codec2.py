"""Codec 2: exact bits, the delay of the spectral envelope, and frames equal to the system library's."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from codec_testing import (
    batch_of,
    digests,
    digests_in_new_process,
    open_named,
    round_trip,
    spectral_delay,
    speech,
)

from codecbench import Bitstream
from codecbench.audio.pcm import to_int16

pytest.importorskip("pycodec2")

CODEC2 = "codecbench_codec2"
MODES = {"3200": 64, "2400": 48, "1600": 64, "1400": 56, "1300": 52, "1200": 48, "700C": 28}


@pytest.mark.parametrize("variant", MODES)
def test_any_length_comes_back_with_whole_frames_of_bits(variant: str) -> None:
    codec = open_named(CODEC2, f"codec2:{variant}")
    for length in (0, 1, 160, 319, 321, 5001):
        encoded, decoded = round_trip(codec, speech(8000)[:length], 8000)
        assert isinstance(encoded, Bitstream)
        assert len(decoded) == length
        assert encoded.num_bits(0) % MODES[variant] == 0


@pytest.mark.parametrize("variant", MODES)
def test_rate_and_delay_are_the_declared_ones(variant: str) -> None:
    """With room for the delay, a second costs its nominal bits; log spectra lie within 3 ms of the input's."""
    codec = open_named(CODEC2, f"codec2:{variant}")
    delay = codec.delay_samples  # type: ignore[attr-defined]
    encoded, _ = round_trip(codec, speech(8000, 2.0)[: 16000 - delay], 8000)
    assert encoded.num_bits(0) == 2 * (codec.spec.nominal_bitrate_bps or 0)  # type: ignore[union-attr]
    clips = [speech(8000, 5.0, clip) for clip in range(3)]
    measured = [spectral_delay(audio, round_trip(codec, audio, 8000)[1], 8000) for audio in clips]
    assert abs(np.median(measured)) <= 24


def test_intelligibility_rises_with_the_rate() -> None:
    from pystoi import stoi

    audio = np.concatenate([speech(8000, 3.0, clip) for clip in range(3)])
    scores = [
        stoi(audio, round_trip(open_named(CODEC2, f"codec2:{v}"), audio, 8000)[1], 8000)
        for v in ("700C", "1300", "3200")
    ]
    assert scores == sorted(scores)
    assert scores[-1] > 0.85


def test_the_same_at_every_call_in_every_process_and_batch() -> None:
    """libcodec2's hidden generator would make a second decoding differ by a fifth of full scale."""
    names = ["codec2:3200", "codec2:700C"]
    first = digests(CODEC2, names)
    assert digests(CODEC2, names) == first
    assert digests_in_new_process(CODEC2, names) == first
    codec = open_named(CODEC2, "codec2:1300")
    one, other = speech(8000, 0.9), speech(8000, 1.5, clip=1)
    together = codec.decode(codec.encode(batch_of(one, other, sample_rate_hz=8000)))
    assert np.array_equal(together.row(1).numpy(), round_trip(codec, other, 8000)[1])


def test_frames_equal_those_of_the_system_library() -> None:
    """Debian's libcodec2 1.0, called through ctypes, codes the same bits as pycodec2's 1.2."""
    try:
        library = ctypes.CDLL("libcodec2.so.1.0")
    except OSError:
        pytest.skip("no system libcodec2 1.0: apt-get install libcodec2-1.0")
    library.codec2_create.restype = ctypes.c_void_p
    library.codec2_encode.argtypes = [ctypes.c_void_p] * 3
    state = library.codec2_create(4)  # CODEC2_MODE_1300
    audio = speech(8000, 2.0)[: 320 * 49]
    samples = to_int16(audio).reshape(-1, 320)
    theirs = b""
    for frame in samples:
        packed = np.zeros(7, np.uint8)
        library.codec2_encode(state, packed.ctypes.data, np.ascontiguousarray(frame).ctypes.data)
        theirs += packed.tobytes()
    encoded, _ = round_trip(open_named(CODEC2, "codec2:1300"), audio, 8000)
    assert isinstance(encoded, Bitstream)
    assert encoded.payloads[0][: len(theirs)] == theirs
