"""Speaker similarity and predicted MOS: the packages' own values, order under degradation, statuses."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
from task_testing import RATE_HZ, by_name, item, make, noisy, speech

import codecbench_reconstruction
from codecbench import Status, Unavailable
from codecbench.plugins import PluginHost

MODELS = {
    "speaker_similarity": "resemblyzer",
    "distillmos": "distillmos",
    "dnsmos_p808": "speechmos",
    "dnsmos_p835": "speechmos",
}


def _scorer(name: str) -> object:
    if importlib.util.find_spec(MODELS[name]) is None:
        pytest.skip(f"the package {MODELS[name]} is not installed")
    return make(codecbench_reconstruction, name)


def test_same_speaker_is_nearer_than_another() -> None:
    scorer = _scorer("speaker_similarity")
    one, again = speech("asterisk-en-demo-nomatch"), speech("asterisk-en-confbridge-pin-bad")
    length = min(len(one), len(again), len(speech()))
    cut = [x[:length] for x in (one, again, speech())]
    same, other = (scorer.score(item(cut[0], x))[0].value for x in cut[1:])
    assert same > 0.75 > 0.7 > other


def test_a_copy_is_the_same_speaker_at_any_level() -> None:
    """The embedding itself would drop to about 0.8 at a tenth of the level."""
    scorer, clean = _scorer("speaker_similarity"), speech("librivox-sense-0880")
    (measured,) = scorer.score(item(clean, clean * np.float32(0.1)))
    assert measured.value == pytest.approx(1.0, abs=1e-4)
    assert json.loads(measured.detail)["output_gain_db"] == pytest.approx(20.0, abs=0.01)


def test_speaker_similarity_neither_trims_nor_levels_the_reference() -> None:
    from resemblyzer import VoiceEncoder

    clean = speech("asterisk-en-demo-nomatch")
    quiet = np.concatenate([np.zeros(RATE_HZ, np.float32), clean])  # a trimming front end would cut the pause
    other = noisy(quiet, 15)
    encoder = VoiceEncoder("cpu", verbose=False)
    level = np.sqrt(np.mean(quiet.astype(np.float64) ** 2) / np.mean(other.astype(np.float64) ** 2))
    a, b = encoder.embed_utterance(quiet), encoder.embed_utterance((other * level).astype(np.float32))
    expected = float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    assert _scorer("speaker_similarity").score(item(quiet, other))[0].value == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", ["speaker_similarity", "distillmos", "dnsmos_p808"])
def test_noise_scores_lower(name: str) -> None:
    scorer, clean = _scorer(name), speech("librivox-sense-0880")
    values = [scorer.score(item(clean, noisy(clean, snr)))[0].value for snr in (45, 15, 0)]
    assert values == sorted(values, reverse=True)


def test_dnsmos_equals_the_package() -> None:
    p808, p835 = _scorer("dnsmos_p808"), _scorer("dnsmos_p835")
    from speechmos import dnsmos

    clean = speech("librivox-sense-0880")
    found = by_name([*p808.score(item(clean, clean)), *p835.score(item(clean, clean))])
    package = dnsmos.run(clean, RATE_HZ)
    for key in ("p808", "ovrl", "sig", "bak"):
        assert found[f"dnsmos_{key}"].value == pytest.approx(float(package[f"{key}_mos"]), abs=1e-4)


def test_audio_beyond_full_scale_is_clipped_for_dnsmos_and_told() -> None:
    clean = speech("librivox-sense-0880")
    loud = clean * np.float32(1.5 / np.abs(clean).max())
    (measured,) = _scorer("dnsmos_p808").score(item(clean, loud))
    (clipped,) = _scorer("dnsmos_p808").score(item(clean, np.clip(loud, -1, 1)))
    assert measured.value == clipped.value
    assert json.loads(measured.detail)["clipped_samples"] == np.count_nonzero(np.abs(loud) > 1) > 0


SILENCE = np.zeros(RATE_HZ, np.float32)
TONE = np.sin(np.arange(RATE_HZ) * 0.3).astype(np.float32)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    ("reference", "output", "status"),
    [
        (SILENCE, TONE, Status.REF_SILENT),
        (TONE, SILENCE, Status.OUT_SILENT),
        (TONE, TONE * np.nan, Status.NAN_OUTPUT),
        (TONE, TONE[:0], Status.LENGTH_MISMATCH),
        (TONE[:7999], TONE[:7999], Status.TOO_SHORT),
    ],
)
def test_every_failure_is_a_status(name: str, reference: np.ndarray, output: np.ndarray, status: Status) -> None:
    for measured in _scorer(name).score(item(reference, output)):
        assert measured.status is status
        assert measured.value is None
        assert measured.reason


@pytest.mark.parametrize("name", MODELS)
def test_a_missing_package_is_told_with_the_extra_that_brings_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    host = PluginHost()
    host.add(codecbench_reconstruction, "under-test")
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: None)
    with pytest.raises(Unavailable, match=r"pip install 'codecbench\[(speaker|mos)\]'"):
        host.registry.scorers[name].available({})
