"""The voice's harmonics in ``mini-12.5hz``: a pitch that is heard, sent in the tokens, and made audible as a comb.

Ours. Mel bands carry no harmonics above about 1 kHz, and a small network that must draw each of them by itself leaves
them out: measured on originals, log-magnitudes smoothed to 40 bands and 50 ms have a DistillMOS of 1.5, with the best
comb in each frame 2.4 (docs/training.md). So encoders are told how well each candidate pitch explains a frame, and the
decoder chooses among the same candidates and puts their harmonics into what it predicts, band by band as deep as it
likes, without a change of the energy in any mel band.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from codecbench_lmspt.linear_path import mel_hats

LOWEST_HZ, HIGHEST_HZ = 60.0, 420.0
#: Valleys between harmonics lie at most so far below a harmonic, as power: deeper ones are noise in recordings.
VALLEY = 1e-2
#: What is smooth in as many mel bands is an envelope and none of the comb's business.
ENVELOPE_BANDS = 20
#: Of the decoder: bands that may be voiced to different depths, and bands whose energies stay as they were.
DEPTH_BANDS, ENERGY_BANDS = 8, 40
#: Sharpness of the distribution over candidates that training aims at: a tenth of a correlation is a factor of 400.
TARGET_SHARPNESS = 60.0


@cache
def _log_combs(bins: int, candidates: int, sample_rate_hz: int) -> np.ndarray:
    """Log-magnitudes ``[candidates, bins]`` of harmonics under a Hann window, which three parts of a model ask for.

    An array and no tensor, since a tensor made in inference mode would be of no use to a training after it.
    """
    step_hz = sample_rate_hz / 2 / (bins - 1)
    rows = []
    for pitch in np.geomspace(LOWEST_HZ, HIGHEST_HZ, candidates):
        harmonics = pitch * np.arange(1, int(sample_rate_hz / 2 / pitch) + 1)
        away = np.arange(bins)[:, None] - harmonics / step_hz
        # Main lobe of the Hann window, one at its top; 1 - d^2 is zero where the lobe is 1/2.
        edge = np.abs(np.abs(away) - 1) < 1e-6
        lobe = np.where(edge, 0.5, np.sinc(away) / np.where(edge, 1, 1 - away**2))
        lobe = np.where(np.abs(away) < 2, lobe, 0)
        rows.append(0.5 * np.log(np.square(lobe).sum(axis=1) + VALLEY))
    return np.stack(rows).astype(np.float32)


def comb_templates(bins: int, candidates: int, sample_rate_hz: int) -> Tensor:
    """Log-magnitudes ``[candidates, bins]`` of the harmonics of each pitch under a Hann window, envelope removed.

    Candidates are equally spaced on a logarithmic scale from 60 to 420 Hz.
    """
    templates = torch.from_numpy(_log_combs(bins, candidates, sample_rate_hz))
    return templates - envelope(templates, mel_hats(bins, ENVELOPE_BANDS, sample_rate_hz))


def envelope(log_magnitude: Tensor, hats: Tensor) -> Tensor:
    """What is smooth in ``log_magnitude[..., bins]``: its means in mel bands, interpolated."""
    return (log_magnitude @ (hats / hats.sum(dim=0))) @ hats.T


class PitchSalience(nn.Module):
    """How well each candidate pitch explains the fine structure of a frame: a correlation with its comb.

    Bins weigh by the mel scale's density, 1 / (1 + f / 700 Hz).
    """

    templates: Tensor
    hats: Tensor

    def __init__(self, bins: int, candidates: int, sample_rate_hz: int) -> None:
        super().__init__()
        density = torch.from_numpy((1 / (1 + np.linspace(0, sample_rate_hz / 2, bins) / 700)).astype(np.float32))
        templates = comb_templates(bins, candidates, sample_rate_hz) * density.sqrt()
        self.register_buffer("templates", F.normalize(templates, dim=1).T.contiguous(), persistent=False)
        self.register_buffer("root_density", density.sqrt(), persistent=False)
        self.root_density: Tensor
        self.register_buffer("hats", mel_hats(bins, ENVELOPE_BANDS, sample_rate_hz), persistent=False)

    def forward(self, log_magnitude: Tensor) -> Tensor:
        """``log_magnitude[..., bins]`` to correlations ``[..., candidates]`` in -1 .. 1, in float32 at least."""
        wide = torch.promote_types(log_magnitude.dtype, torch.float32)
        with torch.autocast(log_magnitude.device.type, enabled=False):
            exact = log_magnitude.to(wide)
            fine = (exact - envelope(exact, self.hats.to(wide))) * self.root_density.to(wide)
            return (fine @ self.templates.to(wide)) / (fine.norm(dim=-1, keepdim=True) + 1e-3)

    def target(self, log_magnitude: Tensor) -> Tensor:
        """What a decoder's choice is compared with: a distribution ``[..., candidates]`` times the frame's voicing."""
        salience = self(log_magnitude)
        voicing = salience.amax(dim=-1, keepdim=True).clamp_min(0)
        return voicing * (TARGET_SHARPNESS * salience).softmax(dim=-1)


class HarmonicComb(nn.Module):
    """Puts harmonics into smooth log-magnitudes: a choice among pitches, and a depth in each of eight mel bands.

    ``contrast``, outside training: by what share the fine structure of the result is exaggerated, that of bands kept.
    Losses are least where a decoder in doubt draws harmonics shallower than any voice has them; coders of speech mend
    that with postfilters (Chen and Gersho, 1995), and this is one on magnitudes. Ours.
    """

    templates: Tensor
    depth_hats: Tensor
    energy_hats: Tensor

    def __init__(self, width: int, bins: int, candidates: int, sample_rate_hz: int, contrast: float = 0.0) -> None:
        super().__init__()
        self.contrast = contrast
        self.salience = PitchSalience(bins, candidates, sample_rate_hz)
        self.pitch = nn.Linear(width, candidates)
        self.depth = nn.Linear(width, DEPTH_BANDS)
        nn.init.zeros_(self.pitch.weight)
        nn.init.zeros_(self.pitch.bias)
        nn.init.zeros_(self.depth.weight)
        nn.init.constant_(self.depth.bias, -2.0)
        self.register_buffer("templates", comb_templates(bins, candidates, sample_rate_hz), persistent=False)
        self.register_buffer("depth_hats", mel_hats(bins, DEPTH_BANDS, sample_rate_hz), persistent=False)
        self.register_buffer("energy_hats", mel_hats(bins, ENERGY_BANDS, sample_rate_hz), persistent=False)

    def forward(self, x: Tensor, log_magnitude: Tensor) -> tuple[Tensor, Tensor]:
        """``x[B, F, width]`` and ``log_magnitude[B, F, bins]`` to log-magnitudes with harmonics, and pitch logits
        ``[B, F, candidates]``; both in the type of ``log_magnitude``."""
        kind = log_magnitude.dtype
        logits = F.linear(x, self.pitch.weight.to(kind), self.pitch.bias.to(kind))
        depth = F.softplus(F.linear(x, self.depth.weight.to(kind), self.depth.bias.to(kind)))
        comb = logits.softmax(dim=-1) @ self.templates.to(kind)
        shaped = self.level(log_magnitude + comb * (depth @ self.depth_hats.to(kind).T), log_magnitude)
        if self.contrast and not self.training:
            fine = shaped - envelope(shaped, self.salience.hats.to(kind))
            shaped = self.level(shaped + self.contrast * fine, shaped)
        return shaped, logits

    def level(self, after: Tensor, before: Tensor) -> Tensor:
        """Log-magnitudes ``after`` with the levels that mel bands had ``before``, interpolated over bins."""
        hats = self.energy_hats.to(before.dtype)
        top = before.detach().amax(dim=-1, keepdim=True)
        # Thirty nepers below the loudest bin nothing matters, and squares of less would not be numbers any more.
        old, new = ((2 * (levels - top).clamp(-30, 30)).exp() @ hats for levels in (before, after))
        return after - (0.5 * (new / old).log()) @ hats.T
