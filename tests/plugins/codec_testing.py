"""What the tests of codec plugins share: opening a codec by name, real speech, running in a fresh process."""

from __future__ import annotations

import hashlib
import importlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch

from codecbench import Batch, Codec, Encoded
from codecbench.audio.resample import resample
from codecbench.loading import open_codec
from codecbench.plugins import PluginHost

BUILTIN = Path(__file__).resolve().parents[2] / "plugins" / "codecbench_corpora" / "data" / "builtin"


def host(*modules: str) -> PluginHost:
    """A plugin host with the named packages registered."""
    made = PluginHost()
    for module in modules:
        made.add(importlib.import_module(module), module)
    assert not made.failed(), [p.error for p in made.failed()]
    return made


def open_named(module: str, name: str, settings: Mapping[str, Mapping[str, str]] | None = None) -> Codec:
    """Open a codec of one plugin package by its command-line name."""
    return open_codec(host(module).registry, name, settings or {})


def speech(sample_rate_hz: int, seconds: float = 3.0, clip: int = 0) -> np.ndarray:
    """Real speech from the built-in corpus, float32 [T]."""
    path = sorted(BUILTIN.glob("librivox*.flac"))[clip]
    audio, rate_hz = soundfile.read(path, dtype="float32")
    return resample(audio, rate_hz, sample_rate_hz)[: int(seconds * sample_rate_hz)]


def batch_of(*rows: np.ndarray, sample_rate_hz: int) -> Batch:
    """Right-pad rows into a batch."""
    lengths = torch.tensor([len(row) for row in rows])
    audio = torch.zeros(len(rows), 1, int(lengths.max()))
    for index, row in enumerate(rows):
        audio[index, 0, : len(row)] = torch.from_numpy(row)
    return Batch(audio, lengths, sample_rate_hz)


def round_trip(codec: Codec, audio: np.ndarray, sample_rate_hz: int) -> tuple[Encoded, np.ndarray]:
    """Encode and decode one utterance; the decoded audio has exactly its length."""
    encoded = codec.encode(batch_of(audio, sample_rate_hz=sample_rate_hz))
    decoded = codec.decode(encoded)
    assert decoded.num_samples.tolist() == [len(audio)]
    return encoded, decoded.row(0).numpy()


def snr_db(reference: np.ndarray, output: np.ndarray) -> float:
    """Signal-to-noise ratio in decibels."""
    noise = np.sum((output.astype(np.float64) - reference) ** 2)
    return float(10 * np.log10(np.sum(reference.astype(np.float64) ** 2) / noise))


def digests(module: str, names: Sequence[str]) -> dict[str, str]:
    """SHA-256 of the audio that codecs make of ``speech``, by name."""
    return {name: _digest(open_named(module, name)) for name in names}


def _digest(codec: Codec) -> str:
    rate_hz = codec.spec.sample_rate_hz or 16000
    _, decoded = round_trip(codec, speech(rate_hz, 0.8), rate_hz)
    return hashlib.sha256(decoded.tobytes()).hexdigest()


def digests_in_new_process(module: str, names: Sequence[str]) -> dict[str, str]:
    """The same, from a process of its own."""
    code = f"import json, codec_testing as c; print(json.dumps(c.digests({module!r}, {list(names)!r})))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True, check=True, timeout=120
    )
    return dict(json.loads(done.stdout))


def spectral_delay(reference: np.ndarray, output: np.ndarray, sample_rate_hz: int, limit_s: float = 0.1) -> float:
    """Delay in samples of codecs that keep no waveform: the peak of the correlation of log spectra, 1 ms steps."""
    one, other = (_log_bands(audio, sample_rate_hz) for audio in (reference, output[: len(reference)]))
    limit, count = int(1000 * limit_s), min(len(one), len(other))
    middle = one[limit : count - limit]
    scores = [float((middle * other[limit + k : count - limit + k]).sum()) for k in range(-limit, limit + 1)]
    return (int(np.argmax(scores)) - limit) * sample_rate_hz / 1000


def _log_bands(audio: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """Log energies in 20 bands, [frames of 1 ms, 20], each band about its mean."""
    window = np.hanning(sample_rate_hz // 50)
    padded = np.pad(audio, len(window) // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, len(window))[:: sample_rate_hz // 1000]
    power = np.abs(np.fft.rfft(frames * window, axis=1)) ** 2
    bands = np.stack([b.sum(1) for b in np.array_split(power[:, 1:], 20, axis=1)], axis=1)
    logs = np.log(bands + 1e-5)
    return np.asarray(logs - logs.mean(0))
