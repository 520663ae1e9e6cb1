"""Codecs that code nothing: the input itself, and the input with noise."""

from __future__ import annotations

import hashlib

import torch

from codecbench import AudioPassthrough, Batch, Codec, CodecSpec, Encoded, Waveforms


class _Passthrough(Codec):
    """Makes its output while encoding; decoding hands it on."""

    def __init__(self, spec: CodecSpec) -> None:
        self.spec = spec

    def decode(self, encoded: Encoded, mode: str = "full") -> Waveforms:
        """Return the waveforms that ``encode`` passed through."""
        assert isinstance(encoded, AudioPassthrough)
        return encoded.waveforms

    def num_parameters(self) -> int:
        """No parameters."""
        return 0


class Identity(_Passthrough):
    """Returns its input bit for bit."""

    def encode(self, batch: Batch) -> AudioPassthrough:
        """Pass the audio on; only what lies beyond a row's true length is set to zero."""
        rows = [batch.row(index) for index in range(len(batch))]
        return AudioPassthrough(Waveforms.stack(rows, batch.sample_rate_hz), batch.num_samples)


class Noise(_Passthrough):
    """Adds white Gaussian noise at a fixed signal-to-noise ratio over the whole utterance.

    The noise is drawn from a generator seeded by the utterance's own samples: the same audio always gets the
    same noise, in any batch, process or order, and no global seed is touched.
    """

    def __init__(self, spec: CodecSpec, snr_db: float) -> None:
        super().__init__(spec)
        self.snr_db = snr_db

    def encode(self, batch: Batch) -> AudioPassthrough:
        """Return each row with its noise; a silent row stays silent."""
        rows = [self._noisy(batch.row(index).cpu()) for index in range(len(batch))]
        return AudioPassthrough(Waveforms.stack(rows, batch.sample_rate_hz), batch.num_samples)

    def _noisy(self, audio: torch.Tensor) -> torch.Tensor:
        """Scale the drawn noise by its own power, so that the ratio holds exactly and not just in expectation."""
        audio = audio.contiguous()
        seed = int.from_bytes(hashlib.sha256(audio.numpy().tobytes()).digest()[:8], "little", signed=True)
        noise = torch.randn(audio.shape, generator=torch.Generator().manual_seed(seed))
        signal_power, noise_power = audio.double().square().sum(), noise.double().square().sum()
        if signal_power == 0 or noise_power == 0:
            return audio
        gain = (signal_power / noise_power * 10.0 ** (-self.snr_db / 10.0)).sqrt()
        return audio + (gain * noise).float()
