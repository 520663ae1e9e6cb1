"""What every encoder and decoder declares about itself."""

from __future__ import annotations

from torch import nn


class Encoder(nn.Module):
    """Audio ``[B, 1, T]``, T a multiple of ``hop_samples``, and a flow, to latent frames ``[B, D, T / hop]``.

    A frame depends on no input further than ``context_samples`` beyond its own hop.
    """

    hop_samples: int
    context_samples: int


class Decoder(nn.Module):
    """Latent frames ``[B, D, F]`` and a flow, to audio ``[B, 1, F * hop_samples]`` at ``sample_rate_hz``.

    A frame's samples depend on no latent further than ``context_frames`` away. ``is_chaotic``: it multiplies rounding
    errors, as a search for phases does, so that rows are decoded one by one.
    """

    is_chaotic = False
    hop_samples: int
    sample_rate_hz: int
    context_frames: int
