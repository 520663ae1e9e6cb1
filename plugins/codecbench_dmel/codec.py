"""Log-mel energies in 16 levels, and back to audio without anything that was trained."""

from __future__ import annotations

import torch
import torchaudio
from torch import Tensor
from torch.nn import functional as F

from codecbench import Batch, Codec, CodecSpec, Encoded, Tokens, Waveforms, single_stream
from codecbench.audio.pcm import require_finite
from codecbench_dmel import HOP_SAMPLES, NUM_BANDS, NUM_LEVELS, SAMPLE_RATE_HZ

FFT_SAMPLES, WINDOW_SAMPLES = 1024, 800
#: Levels of the authors' example (apple/dmel): the natural logarithm here.
LOWEST, HIGHEST = -7.0, 2.0
#: Frames are interpolated to this hop before phases are found: windows of 50 ms every 25 ms leave them open.
SYNTHESIS_HOP_SAMPLES = 100
ITERATIONS = 32
#: So many frames that the windows at both ends fit into even the shortest utterance.
MARGIN_FRAMES = 6


class DMel(Codec):
    """Each band's log energy, rounded to one of 16 levels: one codebook of 16 for each band, the lowest band first.

    Frame f covers the 50 ms around the middle of its hop. The paper's vocoder (a Parallel WaveGAN) is replaced by
    the filters' pseudoinverse and 32 iterations of Griffin and Lim, so that nothing here is learnt. A band whose
    codebook was cut off is taken as silent.
    """

    def __init__(self, spec: CodecSpec) -> None:
        self.spec = spec
        self.hop_samples = HOP_SAMPLES[spec.variant]
        self.window = torch.hann_window(WINDOW_SAMPLES)
        self.filters = torchaudio.functional.melscale_fbanks(
            FFT_SAMPLES // 2 + 1, 0.0, SAMPLE_RATE_HZ / 2, NUM_BANDS, SAMPLE_RATE_HZ, norm="slaney", mel_scale="slaney"
        )
        self.inverse = torch.linalg.pinv(self.filters)

    def encode(self, batch: Batch) -> Tokens:
        """Return codes [B, 80, F], F = ceil(T / hop), zero beyond a row's true length."""
        num_frames = -(-batch.num_samples // self.hop_samples)
        codes = torch.zeros(len(batch), self.spec.num_codebooks, int(num_frames.max()), dtype=torch.int64)
        for index in range(len(batch)):
            row = self._codes(batch.row(index).cpu())
            codes[index, :, : row.shape[1]] = row
        return single_stream(
            codes,
            num_frames=num_frames,
            num_samples=batch.num_samples,
            frame_rate_hz=SAMPLE_RATE_HZ / self.hop_samples,
            codebook_sizes=(NUM_LEVELS,) * self.spec.num_codebooks,
        )

    def decode(self, encoded: Encoded, mode: str = "full") -> Waveforms:
        """Return audio from any number of the lowest bands."""
        assert isinstance(encoded, Tokens)
        stream = encoded.streams[0]
        rows = []
        for index in range(stream.codes.shape[0]):
            codes = stream.codes[index, :, : int(stream.num_frames[index])].cpu()
            rows.append(self._audio(codes)[: int(encoded.num_samples[index])])
        return Waveforms.stack(rows, SAMPLE_RATE_HZ)

    def num_parameters(self) -> int:
        """No parameters."""
        return 0

    def _codes(self, audio: Tensor) -> Tensor:
        """Code float32 [T] as int64 [80, F]."""
        require_finite(audio.numpy())
        num_frames = -(-len(audio) // self.hop_samples)
        if num_frames == 0:
            return torch.zeros(NUM_BANDS, 0, dtype=torch.int64)
        margin = (FFT_SAMPLES - self.hop_samples) // 2
        padded = F.pad(audio, (margin, num_frames * self.hop_samples - len(audio) + FFT_SAMPLES - margin))
        spectra = torch.stft(
            padded, FFT_SAMPLES, self.hop_samples, WINDOW_SAMPLES, self.window, center=False, return_complex=True
        )
        energies = spectra.abs().T[:num_frames] @ self.filters
        levels = (energies.clamp_min(1e-10).log() - LOWEST) / (HIGHEST - LOWEST) * (NUM_LEVELS - 1)
        return levels.round().clamp(0, NUM_LEVELS - 1).long().T

    def _audio(self, codes: Tensor) -> Tensor:
        """Decode int64 [K, F] to float32 [F * hop]."""
        num_frames = codes.shape[1]
        if num_frames == 0:
            return torch.zeros(0)
        levels = F.pad(codes.float(), (0, 0, 0, NUM_BANDS - codes.shape[0]))
        logs = LOWEST + levels / (NUM_LEVELS - 1) * (HIGHEST - LOWEST)
        # A level of 0 says no more than "at most": silence, not a floor of noise.
        logs = torch.where(levels > 0, logs, logs - 4.0)
        factor = self.hop_samples // SYNTHESIS_HOP_SAMPLES
        # One frame more, for those of the synthesis lie on both ends of the audio; and silence before and after it.
        finer = F.interpolate(logs[None], num_frames * factor + 1, mode="linear", align_corners=False)[0]
        magnitude = F.pad((finer.exp().T @ self.inverse).clamp_min(0).T, (MARGIN_FRAMES, MARGIN_FRAMES))
        margin, num_samples = MARGIN_FRAMES * SYNTHESIS_HOP_SAMPLES, num_frames * self.hop_samples
        with torch.random.fork_rng(devices=[]):  # phases start from the same draw for every utterance
            torch.manual_seed(0)
            audio = torchaudio.functional.griffinlim(
                magnitude, self.window, FFT_SAMPLES, SYNTHESIS_HOP_SAMPLES, WINDOW_SAMPLES, power=1.0,
                n_iter=ITERATIONS, momentum=0.99, length=num_samples + 2 * margin, rand_init=True,
            )  # fmt: skip
        return audio[margin : margin + num_samples]
