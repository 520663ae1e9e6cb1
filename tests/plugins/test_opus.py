"""Opus: lengths, delay, rates, and packets equal to those of FFmpeg's own wrapper of the same library."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from codec_testing import batch_of, host, open_named, round_trip, speech

from codecbench import Bitstream, UsageError
from codecbench.audio.delay import measure_delay
from codecbench.bitstreams import unpack_packets
from codecbench.names import resolve

av = pytest.importorskip("av")

CLASSICAL = "codecbench_classical"


@pytest.mark.parametrize("length", [0, 1, 215, 216, 217, 319, 320, 321, 16001])
def test_any_length_comes_back(length: int) -> None:
    encoded, decoded = round_trip(open_named(CLASSICAL, "opus:12kbps"), speech(16000)[:length], 16000)
    assert isinstance(encoded, Bitstream)
    assert len(decoded) == length
    assert encoded.num_bits(0) == sum(8 * len(p) for p in unpack_packets(encoded.payloads[0]))


def test_wideband_is_forced_where_asked_and_only_there() -> None:
    """The bandwidth stands in the top five bits of each packet (RFC 6716, table 2): 0-3 narrow, 8-11 wide SILK."""
    for name, allowed in (("opus:8kbps", range(4)), ("opus:8kbps-wb", range(8, 12))):
        encoded, _ = round_trip(open_named(CLASSICAL, name), speech(16000), 16000)
        assert isinstance(encoded, Bitstream)
        configurations = {packet[0] >> 3 for packet in unpack_packets(encoded.payloads[0])}
        assert configurations <= set(allowed)


@pytest.mark.parametrize("rate", ["6kbps", "8kbps-wb", "12kbps", "24kbps", "64kbps"])
def test_no_delay_is_left(rate: str) -> None:
    codec = open_named(CLASSICAL, f"opus:{rate}")
    for clip in range(3):
        audio = speech(16000, 8.0, clip)
        assert abs(measure_delay(audio, round_trip(codec, audio, 16000)[1], 16000) - 0) <= 1


def test_the_lookahead_is_the_declared_one() -> None:
    codec = open_named(CLASSICAL, "opus:12kbps")
    assert codec.spec.algorithmic_delay_samples == 320 + codec.lookahead_samples  # type: ignore[attr-defined]


def test_quality_and_measured_rate_rise_with_the_rate() -> None:
    """STOI rises at every step; the measured rate lies within a tenth of the nominal one on 12 s of speech."""
    from pystoi import stoi

    audio = np.concatenate([speech(16000, 4.0, clip) for clip in range(3)])
    scores = []
    for kbps in (6, 8, 12, 16, 24, 32):
        encoded, decoded = round_trip(open_named(CLASSICAL, f"opus:{kbps}kbps"), audio, 16000)
        assert isinstance(encoded, Bitstream)
        assert encoded.num_bits(0) / (len(audio) / 16000) == pytest.approx(1000 * kbps, rel=0.1)
        scores.append(stoi(audio, decoded, 16000))
    assert scores == sorted(scores)


def test_constant_rate_packets_are_of_one_size() -> None:
    codec = open_named(CLASSICAL, "opus:12kbps", {"opus": {"rate_control": "cbr"}})
    encoded, _ = round_trip(codec, speech(16000), 16000)
    assert isinstance(encoded, Bitstream)
    assert {len(packet) for packet in unpack_packets(encoded.payloads[0])} == {30}


def ffmpeg_packets(audio: np.ndarray, bitrate_bps: int) -> list[bytes]:
    """The same settings through FFmpeg's libopus wrapper."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 16000, "mono", "flt"
    encoder.bit_rate = bitrate_bps
    encoder.time_base = Fraction(1, 16000)
    encoder.options = {"application": "voip", "vbr": "constrained", "compression_level": "10"}
    encoder.open()
    packets = []
    for start in range(0, len(audio), 320):
        frame = av.AudioFrame.from_ndarray(audio[None, start : start + 320], format="flt", layout="mono")
        frame.sample_rate, frame.pts = 16000, start
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets + [bytes(packet) for packet in encoder.encode(None)]


@pytest.mark.parametrize("kbps", [8, 16])
def test_packets_equal_ffmpegs(kbps: int) -> None:
    audio = speech(16000, 3.0)[: 320 * 140]
    audio = (np.rint(audio * 32768) / 32768).astype(np.float32)
    encoded, _ = round_trip(open_named(CLASSICAL, f"opus:{kbps}kbps"), audio, 16000)
    assert isinstance(encoded, Bitstream)
    ours = list(unpack_packets(encoded.payloads[0]))
    assert ours[:140] == ffmpeg_packets(audio, 1000 * kbps)[:140]


def test_batch_equals_single() -> None:
    codec = open_named(CLASSICAL, "opus:16kbps")
    first, second = speech(16000, 1.01), speech(16000, 2.3, clip=1)
    together = codec.encode(batch_of(first, second, sample_rate_hz=16000))
    assert isinstance(together, Bitstream)
    for index, audio in enumerate((first, second)):
        alone = codec.encode(batch_of(audio, sample_rate_hz=16000))
        assert isinstance(alone, Bitstream)
        assert alone.payloads[0] == together.payloads[index]


@pytest.mark.parametrize("variant", ["5kbps", "511kbps", "12", "12kbit", "12kbps-nb"])
def test_wrong_variants_name_the_allowed_form(variant: str) -> None:
    with pytest.raises(UsageError, match="opus:<6 to 510>kbps"):
        resolve(host(CLASSICAL).registry, f"opus:{variant}")


def test_an_unlisted_rate_works() -> None:
    codec = open_named(CLASSICAL, "opus:13kbps")
    assert codec.spec.nominal_bitrate_bps == 13000
    round_trip(codec, speech(16000, 0.5), 16000)
