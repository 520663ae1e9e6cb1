"""SI-SDR, spectral distances, delay and level against closed forms and independent implementations."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
from task_testing import RATE_HZ, by_name, delayed, item, make, noisy, speech

import codecbench_reconstruction
from codecbench import Direction, Status
from codecbench_reconstruction.spectral import MIN_SAMPLES, mel_distance, mrstft_distance
from codecbench_reconstruction.waveform import level_difference_db, si_sdr


def _orthogonal_noise(reference: np.ndarray, snr_db: float) -> np.ndarray:
    """Noise without any component along the reference, at an exact ratio."""
    noise = np.random.default_rng(1).standard_normal(len(reference))
    clean = reference.astype(np.float64)
    noise -= np.dot(noise, clean) / np.dot(clean, clean) * clean
    return noise * np.sqrt(np.sum(clean**2) / np.sum(noise**2) / 10 ** (snr_db / 10))


@pytest.mark.parametrize("snr_db", [30.0, 0.0, -12.5])
@pytest.mark.parametrize("gain", [1.0, -0.2, 7.0])
def test_si_sdr_is_the_snr_of_orthogonal_noise_at_any_gain(snr_db: float, gain: float) -> None:
    clean = speech("librivox-sense-0880").astype(np.float64)
    assert si_sdr(clean, gain * (clean + _orthogonal_noise(clean, snr_db))) == pytest.approx(snr_db, abs=1e-6)


def test_si_sdr_is_limited_at_both_ends() -> None:
    clean = speech("librivox-sense-0880").astype(np.float64)
    assert si_sdr(clean, clean) == 100.0
    assert si_sdr(clean, _orthogonal_noise(clean, 0.0)) == -100.0


def test_mel_distance_agrees_with_librosa() -> None:
    librosa = pytest.importorskip("librosa")
    clean = speech("librivox-sense-0880")
    other = noisy(clean, 10)

    def log_mel(x: np.ndarray) -> np.ndarray:
        bands = librosa.feature.melspectrogram(
            y=x.astype(np.float64), sr=RATE_HZ, n_fft=1024, hop_length=256, n_mels=80, power=1.0, pad_mode="reflect"
        )
        return np.log(np.maximum(bands, 1e-5))

    expected = np.abs(log_mel(clean) - log_mel(other)).mean()
    assert mel_distance(clean, other) == pytest.approx(expected, rel=1e-4)


def test_mrstft_distance_agrees_with_scipy() -> None:
    clean = speech("librivox-sense-0880")
    other = noisy(clean, 10)

    def magnitude(x: np.ndarray, n_fft: int, hop: int, width: int) -> np.ndarray:
        window = np.zeros(n_fft)
        window[(n_fft - width) // 2 :][:width] = scipy.signal.get_window("hann", width)
        padded = np.pad(x.astype(np.float64), n_fft // 2, mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop]
        return np.sqrt(np.maximum(np.abs(np.fft.rfft(frames * window)) ** 2, 1e-7))

    expected = []
    for n_fft, hop, width in ((512, 50, 240), (1024, 120, 600), (2048, 240, 1200)):
        a, b = magnitude(clean, n_fft, hop, width), magnitude(other, n_fft, hop, width)
        expected.append(np.linalg.norm(a - b) / np.linalg.norm(a) + np.abs(np.log(a) - np.log(b)).mean())
    assert mrstft_distance(clean, other) == pytest.approx(np.mean(expected), rel=1e-6)


@pytest.mark.parametrize("distance", [mel_distance, mrstft_distance])
def test_spectral_distances_grow_with_noise_and_with_band_limit(distance: object) -> None:
    clean = speech("librivox-sense-0880")
    values = [distance(clean, noisy(clean, snr)) for snr in (60, 40, 20, 0)]
    assert values == sorted(values)
    filters = [scipy.signal.butter(8, edge_hz, fs=RATE_HZ, output="sos") for edge_hz in (7e3, 4e3, 1e3)]
    values = [distance(clean, scipy.signal.sosfiltfilt(sections, clean).copy()) for sections in filters]
    assert values == sorted(values)
    assert distance(clean, clean) == 0.0


@pytest.mark.parametrize("gain_db", [-20.0, 6.0])
def test_level_is_measured_and_never_normalised(gain_db: float) -> None:
    clean = speech("librivox-sense-0880")
    output = clean * np.float32(10 ** (gain_db / 20))
    assert level_difference_db(clean, output) == pytest.approx(gain_db, abs=1e-4)
    assert mel_distance(clean, output) > 0.4


@pytest.mark.parametrize("shift", [0, 1, 40, 160, 3999])
def test_delay_is_found_to_the_sample_and_undone(shift: int) -> None:
    clean = speech()
    found = by_name(make(codecbench_reconstruction, "waveform").score(item(clean, delayed(clean, shift))))
    assert found["delay_ms"].value == pytest.approx(shift / 16)
    assert found["si_sdr_aligned"].value == 100.0
    assert (found["si_sdr"].value == 100.0) is (shift == 0)


def test_delay_is_found_at_the_codecs_own_rate() -> None:
    from codecbench.audio.resample import resample

    clean = speech()
    at_24k = resample(clean, RATE_HZ, 24000)
    found = by_name(
        make(codecbench_reconstruction, "waveform").score(item(clean, delayed(at_24k, 480), output_rate_hz=24000))
    )
    assert found["delay_ms"].value == pytest.approx(20.0)
    assert found["si_sdr_aligned"].value > 40 > found["si_sdr"].value


def test_silent_output_is_scored_where_the_distance_is_defined() -> None:
    clean = speech("librivox-sense-0880")
    found = by_name(make(codecbench_reconstruction, "waveform").score(item(clean, clean * 0)))
    scored = {name for name, m in found.items() if m.status is Status.OK}
    assert scored == {"mel_distance", "mel_distance_aligned", "mrstft_distance", "mrstft_distance_aligned"}
    assert all(m.status is Status.OUT_SILENT and m.reason for name, m in found.items() if name not in scored)


@pytest.mark.parametrize(
    ("output", "status"),
    [(np.full(RATE_HZ, np.nan), Status.NAN_OUTPUT), (np.ones(100), Status.LENGTH_MISMATCH)],
)
def test_what_cannot_be_compared_has_a_status_in_every_metric(output: np.ndarray, status: Status) -> None:
    measured = make(codecbench_reconstruction, "waveform").score(item(speech()[:RATE_HZ], output))
    names = {m.name for m in codecbench_reconstruction.specs.WAVEFORM.metrics}
    assert {m.metric for m in measured} == names
    assert all(m.status is status and m.value is None for m in measured)


def test_spectral_distances_need_one_window() -> None:
    clean = speech()[20000:]
    scorer, cut = make(codecbench_reconstruction, "waveform"), clean[: MIN_SAMPLES - 1]
    short = by_name(scorer.score(item(cut, cut)))
    assert short["mel_distance"].status is Status.TOO_SHORT
    assert short["si_sdr"].status is Status.OK
    long = by_name(scorer.score(item(clean[:MIN_SAMPLES], clean[:MIN_SAMPLES])))
    assert long["mrstft_distance"].value == 0.0


def test_every_metric_declares_direction_title_and_description() -> None:
    module = codecbench_reconstruction
    scorers = (module.specs.PESQ, module.specs.STOI, module.specs.WAVEFORM)
    metrics = [m for scorer in scorers for m in scorer.metrics]
    assert all(m.title and m.description for m in metrics)
    assert {m.name for m in metrics if m.direction is Direction.NEUTRAL} == {"delay_ms", "level_db"}
    waveform = ("pesq_wb", "pesq_nb", "stoi", "estoi", "si_sdr", "mel_distance", "mrstft_distance")
    assert {m.name for m in metrics if m.name.endswith("_aligned")} == {f"{name}_aligned" for name in waveform}
