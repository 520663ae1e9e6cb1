"""FFmpeg's codecs and Vorbis: lengths, rates, delays, quality, and agreement with independent decoders."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from codec_testing import batch_of, digests, digests_in_new_process, host, open_named, round_trip, snr_db, speech

from codecbench import Bitstream, Unavailable, UsageError
from codecbench.audio.delay import measure_delay
from codecbench.bitstreams import pack_packets, unpack_packets
from codecbench.loading import prepare
from codecbench.names import resolve

av = pytest.importorskip("av")

CLASSICAL = "codecbench_classical"
# family -> variants from the lowest rate to the highest
VARIANTS = {
    "g722": ("48kbps", "56kbps", "64kbps"),
    "amr-nb": ("4.75kbps", "7.95kbps", "12.2kbps"),
    "amr-wb": ("6.6kbps", "12.65kbps", "23.85kbps"),
    "g723.1": ("6.3kbps",),
    "mp3": ("16kbps", "32kbps", "64kbps"),
    "aac": ("16kbps", "32kbps", "64kbps"),
    "gsm": ("13kbps",),
    "speex": ("9.8kbps", "16.8kbps", "27.8kbps"),
    "vorbis": ("q0", "q2", "q5"),
}


def available(family: str) -> list[str]:
    """Names of a family's variants, lowest rate first; skips where this PyAV cannot make them."""
    names = [f"{family}:{variant}" for variant in VARIANTS[family]]
    prepared = prepare(host(CLASSICAL).registry, names[0], {})
    if prepared.unavailable is not None:
        pytest.skip(str(prepared.unavailable))
    return names


@pytest.mark.parametrize("family", VARIANTS)
def test_any_length_comes_back(family: str) -> None:
    codec = open_named(CLASSICAL, available(family)[-1])
    rate_hz = codec.spec.sample_rate_hz or 0
    for length in (0, 1, 159, 161, 1023, 1025, 8001):
        encoded, decoded = round_trip(codec, speech(rate_hz)[:length], rate_hz)
        assert isinstance(encoded, Bitstream)
        assert len(decoded) == length


@pytest.mark.parametrize("family", VARIANTS)
def test_no_delay_is_left(family: str) -> None:
    """At the family's highest rate, where the correlation is sharpest, the output lies on the input."""
    codec = open_named(CLASSICAL, available(family)[-1])
    rate_hz = codec.spec.sample_rate_hz or 0
    for clip in range(3):
        audio = speech(rate_hz, 6.0, clip)
        _, decoded = round_trip(codec, audio, rate_hz)
        assert abs(measure_delay(audio, decoded, rate_hz) - codec.spec.output_delay_samples) <= 1


@pytest.mark.parametrize("family", VARIANTS)
def test_quality_and_rate_rise_together(family: str) -> None:
    from pystoi import stoi

    scores, rates = [], []
    for name in available(family):
        codec = open_named(CLASSICAL, name)
        rate_hz = codec.spec.sample_rate_hz or 0
        audio = np.concatenate([speech(rate_hz, 3.0, clip) for clip in range(2)])
        encoded, decoded = round_trip(codec, audio, rate_hz)
        measured_bps = encoded.num_bits(0) / (len(audio) / rate_hz)  # type: ignore[union-attr]
        if codec.spec.nominal_bitrate_bps is not None:
            assert measured_bps == pytest.approx(codec.spec.nominal_bitrate_bps, rel=0.12)
        scores.append(stoi(audio, decoded, rate_hz))
        rates.append(measured_bps)
    assert scores == sorted(scores)
    assert rates == sorted(rates)
    assert scores[-1] > 0.9


@pytest.mark.parametrize("family", ["g722", "amr-nb", "amr-wb", "gsm", "speex"])
def test_frames_cost_exactly_their_nominal_bits(family: str) -> None:
    """At a whole number of frames beyond the delay the measured rate is the nominal one to the bit."""
    for name in available(family):
        codec = open_named(CLASSICAL, name)
        rate_hz = codec.spec.sample_rate_hz or 0
        delay = codec.family.delay_samples  # type: ignore[attr-defined]
        encoded, _ = round_trip(codec, speech(rate_hz, 1.0)[: rate_hz - delay], rate_hz)
        assert encoded.num_bits(0) == codec.spec.nominal_bitrate_bps  # type: ignore[union-attr]


@pytest.mark.parametrize("family", VARIANTS)
def test_batch_equals_single(family: str) -> None:
    codec = open_named(CLASSICAL, available(family)[0])
    rate_hz = codec.spec.sample_rate_hz or 0
    rows = speech(rate_hz, 0.71), speech(rate_hz, 1.3, clip=1)
    together = codec.encode(batch_of(*rows, sample_rate_hz=rate_hz))
    for index, audio in enumerate(rows):
        alone = codec.encode(batch_of(audio, sample_rate_hz=rate_hz))
        assert alone.payloads[0] == together.payloads[index]  # type: ignore[union-attr]


def test_the_same_in_another_process() -> None:
    names = ["opus", "opus:6kbps-wb", "g722", "amr-nb", "g723.1", "mp3", "aac", "vorbis"]
    assert digests_in_new_process(CLASSICAL, names) == digests(CLASSICAL, names)


def test_g722_at_56_kbps_drops_the_lowest_bit_of_the_64_kbps_stream() -> None:
    """The lower modes are embedded: their bits are the 64 kbit/s stream's without the last of each byte."""
    audio = speech(16000, 1.0)
    full, part = (
        open_named(CLASSICAL, f"g722:{kbps}kbps").encode(batch_of(audio, sample_rate_hz=16000)).payloads[0]  # type: ignore[union-attr]
        for kbps in (64, 56)
    )
    octets = np.frombuffer(full, np.uint8)
    bits = np.unpackbits(np.frombuffer(part, np.uint8))[: 7 * len(octets)].reshape(-1, 7)
    assert np.array_equal(bits, np.unpackbits(octets[:, None], axis=1)[:, :7])


def test_vorbis_equals_libvorbis_decoding_of_the_whole_file() -> None:
    """FFmpeg decodes our bare packets to what libvorbis decodes from the Ogg file."""
    audio = speech(16000, 3.0)[:40001]
    ogg = io.BytesIO()
    with soundfile.SoundFile(ogg, "w", 16000, 1, format="OGG", subtype="VORBIS", compression_level=0.5) as file:
        for start in range(0, len(audio), 1024):  # the pieces decide the first block, as in the codec
            file.write(audio[start : start + 1024])
    size = len(ogg.getvalue())
    ogg.seek(0)
    theirs, _ = soundfile.read(ogg, dtype="float32")
    encoded, ours = round_trip(open_named(CLASSICAL, "vorbis:q5"), audio, 16000)
    assert np.abs(ours - theirs).max() < 1e-5
    assert 0.5 * size < encoded.num_bits(0) / 8 < size  # type: ignore[union-attr]


@pytest.mark.parametrize("variant", ["q0", "q0.49", "q0.5", "q2", "q4.99", "q5", "q10"])
def test_vorbis_states_the_size_of_its_setup(variant: str) -> None:
    """The two headers that a decoder needs, told to the byte; the third holds comments, and ours is not sent."""
    codec = open_named(CLASSICAL, f"vorbis:{variant}")
    lengths, headers = codec.setup[1:3], codec.setup[3:]  # type: ignore[attr-defined]
    assert codec.setup[0] == 2  # type: ignore[attr-defined]
    assert headers[:7] == b"\x01vorbis"
    comments = headers[lengths[0] :][: lengths[1]]
    assert comments[:7] == b"\x03vorbis"
    assert codec.spec.setup_bytes == len(headers) - len(comments)
    assert f"{codec.spec.setup_bytes} bytes" in codec.spec.notes[0]


def test_the_setup_is_the_same_for_every_utterance_and_no_part_of_the_rate() -> None:
    codec = open_named(CLASSICAL, "vorbis:q2")
    setups = [codec._packets(speech(16000, seconds, clip))[1] for seconds, clip in ((0.3, 0), (3.0, 1))]  # type: ignore[attr-defined]
    assert set(setups) == {codec.setup}  # type: ignore[attr-defined]
    encoded, _ = round_trip(codec, speech(16000, 1.0), 16000)
    assert encoded.num_bits(0) == 8 * sum(len(p) for p in unpack_packets(encoded.payloads[0]))  # type: ignore[union-attr]
    assert codec.setup[-100:] not in encoded.payloads[0]  # type: ignore[attr-defined, union-attr]


def test_what_a_decoder_is_told_beforehand_is_stated_for_all_of_ffmpegs_codecs() -> None:
    for family in ("g722", "amr-nb", "g723.1", "mp3", "aac"):
        for name in available(family):
            codec = open_named(CLASSICAL, name)
            assert codec.spec.setup_bytes == len(codec.extradata or b"")  # type: ignore[attr-defined]


def test_mp3_packets_decode_alike_in_libsndfile() -> None:
    """Our packets, one after another, are an MP3 file; libsndfile's mpg123 decodes it to the same speech."""
    audio = speech(16000, 3.0)
    codec = open_named(CLASSICAL, "mp3:32kbps")
    encoded, ours = round_trip(codec, audio, 16000)
    file = io.BytesIO(b"".join(unpack_packets(encoded.payloads[0])))  # type: ignore[union-attr]
    theirs, rate_hz = soundfile.read(file, dtype="float32")
    assert rate_hz == 16000
    lag = measure_delay(audio, theirs, 16000)
    common = min(len(theirs) - lag, len(ours)) - 1152
    assert snr_db(ours[1152:common], theirs[lag + 1152 : lag + common]) > 60


@pytest.mark.parametrize(
    ("family", "package"), [("gsm", "libgsm1"), ("speex", "libspeex1"), ("amr-wb", "libvo-amrwbenc0")]
)
def test_an_encoder_that_is_nowhere_is_unavailable_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, family: str, package: str
) -> None:
    import ctypes

    from codecbench_classical import avcoding, system_encoders

    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(avcoding, "has_codec", lambda name, mode: mode == "r")
    monkeypatch.setattr(system_encoders, "find_library", lambda name: None)
    monkeypatch.setattr(ctypes, "CDLL", missing)
    prepared = prepare(host(CLASSICAL).registry, family, {})
    assert isinstance(prepared.unavailable, Unavailable)
    assert prepared.unavailable.remedy.startswith(f"apt-get install {package}")


def test_a_missing_decoder_is_unavailable_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    from codecbench_classical import avcoding

    monkeypatch.setattr(avcoding, "has_codec", lambda name, mode: mode == "w")
    assert "decoder gsm" in str(prepare(host(CLASSICAL).registry, "gsm", {}).unavailable)


@pytest.mark.parametrize(
    ("name", "known"),
    [("mp3:33kbps", "mp3:32kbps"), ("amr-nb:5kbps", "4.75kbps"), ("aac:7kbps", "8 to 96"), ("vorbis:q11", "q10")],
)
def test_wrong_variants_name_the_allowed_ones(name: str, known: str) -> None:
    with pytest.raises(UsageError, match=known):
        resolve(host(CLASSICAL).registry, name)


def test_packing_returns_the_packets_and_counts_only_their_bits() -> None:
    packets = [b"", b"a", bytes(range(256)) * 3]
    payload = pack_packets(packets)
    assert list(unpack_packets(payload.data)) == packets
    assert payload.bits == 8 * (0 + 1 + 768)
    with pytest.raises(ValueError, match="ends within"):
        list(unpack_packets(payload.data[:-1]))
