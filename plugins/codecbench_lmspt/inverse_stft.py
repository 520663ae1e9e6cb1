"""From log-magnitudes to waveform: the end of the Vocos decoder, with predicted phases or with phases found."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from codecbench_lmspt.flow import Flow
from codecbench_lmspt.framing import frame_signal, overlap_add
from codecbench_lmspt.harmonics import HarmonicComb

#: Of the fast Griffin-Lim algorithm (Perraudin, Balazs and Sondergaard, 2013), whose authors recommend it.
MOMENTUM = 0.99
#: Of training, where the waveform serves the teacher alone.
TRAINING_ITERATIONS = 4


class InverseStft(nn.Module):
    """Log-magnitudes per frame to waveform: hop-aligned "same" padding, as many samples as F * hop.

    Without ``phase_iterations`` phases are predicted beside magnitudes (Vocos: Siuzdak, arXiv 2306.00814). With them
    only magnitudes are, and phases come from that many iterations of the fast Griffin-Lim algorithm, four of them in
    training: our choice for small models, for at 1 kbit/s tokens carry no phase, and phases that fit each other are
    what a decoder learns last. Each bin starts from a random phase and turns from frame to frame as a tone in its
    middle would, anew in every token frame (``period`` STFT frames), so that neither the batch nor the place in a file
    changes a result.

    The sum of squared windows is taken over the frames that exist in each row, so that a short row of a batch ends
    exactly as it would alone.
    """

    window: Tensor
    first_phase: Tensor

    def __init__(
        self, width: int, fft_samples: int, hop_samples: int, phase_iterations: int = 0, period: int = 1
    ) -> None:
        super().__init__()
        self.fft_samples, self.hop_samples, self.phase_iterations = fft_samples, hop_samples, phase_iterations
        bins = fft_samples // 2 + 1
        self.out = nn.Linear(width, bins if phase_iterations else 2 * bins)
        self.register_buffer("window", torch.hann_window(fft_samples), persistent=False)
        self.full_scale = fft_samples / 4  # magnitude of a full-scale sine: half the sum of the window
        if phase_iterations:
            turn = 2 * math.pi * hop_samples / fft_samples * np.arange(period)[:, None] * np.arange(bins)
            phase = np.random.default_rng(0).uniform(0, 2 * math.pi, bins) + turn % (2 * math.pi)
            self.register_buffer("first_phase", torch.from_numpy(phase.astype(np.float32)), persistent=False)

    def forward(self, x: Tensor, flow: Flow, base: Tensor | None = None, comb: HarmonicComb | None = None) -> Tensor:
        """``x[B, C, F]`` to audio ``[B, 1, F * hop]``; in float32 at least, whatever the layers before used.

        ``base[B, F, bins]``: log-magnitudes relative to those of a full-scale sine, which predictions are added to;
        ``comb`` puts harmonics into the sum.
        """
        wide = torch.promote_types(x.dtype, torch.float32)
        with torch.autocast(x.device.type, enabled=False):
            exact = x.transpose(1, 2).to(wide)
            y = F.linear(exact, self.out.weight.to(wide), self.out.bias.to(wide))
            log_magnitude, phase = (y, None) if self.phase_iterations else y.chunk(2, dim=-1)
            if base is not None:
                log_magnitude = log_magnitude + base + math.log(self.full_scale)
            if comb is not None:
                log_magnitude, flow.pitch_logits = comb(exact, log_magnitude)
            flow.log_magnitude = log_magnitude
            # The clip keeps an untrained or diverging head finite (Vocos).
            magnitude = log_magnitude.exp().clamp(max=1e2)
            valid = None if flow.lengths is None else flow.valid(x.shape[-1])[:, :, None].to(wide)
            if phase is None:
                # In float64: iterations multiply rounding errors, which differ between a batch and its rows alone.
                unit = self._find_phase(magnitude.detach().double(), valid)
                spectrum = magnitude * unit.to(wide.to_complex())
            else:
                spectrum = torch.complex(magnitude * phase.cos(), magnitude * phase.sin())
            audio = self._synthesise(spectrum, valid, self._weight(x.shape[-1], valid, wide))
        if flow.lengths is not None:
            flow.lengths = flow.lengths * self.hop_samples
        return flow.mask(audio[:, None])

    def _weight(self, frames: int, valid: Tensor | None, dtype: torch.dtype) -> Tensor:
        """The squared windows of the frames that exist (``valid[B, F, 1]`` is 1), summed: ``[1 or B, F * hop]``."""
        window = self.window.to(dtype)
        weight = (window * window).expand(1, frames, -1)
        if valid is not None:
            weight = weight * valid
        return overlap_add(weight, self.hop_samples).clamp_min(1e-8)

    def _synthesise(self, spectrum: Tensor, valid: Tensor | None, weight: Tensor) -> Tensor:
        """Spectra ``[B, F, bins]`` to audio ``[B, F * hop]``."""
        frames = torch.fft.irfft(spectrum, n=self.fft_samples, dim=-1) * self.window.to(spectrum.real.dtype)
        if valid is not None:
            frames = frames * valid
        return overlap_add(frames, self.hop_samples) / weight

    @torch.no_grad()
    def _find_phase(self, magnitude: Tensor, valid: Tensor | None) -> Tensor:
        """Unit spectra ``[B, F, bins]`` whose phases make ``magnitude`` nearly the STFT of a signal."""
        frames, window = magnitude.shape[1], self.window.to(magnitude.dtype)
        period = self.first_phase.shape[0]
        phase = self.first_phase.to(magnitude.dtype).repeat(-(-frames // period), 1)[:frames]
        unit = torch.polar(torch.ones_like(phase), phase).expand(magnitude.shape)
        weight = self._weight(frames, valid, magnitude.dtype)
        before: Tensor | None = None
        for _ in range(min(TRAINING_ITERATIONS, self.phase_iterations) if self.training else self.phase_iterations):
            audio = self._synthesise(magnitude * unit, valid, weight)
            if valid is not None:  # a last frame reaches beyond the end of its row, where a row alone is cut
                audio = audio * valid[..., 0].repeat_interleave(self.hop_samples, dim=1)
            projected = torch.fft.rfft(frame_signal(audio, self.fft_samples, self.hop_samples) * window, dim=-1)
            hasty = projected if before is None else projected + MOMENTUM * (projected - before)
            before, unit = projected, hasty / (hasty.abs() + 1e-9)
        return unit
