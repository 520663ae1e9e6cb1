"""LPCNet as a codec of the suite: every utterance in a pristine process, the fixed delay taken off.

Its sampling draws from a generator hidden in the library, so only a process' first utterance is reproducible.
"""

from __future__ import annotations

import numpy as np

from codecbench import CodecSpec
from codecbench.audio.pcm import fit_length, from_int16, to_int16
from codecbench.bitstreams import BitstreamCodec, Payload
from codecbench.pristine import PristineCalls
from codecbench_lpcnet import DELAY_SAMPLES, FRAME_BITS, FRAME_SAMPLES


class LPCNet(BitstreamCodec):
    """The 1733 bit/s coder of ``lpcnet_freedv``."""

    def __init__(self, spec: CodecSpec) -> None:
        self.spec = spec
        self.calls = PristineCalls("codecbench_lpcnet.library")

    def encode_row(self, audio: np.ndarray) -> Payload:
        """Code as many frames as it takes for the last sample to come out of the decoder."""
        if len(audio) == 0:
            return Payload(b"", 0)
        frames = -(-(len(audio) + DELAY_SAMPLES) // FRAME_SAMPLES)
        return Payload(self.calls("encode", to_int16(fit_length(audio, frames * FRAME_SAMPLES))), frames * FRAME_BITS)

    def decode_row(self, data: bytes, num_samples: int) -> np.ndarray:
        """Decode all frames and take the delay off."""
        if num_samples == 0:
            return np.zeros(0, np.float32)
        return from_int16(self.calls("decode", data)[DELAY_SAMPLES:][:num_samples])
