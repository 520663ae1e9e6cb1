"""Codec 2 as a codec of the suite: every utterance in a pristine process, the fixed delay taken off.

libcodec2 draws the phases of unvoiced speech from a generator that it never seeds again, so only the first
utterance that a process decodes is reproducible.
"""

from __future__ import annotations

import numpy as np

from codecbench import CodecSpec
from codecbench.audio.pcm import fit_length, from_int16, to_int16
from codecbench.bitstreams import BitstreamCodec, Payload
from codecbench.pristine import PristineCalls
from codecbench_codec2 import FRAME_SAMPLES, delay_samples


class Codec2(BitstreamCodec):
    """One mode of Codec 2."""

    def __init__(self, spec: CodecSpec, mode: int) -> None:
        self.spec, self.mode = spec, mode
        self.delay_samples, self.frame_samples = delay_samples(mode), FRAME_SAMPLES[mode]
        self.calls = PristineCalls("codecbench_codec2.coding")

    def encode_row(self, audio: np.ndarray) -> Payload:
        """Code as many frames as it takes for the last sample to come out of the decoder."""
        if len(audio) == 0:
            return Payload(b"", 0)
        frames = -(-(len(audio) + self.delay_samples) // self.frame_samples)
        data, bits = self.calls("encode", self.mode, to_int16(fit_length(audio, frames * self.frame_samples)))
        return Payload(data, bits)

    def decode_row(self, data: bytes, num_samples: int) -> np.ndarray:
        """Decode all frames and take the delay off."""
        if num_samples == 0:
            return np.zeros(0, np.float32)
        return from_int16(self.calls("decode", self.mode, data)[self.delay_samples :][:num_samples])
