"""Frames and lengths: what every codec does before encoding and after decoding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codecbench.contracts.audio import Waveforms

if TYPE_CHECKING:
    import torch


def count_frames(num_samples: torch.Tensor, hop: int) -> torch.Tensor:
    """Return how many frames of ``hop`` samples cover each of ``num_samples`` (int64 [B]); 0 for 0."""
    return (num_samples + hop - 1) // hop


def pad_to_frames(audio: torch.Tensor, hop: int) -> torch.Tensor:
    """Return ``audio`` [..., T] with zeros on the right up to the next whole frame of ``hop`` samples."""
    import torch

    return torch.nn.functional.pad(audio, (0, -audio.shape[-1] % hop))


def blank_beyond(values: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Return ``values`` [B, ..., N] with zeros beyond each row's length (int64 [B])."""
    import torch

    places = torch.arange(values.shape[-1], device=values.device)
    kept = places < lengths.to(values.device).view(-1, *[1] * (values.dim() - 1))
    return torch.where(kept, values, torch.zeros((), dtype=values.dtype, device=values.device))


def fit_waveforms(audio: torch.Tensor, num_samples: torch.Tensor, sample_rate_hz: int) -> Waveforms:
    """Return ``audio`` [B, 1, T] cut, or filled with zeros, to exactly ``num_samples`` (int64 [B]) per row."""
    import torch

    longest = int(num_samples.max()) if len(num_samples) else 0
    audio = torch.nn.functional.pad(audio, (0, max(0, longest - audio.shape[-1])))[..., :longest]
    return Waveforms(blank_beyond(audio, num_samples), num_samples, sample_rate_hz)
