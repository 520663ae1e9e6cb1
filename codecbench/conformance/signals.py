"""What the kit feeds to a codec: real speech where a default corpus is installed, and made signals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codecbench.audio.reading import read_audio
from codecbench.audio.resample import resample
from codecbench.errors import CodecbenchError
from codecbench.registering import Registry

SPEECH_SECONDS = 4.0
_SYNTHETIC_RATE_HZ = 16000


@dataclass(frozen=True, eq=False)
class Speech:
    """The speech that a codec is checked with: float32 [T], and where it is from."""

    audio: np.ndarray
    sample_rate_hz: int
    source: str

    def at(self, sample_rate_hz: int) -> np.ndarray:
        """Return it at another rate."""
        return resample(self.audio, self.sample_rate_hz, sample_rate_hz)


def find_speech(registry: Registry | None) -> Speech:
    """Return about four seconds of the default corpus' first utterances, or synthetic speech without one."""
    for entry in registry.corpora.values() if registry else ():
        if entry.spec.default:
            try:
                return _from_corpus(entry.open("", {}).utterances(), entry.spec.name)
            except CodecbenchError:
                break  # a corpus that is declared but not there: its own plugin's tests tell
    return synthetic_speech()


def _from_corpus(utterances: object, name: str) -> Speech:
    parts: list[np.ndarray] = []
    rate_hz = 0
    for utterance in utterances:  # type: ignore[attr-defined]
        audio, native_hz = read_audio(utterance)
        rate_hz = rate_hz or native_hz
        parts.append(resample(audio, native_hz, rate_hz))
        if sum(map(len, parts)) >= SPEECH_SECONDS * rate_hz:
            break
    return Speech(np.concatenate(parts)[: int(SPEECH_SECONDS * rate_hz)], rate_hz, f"corpus '{name}'")


def synthetic_speech() -> Speech:
    """Return four seconds that are like speech to a codec: glottal pulses, two formants, syllables, breath."""
    generator = np.random.Generator(np.random.PCG64(5))
    time = np.arange(int(SPEECH_SECONDS * _SYNTHETIC_RATE_HZ)) / _SYNTHETIC_RATE_HZ
    phase = np.cumsum(110.0 + 25.0 * np.sin(2 * np.pi * 0.7 * time)) / _SYNTHETIC_RATE_HZ
    pulses = np.diff(np.floor(phase), prepend=0.0) + 0.02 * generator.standard_normal(time.size)
    voiced = _resonance(pulses, 600.0, 80.0) + 0.5 * _resonance(pulses, 1700.0, 120.0)
    syllables = np.clip(np.sin(2 * np.pi * 3.1 * time) + 0.4, 0.0, None)
    audio = voiced * syllables + 0.002 * generator.standard_normal(time.size)
    return Speech((0.3 * audio / np.abs(audio).max()).astype(np.float32), _SYNTHETIC_RATE_HZ, "synthetic")


def _resonance(source: np.ndarray, frequency_hz: float, bandwidth_hz: float) -> np.ndarray:
    decay = np.exp(-np.pi * bandwidth_hz * np.arange(1024) / _SYNTHETIC_RATE_HZ)
    ringing = decay * np.sin(2 * np.pi * frequency_hz * np.arange(1024) / _SYNTHETIC_RATE_HZ)
    return np.convolve(source, ringing)[: len(source)]


def noise(num_samples: int, seed: int = 1, level: float = 0.1) -> np.ndarray:
    """Return white Gaussian noise, float32 [T], the same for the same seed."""
    generator = np.random.Generator(np.random.PCG64(seed))
    return (level * generator.standard_normal(num_samples)).astype(np.float32)


def tone(num_samples: int, sample_rate_hz: int, amplitude: float = 1.0, frequency_hz: float = 220.0) -> np.ndarray:
    """Return a sine, float32 [T]."""
    time = np.arange(num_samples) / sample_rate_hz
    return (amplitude * np.sin(2 * np.pi * frequency_hz * time)).astype(np.float32)
