"""What the tests of the tasks share: real speech, items to score, scorers by name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from codecbench import Measurement, ScoreItem, Utterance
from codecbench.contracts.encoded import Encoded
from codecbench.contracts.metric import Record, ScorerContext
from codecbench.plugins import PluginHost

REPOSITORY = Path(__file__).resolve().parents[2]
BUILTIN = REPOSITORY / "plugins" / "codecbench_corpora" / "data" / "builtin"
RATE_HZ = 16000


@cache
def manifest() -> dict[str, dict[str, Any]]:
    lines = (BUILTIN / "manifest.jsonl").read_text("utf-8").splitlines()
    return {row["id"]: row for row in map(json.loads, lines)}


@cache
def speech(name: str = "librivox-sense-0870") -> np.ndarray:
    audio, rate_hz = soundfile.read(BUILTIN / f"{name}.flac", dtype="float32")
    assert rate_hz == RATE_HZ
    return audio


def librivox() -> list[np.ndarray]:
    return [speech(name) for name in manifest() if name.startswith("librivox")]


def noisy(audio: np.ndarray, snr_db: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(len(audio))
    gain = np.sqrt(np.mean(audio**2) / np.mean(noise**2) / 10 ** (snr_db / 10))
    return (audio + gain * noise).astype(np.float32)


def delayed(audio: np.ndarray, samples: int) -> np.ndarray:
    return np.concatenate([np.zeros(samples, np.float32), audio])[: len(audio)]


def item(
    reference: np.ndarray,
    output: np.ndarray | None,
    *,
    text: str | None = None,
    language: str | None = "en",
    rate_hz: int = RATE_HZ,
    output_rate_hz: int = RATE_HZ,
    encoded: Encoded | None = None,
) -> ScoreItem:
    utterance = Utterance("u1", Path("u1.wav"), text=text, language=language)
    return ScoreItem(utterance, "codec", reference, rate_hz, output, output_rate_hz, encoded)


def make(module: object, scorer: str, options: Mapping[str, Any] | None = None) -> Any:
    """Make a scorer as the runner does: through the plugin's own registration."""
    host = PluginHost()
    host.add(module, "under-test")
    entry = host.registry.scorers[scorer]
    defaults = {option.name: option.default for option in entry.spec.options}
    return entry.factory(ScorerContext({**defaults, **(options or {})}))


def by_name(measurements: Sequence[Measurement]) -> dict[str, Measurement]:
    return {m.metric: m for m in measurements}


def record(metric: str, utterance_id: str, *, duration_s: float = 1.0, **fields: Any) -> Record:
    values: dict[str, Any] = {
        "key": "k",
        "codec": "codec",
        "scorer": "s",
        "metric": metric,
        "metric_version": "1",
        "component": "",
        "utterance_id": utterance_id,
        "speaker": "",
        "language": "en",
        "duration_s": duration_s,
        "value": None,
        "numerator": None,
        "denominator": None,
        "status": "ok",
        "reason": "",
        "detail": "",
    }
    return Record(**{**values, **fields})
