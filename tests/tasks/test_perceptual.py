"""PESQ and STOI: published values, an independent STOI, the field's traps, and every failure as a status."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import scipy.signal
import soundfile
from task_testing import RATE_HZ, REPOSITORY, by_name, delayed, item, librivox, make, noisy, speech

import codecbench_reconstruction
from codecbench import Status
from codecbench.audio.resample import resample
from codecbench_reconstruction.perceptual import PESQ_MAX_UTTERANCES, STOI_MIN_SAMPLES, pesq, stoi
from codecbench_reconstruction.utterances import most_utterances

PAIR = REPOSITORY / "tests" / "golden" / "pesq"


def _pair() -> tuple[np.ndarray, np.ndarray]:
    clean, _ = soundfile.read(PAIR / "speech.wav", dtype="float32")
    babble, _ = soundfile.read(PAIR / "speech_bab_0dB.wav", dtype="float32")
    return clean, babble


@pytest.mark.parametrize(("name", "published"), [("pesq_wb", 1.0832337141036987), ("pesq_nb", 1.6072081327438354)])
def test_pesq_of_the_published_pair(name: str, published: float) -> None:
    clean, babble = _pair()
    found = by_name(make(codecbench_reconstruction, "pesq").score(item(clean, babble)))
    assert found[name].value == pytest.approx(published, abs=1e-5)


def _third_octave_bands(size: int, rate_hz: int) -> np.ndarray:
    frequencies = np.arange(size // 2 + 1) * rate_hz / size
    centres = 150 * 2 ** (np.arange(15) / 3)
    edges = [[np.argmin(np.abs(frequencies - c * 2 ** (s / 6))) for s in (-1, 1)] for c in centres]
    return np.array([[low <= k < high for k in range(len(frequencies))] for low, high in edges], float)


def _envelopes(clean: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Third-octave envelopes [band, frame] at 10 kHz without the frames 40 dB under the loudest."""
    window = np.hanning(258)[1:-1]
    starts = range(0, len(clean) - 256, 128)
    frames = [np.array([window * x[s : s + 256] for s in starts]) for x in (clean, other)]
    energy_db = 20 * np.log10(np.linalg.norm(frames[0], axis=1) + 1e-20)
    kept = [f[energy_db > energy_db.max() - 40] for f in frames]
    bands = _third_octave_bands(512, 10000)
    envelopes = []
    for f in kept:
        signal = np.zeros((len(f) + 1) * 128)
        for k, frame in enumerate(f):
            signal[128 * k : 128 * k + 256] += frame
        spectra = [np.abs(np.fft.rfft(window * signal[s : s + 256], 512)) for s in range(0, len(signal) - 256, 128)]
        envelopes.append(np.sqrt(bands @ np.square(np.array(spectra)).T))
    return envelopes[0], envelopes[1]


def _stoi_from_the_paper(clean: np.ndarray, other: np.ndarray, extended: bool) -> float:
    """STOI by Taal et al. 2011, equations 1 to 6, and ESTOI by Jensen & Taal 2016, written anew."""
    X, Y = _envelopes(*(scipy.signal.resample_poly(x.astype(float), 5, 8) for x in (clean, other)))
    scores = []
    for m in range(30, X.shape[1] + 1):
        x, y = X[:, m - 30 : m], Y[:, m - 30 : m]
        if extended:
            for axis in (1, 0):
                x, y = (a - a.mean(axis, keepdims=True) for a in (x, y))
                x, y = (a / np.linalg.norm(a, axis=axis, keepdims=True) for a in (x, y))
            scores.append(np.sum(x * y) / 30)
            continue
        scaled = y * np.linalg.norm(x, axis=1, keepdims=True) / np.linalg.norm(y, axis=1, keepdims=True)
        clipped = np.minimum(scaled, x * (1 + 10 ** (15 / 20)))
        scores.append(np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(x, clipped, strict=True)]))
    return float(np.mean(scores))


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("snr_db", [20, 5, -5])
def test_stoi_agrees_with_the_papers_equations(extended: bool, snr_db: float) -> None:
    clean = speech("librivox-sense-0890")
    other = noisy(clean, snr_db)
    assert stoi(clean, other, extended) == pytest.approx(_stoi_from_the_paper(clean, other, extended), abs=3e-3)


def test_stoi_agrees_with_the_papers_equations_on_the_published_pair() -> None:
    clean, babble = _pair()
    assert stoi(clean, babble, False) == pytest.approx(_stoi_from_the_paper(clean, babble, False), abs=3e-3)


@pytest.mark.parametrize("scorer", ["pesq", "stoi"])
def test_an_exact_copy_reaches_the_ceiling_of_every_metric(scorer: str) -> None:
    module, audio = codecbench_reconstruction, speech("librivox-sense-0880")
    found = by_name(make(module, scorer).score(item(audio, audio)))
    specs = {m.name: m for s in (module.specs.PESQ, module.specs.STOI) for m in s.metrics}
    assert all(m.status is Status.OK and m.value >= specs[name].ceiling for name, m in found.items())


def test_resampling_there_and_back_costs_at_most_0005_pesq() -> None:
    for clean in librivox():
        back = resample(resample(clean, RATE_HZ, 24000), 24000, RATE_HZ)[: len(clean)]
        assert pesq(clean, clean, "wb") - pesq(clean, back, "wb") <= 0.005


def test_linear_resampling_would_cost_half_a_point() -> None:
    """The trap that the protocol's resampler avoids is real on this audio."""
    clean = speech()
    times = np.arange(len(clean))
    finer = np.interp(np.arange(0, len(clean) - 1, 2 / 3), times, clean)
    back = np.interp(times, np.arange(len(finer)) * 2 / 3, finer).astype(np.float32)
    assert pesq(clean, clean, "wb") - pesq(clean, back, "wb") > 0.5


def test_ten_milliseconds_of_delay_cost_stoi_raw_and_nothing_aligned() -> None:
    clean = speech()
    found = by_name(make(codecbench_reconstruction, "stoi").score(item(clean, delayed(clean, 160))))
    assert found["stoi"].value == pytest.approx(0.83, abs=0.02)
    assert found["stoi_aligned"].value > 0.9999
    pesqs = by_name(make(codecbench_reconstruction, "pesq").score(item(clean, delayed(clean, 160))))
    assert pesqs["pesq_wb"].value > 4.55  # PESQ aligns by itself


@pytest.mark.parametrize("seconds", [-0.02, 0.1])
def test_a_lead_and_a_long_delay_are_undone(seconds: float) -> None:
    clean, shift = speech(), round(seconds * RATE_HZ)
    moved = delayed(clean, shift) if shift > 0 else np.concatenate([clean[-shift:], np.zeros(-shift, np.float32)])
    found = by_name(make(codecbench_reconstruction, "stoi").score(item(clean, moved)))
    assert found["stoi_aligned"].value > 0.999 > found["stoi"].value


def test_the_aligned_value_is_the_raw_one_without_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    import pystoi

    calls = []
    real = pystoi.stoi
    monkeypatch.setattr(pystoi, "stoi", lambda *a: calls.append(a) or real(*a))
    clean = speech("librivox-sense-0880")
    found = by_name(make(codecbench_reconstruction, "stoi").score(item(clean, noisy(clean, 10))))
    assert found["stoi"].value == found["stoi_aligned"].value
    assert len(calls) == 2  # STOI and ESTOI once each


@pytest.mark.parametrize("metric", ["pesq_wb", "pesq_nb", "stoi", "estoi"])
def test_more_noise_scores_lower(metric: str) -> None:
    clean = speech("librivox-sense-0880")
    scorer = make(codecbench_reconstruction, "stoi" if "stoi" in metric else "pesq")
    values = [by_name(scorer.score(item(clean, noisy(clean, snr))))[metric].value for snr in (40, 25, 10, -5)]
    assert values == sorted(values, reverse=True)
    assert values[0] - values[-1] > 0.1


def test_a_narrower_band_scores_lower() -> None:
    clean = speech("asterisk-en-demo-nomatch")
    cut = [
        scipy.signal.sosfiltfilt(scipy.signal.butter(8, f, fs=RATE_HZ, output="sos"), clean) for f in (6e3, 3e3, 1e3)
    ]
    values = [pesq(clean, c.astype(np.float32), "wb") for c in cut]
    assert values == sorted(values, reverse=True)


def test_estoi_repeats_and_leaves_the_global_generator_alone() -> None:
    clean = speech("librivox-sense-0880").copy()
    clean[:8000] = 0.0  # rows of zeros are where the package's own noise decides
    np.random.seed(7)
    before = np.random.get_state()[1].copy()
    first = stoi(clean, noisy(clean, 5), True)
    assert (np.random.get_state()[1] == before).all()
    np.random.seed(8)
    assert stoi(clean, noisy(clean, 5), True) == first


SILENCE = np.zeros(RATE_HZ, np.float32)
TONE = np.sin(np.arange(RATE_HZ) * 0.3).astype(np.float32)


@pytest.mark.parametrize("scorer", ["pesq", "stoi"])
@pytest.mark.parametrize(
    ("reference", "output", "status"),
    [
        (SILENCE, TONE, Status.REF_SILENT),
        (SILENCE, SILENCE, Status.REF_SILENT),
        (TONE, SILENCE, Status.OUT_SILENT),
        (TONE, SILENCE + 1e-6, Status.OUT_SILENT),
        (TONE, TONE * np.nan, Status.NAN_OUTPUT),
        (TONE, np.where(np.arange(RATE_HZ) == 5, np.inf, TONE), Status.NAN_OUTPUT),
        (TONE, TONE[:-5], Status.LENGTH_MISMATCH),
        (TONE, np.concatenate([TONE, TONE]), Status.LENGTH_MISMATCH),
        (TONE, TONE[:0], Status.LENGTH_MISMATCH),
        (TONE[:3000], TONE[:3000], Status.TOO_SHORT),
        (TONE[1:2], TONE[1:2], Status.TOO_SHORT),
    ],
)
def test_every_failure_is_a_status_with_a_reason(
    scorer: str, reference: np.ndarray, output: np.ndarray, status: Status
) -> None:
    for measured in make(codecbench_reconstruction, scorer).score(item(reference, output)):
        assert measured.status is status
        assert measured.value is None
        assert measured.reason


@pytest.mark.parametrize("less", [0, 1, 4])
def test_lengths_within_the_resamplers_rounding_are_scored(less: int) -> None:
    clean = speech("librivox-sense-0880")
    found = by_name(make(codecbench_reconstruction, "stoi").score(item(clean, clean[: len(clean) - less])))
    assert found["stoi"].value > 0.9999


def test_other_sample_rates_meet_at_16_khz() -> None:
    clean = speech("librivox-sense-0880")
    at_44k, at_24k = resample(clean, RATE_HZ, 44100), resample(clean, RATE_HZ, 24000)
    found = by_name(make(codecbench_reconstruction, "pesq").score(
        item(at_44k, at_24k, rate_hz=44100, output_rate_hz=24000)
    ))  # fmt: skip
    assert found["pesq_wb"].value > 4.63


def test_stoi_of_too_little_speech_is_too_short_not_1e_5() -> None:
    mostly_silent = np.zeros(2 * RATE_HZ, np.float32)
    mostly_silent[:2000] = TONE[:2000]
    (measured, *_) = make(codecbench_reconstruction, "stoi").score(item(mostly_silent, mostly_silent))
    assert measured.status is Status.TOO_SHORT
    assert measured.value is None


@pytest.mark.parametrize("samples", [STOI_MIN_SAMPLES - 1, STOI_MIN_SAMPLES])
def test_the_shortest_stoi_is_where_the_package_has_its_30_frames(samples: int) -> None:
    white = np.random.default_rng(0).standard_normal(samples).astype(np.float32) * 0.1
    (measured, *_) = make(codecbench_reconstruction, "stoi").score(item(white, white))
    assert measured.status is (Status.OK if samples == STOI_MIN_SAMPLES else Status.TOO_SHORT)


def test_a_broken_backend_costs_its_value_only(monkeypatch: pytest.MonkeyPatch) -> None:
    import pesq as package

    def fail(rate: int, reference: np.ndarray, output: np.ndarray, mode: str) -> float:
        if mode == "wb":
            raise MemoryError("no room")
        return 3.0

    monkeypatch.setattr(package, "pesq", fail)
    found = by_name(make(codecbench_reconstruction, "pesq").score(item(TONE, TONE)))
    assert (found["pesq_wb"].status, found["pesq_wb"].reason) == (Status.BACKEND_ERROR, "MemoryError: no room")
    assert found["pesq_nb"].value == 3.0


def _bursts(seconds: float, period_s: float) -> np.ndarray:
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    on = (times % period_s) < period_s / 2
    return (0.3 * np.sin(2 * np.pi * 500 * times) * on).astype(np.float32)


@pytest.mark.parametrize(("seconds", "period_s", "utterances"), [(10, 1.0, 10), (30, 0.5, 60), (10, 0.3, 1)])
def test_utterances_are_runs_of_200_ms_parted_by_200_ms(seconds: float, period_s: float, utterances: int) -> None:
    assert most_utterances(_bursts(seconds, period_s)) == utterances


def test_speech_that_pesq_cannot_hold_is_not_given_to_it() -> None:
    """The reference code writes past its 50 utterances: a crash of the process, not an exception."""
    bursts = _bursts(30, 0.45)
    assert most_utterances(bursts) > PESQ_MAX_UTTERANCES
    (measured, *_) = make(codecbench_reconstruction, "pesq").score(item(bursts, bursts))
    assert measured.status is Status.NOT_APPLICABLE
    assert "50 utterances" in measured.reason
    code = (
        "import numpy as np, pesq; t = np.arange(480000) / 16000; "
        "x = 0.3 * np.sin(2 * np.pi * 500 * t) * ((t % 0.45) < 0.225); "
        "y = x + 0.001 * np.random.default_rng(0).standard_normal(len(x)); pesq.pesq(16000, x, y, 'wb')"
    )
    died = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode
    assert died < 0, "pesq holds more than 50 utterances now: raise the limit"


def test_long_speech_within_the_limits_is_scored_and_longer_is_not() -> None:
    clips = np.concatenate([*librivox(), speech("asterisk-en-tt-allbusy")])
    assert 30 < len(clips) / RATE_HZ < 60
    (measured, *_) = make(codecbench_reconstruction, "pesq").score(item(clips, clips))
    assert measured.value == pytest.approx(4.64, abs=0.01)
    hours = np.tile(clips, 5)
    (measured, *_) = make(codecbench_reconstruction, "pesq").score(item(hours, hours))
    assert measured.status is Status.NOT_APPLICABLE
