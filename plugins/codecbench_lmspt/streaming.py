"""Streaming for causal presets: audio in as it comes, codes out by the frame, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from codecbench_lmspt import checks
from codecbench_lmspt.encoders import weight_dtype
from codecbench_lmspt.flow import Flow, Memory
from codecbench_lmspt.stages import Decoder

if TYPE_CHECKING:
    from codecbench_lmspt.model import LMSPT


class StreamingSession:
    """State of one stream of ``batch_size`` rows in step: what each causal convolution remembers, and loose samples.

    The output equals the offline output: ``encode`` frame for frame, ``decode`` sample for sample.
    """

    def __init__(self, model: LMSPT, batch_size: int = 1) -> None:
        if not model.spec.causal:
            raise ValueError(f"LM-SPT {model.spec.name!r} is not causal: only causal presets can stream")
        self.model, self.batch_size = model, batch_size
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next samples begin a new utterance."""
        self._encoder_memory: Memory = {}
        self._decoder_memory: Memory = {}
        self._loose = torch.zeros(self.batch_size, 1, 0, device=self.model.device)

    @property
    def pending_samples(self) -> int:
        """Samples that do not make a whole frame yet."""
        return self._loose.shape[-1]

    @torch.inference_mode()
    def encode(self, audio: Tensor) -> Tensor:
        """Take ``audio[B, 1, T]`` (any T >= 1) and return codes ``[B, K, F]`` of the frames it completes (F >= 0)."""
        checks.check_audio(audio, None)
        if audio.shape[0] != self.batch_size:
            raise ValueError(f"this session has {self.batch_size} rows, the audio has {audio.shape[0]}")
        self._loose = torch.cat([self._loose.to(audio.dtype), audio.to(self._loose.device)], dim=-1)
        whole = self.pending_samples - self.pending_samples % self.model.hop_samples
        ready, self._loose = self._loose[..., :whole], self._loose[..., whole:]
        return self._encode(ready)

    @torch.inference_mode()
    def flush(self) -> Tensor:
        """Complete the last frame with zeros, return its codes (none without loose samples), and reset encoding."""
        hop = self.model.hop_samples
        rest = nn.functional.pad(self._loose, (0, -self.pending_samples % hop))
        codes = self._encode(rest)
        self._encoder_memory, self._loose = {}, self._loose[..., :0]
        return codes

    @torch.inference_mode()
    def decode(self, codes: Tensor) -> Tensor:
        """Take codes ``[B, n, F]`` and return audio ``[B, 1, F * hop]``; always the same n within a stream."""
        checks.check_codes(codes, self.model.codebook_sizes)
        decoder: Decoder = self.model.decoder
        latent = self.model.quantizer.decode(codes.to(self.model.device)).to(weight_dtype(decoder))
        audio: Tensor = decoder(latent, Flow(memory=self._decoder_memory))
        return audio

    def _encode(self, audio: Tensor) -> Tensor:
        model = self.model
        if audio.shape[-1] == 0:
            return torch.zeros(self.batch_size, model.num_codebooks, 0, dtype=torch.int64, device=audio.device)
        semantic, acoustic = model.latents(audio, None, self._encoder_memory)
        return model.quantizer.encode(semantic, acoustic, model.num_codebooks)
