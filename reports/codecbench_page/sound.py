"""Audio for the page: Opus in Ogg where PyAV is installed, else FLAC; loudness; spectrograms as WebP."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

OPUS_RATES_HZ, OPUS_BPS = (8000, 12000, 16000, 24000, 48000), 32000
MAX_HZ, SPECTROGRAM_HEIGHT, FRAMES_PER_SECOND, RANGE_DB = 8000, 96, 80, 75.0
MAX_SPECTROGRAM_WIDTH = 1200


@dataclass(frozen=True)
class Clip:
    """One audio file ready for a page: as data URIs, with its loudness in LUFS (None where it cannot be told)."""

    audio: str
    spectrogram: str
    loudness_lufs: float | None
    duration_s: float

    @property
    def num_bytes(self) -> int:
        """Bytes that it takes in the page."""
        return len(self.audio) + len(self.spectrogram)


def make_clip(path: Path) -> Clip:
    """Read a file and make what a page needs of it; channels are averaged."""
    import soundfile

    audio, rate_hz = soundfile.read(str(path), dtype="float32", always_2d=True)
    mono = np.ascontiguousarray(audio.mean(axis=1))
    return Clip(_encoded(mono, rate_hz), spectrogram_uri(mono, rate_hz), loudness(mono, rate_hz), len(mono) / rate_hz)


def has_opus() -> bool:
    """Whether audio is compressed to Opus here."""
    try:
        import av

        av.Codec("libopus", "w")
    except (ImportError, ValueError):
        return False
    return True


def _encoded(audio: np.ndarray, rate_hz: int) -> str:
    if has_opus():
        return "data:audio/ogg;base64," + base64.b64encode(_opus(audio, rate_hz)).decode()
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.clip(audio, -1, 1), rate_hz, format="FLAC", subtype="PCM_16")
    return "data:audio/flac;base64," + base64.b64encode(file.getvalue()).decode()


def _opus(audio: np.ndarray, rate_hz: int) -> bytes:
    """Encode at 32 kbit/s, far above any codec compared, from the least rate of Opus that holds the audio.

    At half of libopus' complexity: a page of 200 clips is made in a third of the time.
    """
    import av

    from codecbench.audio.resample import resample

    coded_hz = next((rate for rate in OPUS_RATES_HZ if rate >= rate_hz), OPUS_RATES_HZ[-1])
    samples = np.clip(resample(audio, rate_hz, coded_hz), -1, 1)
    file = io.BytesIO()
    with av.open(file, "w", format="ogg") as container:
        options = {"compression_level": "5"}
        stream = container.add_stream("libopus", coded_hz, options=options, layout="mono", bit_rate=OPUS_BPS)
        frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format="flt", layout="mono")
        frame.sample_rate = coded_hz
        for part in (frame, None):
            container.mux(stream.encode(part))
    return file.getvalue()


def loudness(audio: np.ndarray, rate_hz: int) -> float | None:
    """Return the integrated loudness in LUFS (ITU-R BS.1770-4), None for silence or less than one 400 ms block."""
    import torch
    import torchaudio

    if len(audio) < 0.4 * rate_hz:
        return None
    value = float(torchaudio.functional.loudness(torch.from_numpy(audio)[None], rate_hz))
    return round(value, 2) if np.isfinite(value) and value > -70 else None


def spectrogram_uri(audio: np.ndarray, rate_hz: int) -> str:
    """Return a picture of the log spectrogram, 0 to 8 kHz upwards, 75 dB from black to white."""
    from matplotlib import colormaps
    from PIL import Image

    level = _levels(audio, rate_hz)
    pixels = (colormaps["magma"](level)[..., :3] * 255).astype(np.uint8)
    image = Image.fromarray(pixels).resize((pixels.shape[1], SPECTROGRAM_HEIGHT), Image.Resampling.BILINEAR)
    file = io.BytesIO()
    image.save(file, "WEBP", quality=55, method=4)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def _levels(audio: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return the magnitude in 0 to 1, [frequency from high to low, time]; empty above the Nyquist frequency."""
    size = 1 << int(np.ceil(np.log2(rate_hz * 0.025)))
    hop = max(1, len(audio) // min(MAX_SPECTROGRAM_WIDTH, max(8, int(len(audio) / rate_hz * FRAMES_PER_SECOND))))
    padded = np.pad(audio, (size // 2, size))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[: max(1, len(audio)) : hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(size), axis=1)).T
    bins = int(MAX_HZ * size / rate_hz)
    shown = np.zeros((bins, power.shape[1]))
    shown[: min(bins, len(power))] = power[:bins]
    decibels = 20 * np.log10(shown + 1e-9) - 20 * np.log10(size / 4)
    return np.asarray(np.clip(1 + (decibels + 10) / RANGE_DB, 0, 1))[::-1]
