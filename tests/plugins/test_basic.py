"""identity, noise, pcm and mulaw: exactness, their laws, and an independent G.711."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from codec_testing import batch_of, digests, digests_in_new_process, host, open_named, round_trip, snr_db, speech

from codecbench import AudioPassthrough, Tokens, UsageError
from codecbench.names import resolve

BASIC = "codecbench_basic"


@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100])
def test_identity_is_bit_exact_at_any_rate(rate_hz: int) -> None:
    audio = np.random.default_rng(0).normal(0, 0.3, rate_hz // 7).astype(np.float32)
    encoded, decoded = round_trip(open_named(BASIC, "identity"), audio, rate_hz)
    assert isinstance(encoded, AudioPassthrough)
    assert encoded.waveforms.sample_rate_hz == rate_hz
    assert decoded.tobytes() == audio.tobytes()


@pytest.mark.parametrize("name", ["identity", "noise:20db", "pcm:8bit", "mulaw"])
@pytest.mark.parametrize("length", [0, 1, 2, 319, 321])
def test_any_length_comes_back(name: str, length: int) -> None:
    codec = open_named(BASIC, name)
    rate_hz = codec.spec.sample_rate_hz or 16000
    round_trip(codec, speech(rate_hz)[:length], rate_hz)


@pytest.mark.parametrize("snr", [-5.0, 0.0, 20.0, 35.5])
def test_noise_has_its_snr_on_every_utterance(snr: float) -> None:
    codec = open_named(BASIC, f"noise:{snr:g}db")
    for clip in range(3):
        audio = speech(16000, clip=clip)
        assert snr_db(audio, round_trip(codec, audio, 16000)[1]) == pytest.approx(snr, abs=0.01)


def test_noise_depends_on_the_content_alone() -> None:
    import torch

    codec = open_named(BASIC, "noise:20db")
    first, second = speech(16000, 1.0), speech(16000, 1.7, clip=1)
    state = torch.random.get_rng_state()
    together = codec.decode(codec.encode(batch_of(first, second, sample_rate_hz=16000)))
    assert torch.equal(state, torch.random.get_rng_state())
    for index, audio in enumerate((first, second)):
        assert np.array_equal(together.row(index).numpy(), round_trip(codec, audio, 16000)[1])
    difference = (together.row(0).numpy() - first)[:16000]
    assert not np.allclose(difference, (together.row(1).numpy() - second)[:16000])


def test_noise_leaves_silence_silent() -> None:
    assert not round_trip(open_named(BASIC, "noise:20db"), np.zeros(1000, np.float32), 16000)[1].any()


def test_the_same_in_another_process() -> None:
    names = ["identity", "noise:20db", "pcm", "mulaw"]
    assert digests_in_new_process(BASIC, names) == digests(BASIC, names)


def test_pcm_noise_is_a_twelfth_of_the_squared_step() -> None:
    """Bennett's law: below overload a uniform quantiser's noise power is step^2 / 12, so 6.02 dB for each bit."""
    audio = np.random.default_rng(1).uniform(-0.75, 0.75, 200_000).astype(np.float32)
    for bits in (4, 8, 12):
        noise = round_trip(open_named(BASIC, f"pcm:{bits}bit"), audio, 16000)[1] - audio
        assert np.mean(noise.astype(np.float64) ** 2) == pytest.approx((2 / 2**bits) ** 2 / 12, rel=0.01)


def test_pcm_of_16_bits_returns_16_bit_audio_exactly() -> None:
    audio = (np.random.default_rng(2).integers(-32768, 32768, 5000) / 32768).astype(np.float32)
    assert np.array_equal(round_trip(open_named(BASIC, "pcm:16bit"), audio, 16000)[1], audio)


@pytest.mark.parametrize(("name", "bits"), [("pcm:5bit", 5), ("mulaw:8khz", 8), ("mulaw:16khz", 8)])
def test_tokens_are_one_a_sample_and_cost_their_bits(name: str, bits: int) -> None:
    codec = open_named(BASIC, name)
    rate_hz = codec.spec.sample_rate_hz or 0
    encoded, _ = round_trip(codec, speech(rate_hz, 1.0), rate_hz)
    assert isinstance(encoded, Tokens)
    stream = encoded.streams[0]
    assert stream.frame_rate_hz == rate_hz
    assert encoded.num_bits(0) == bits * rate_hz
    assert 0 <= int(stream.codes.min()) <= int(stream.codes.max()) < 2**bits
    assert codec.spec.nominal_bitrate_bps == bits * rate_hz


def test_mulaw_equals_libsndfile_for_every_16_bit_sample() -> None:
    """libsndfile writes raw G.711; its 16-bit path shares neither code nor tables with ours."""
    samples = np.arange(-32768, 32768).astype(np.int16)
    raw = io.BytesIO()
    soundfile.write(raw, samples, 8000, format="RAW", subtype="ULAW")
    theirs = np.frombuffer(raw.getvalue(), np.uint8)
    codec = open_named(BASIC, "mulaw")
    encoded, decoded = round_trip(codec, (samples / 32768).astype(np.float32), 8000)
    assert isinstance(encoded, Tokens)
    ours = encoded.streams[0].codes[0, 0].numpy()
    raw.seek(0)
    expanded, _ = soundfile.read(raw, dtype="float32", format="RAW", subtype="ULAW", samplerate=8000, channels=1)
    assert np.array_equal(ours, theirs)
    assert np.array_equal(decoded, expanded)


def test_mulaw_recoding_is_stable() -> None:
    codec = open_named(BASIC, "mulaw")
    once = round_trip(codec, speech(8000), 8000)[1]
    assert np.array_equal(round_trip(codec, once, 8000)[1], once)


@pytest.mark.parametrize("name", ["pcm:0bit", "pcm:17bit", "pcm:8", "noise:20", "noise:loud"])
def test_wrong_variants_name_the_allowed_form(name: str) -> None:
    family = name.partition(":")[0]
    with pytest.raises(UsageError, match=f"{family}:"):
        resolve(host(BASIC).registry, name)
