"""MP3 and Opus as they happen to audio on its way, by the encoders of the classical codecs' package."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from codecbench.audio.resample import resample
from codecbench.contracts.codec import Codec
from codecbench_stability.alterations import Alteration, Setting


class Transcoder:
    """Passes audio through a codec at that codec's rate, its delay taken off."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def __call__(self, audio: np.ndarray, setting: Setting) -> np.ndarray:
        """Return ``audio`` [T] coded and decoded, again [T]."""
        import torch

        from codecbench.contracts.audio import Batch

        rate_hz = self._codec.spec.sample_rate_hz
        assert rate_hz is not None
        there = torch.from_numpy(resample(audio, setting.sample_rate_hz, rate_hz))
        batch = Batch(there[None, None], torch.tensor([len(there)]), rate_hz)
        decoded = self._codec.decode(self._codec.encode(batch)).row(0).numpy()
        return resample(decoded, rate_hz, setting.sample_rate_hz)[: len(audio)]


def make_transcoders() -> tuple[tuple[Alteration, ...], Mapping[str, str]]:
    """Return the alterations ``mp3-64kbps`` and ``opus-16kbps``, and why each that cannot be had cannot."""
    found, missing = [], {}
    for name, make in (("mp3-64kbps", _mp3), ("opus-16kbps", _opus)):
        try:
            found.append(Alteration(name, Transcoder(make())))
        except (ImportError, OSError, ValueError) as error:
            missing[name] = f'{error}; pip install "codecbench[classical]"'
    return tuple(found), missing


def _mp3() -> Codec:
    from codecbench_classical.av_codec import AvCodec
    from codecbench_classical.av_specs import FORMATS, av_spec

    return AvCodec(av_spec(FORMATS["mp3"], 64000), FORMATS["mp3"])


def _opus() -> Codec:
    from codecbench_classical.opus import OpusCodec
    from codecbench_classical.opus_specs import parse_opus

    return OpusCodec(parse_opus("16kbps"), constant_bitrate=True)
