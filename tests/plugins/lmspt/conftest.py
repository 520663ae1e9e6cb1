"""Models that several LM-SPT tests share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from codecbench_lmspt import LMSPT, load_preset


def model_of(preset: str, overrides: dict[str, object] | None = None, seed: int = 0) -> LMSPT:
    """A randomly initialised model in float64, whose codebooks are spread over its own latents."""
    torch.manual_seed(seed)
    model = LMSPT(load_preset(preset, {**(overrides or {}), "quantizer.start_step": 0})).double()
    generator = torch.Generator().manual_seed(seed)
    audio = 0.1 * torch.randn(4, 1, 50 * model.hop_samples, generator=generator, dtype=torch.float64)
    model.training_forward(audio, step=0, sample_index=torch.arange(4), seed=seed)
    return model.eval()


@pytest.fixture(scope="module")
def speech() -> Tensor:
    """A clip of the built-in corpus, ``[1, T]``, T a multiple of 10 ms."""
    folder = Path(__file__).parents[3] / "plugins" / "codecbench_corpora"
    audio, rate = soundfile.read(sorted(folder.rglob("*.flac"))[0], dtype="float32")
    assert rate == 16_000
    return torch.from_numpy(np.ascontiguousarray(audio[: len(audio) // 160 * 160]))[None]


@pytest.fixture(scope="session")
def tiny() -> LMSPT:
    """The ``tiny`` preset."""
    return model_of("tiny")


@pytest.fixture(scope="session")
def small_paper() -> LMSPT:
    """The paper's architecture, narrow: convolution + Transformer encoders, Vocos decoders."""
    return model_of("paper-12.5hz", SMALL_PAPER)


SMALL_PAPER: dict[str, object] = {
    "latent_width": 32,
    "encoder.channels": 2,
    "encoder.transformer.width": 32,
    "encoder.transformer.heads": 2,
    "encoder.transformer.feedforward": 48,
    "encoder.transformer.window_frames": 3,
    "encoder.transformer.layer_scale": 0.5,
    "quantizer.semantic_size": 32,
    "quantizer.acoustic_size": 16,
    "quantizer.acoustic_books": 3,
    "quantizer.code_width": 8,
    "decoder.width": 24,
    "decoder.intermediate": 48,
    "decoder.layers": 2,
    "aux_decoder.width": 12,
    "aux_decoder.intermediate": 24,
}
