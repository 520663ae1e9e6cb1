"""Small random checkpoints in the published file layouts, written by the upstream classes themselves."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import MimiConfig, MimiModel


def write_mimi(folder: Path, **overrides: object) -> Path:
    """Write a Mimi of the published strides, rates and codebooks but narrow and shallow, random throughout."""
    torch.manual_seed(1)
    sizes = {
        "num_filters": 4,
        "hidden_size": 32,
        "codebook_dim": 16,
        "vector_quantization_hidden_dimension": 16,
        "num_hidden_layers": 2,
        "intermediate_size": 64,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "upsample_groups": 32,
    }
    model = MimiModel(MimiConfig(**{**sizes, **overrides}))
    _randomize_codebooks(model, "embed_sum")
    model.save_pretrained(folder)
    return folder


def _randomize_codebooks(model: torch.nn.Module, suffix: str) -> None:
    for name, buffer in model.named_buffers():
        if name.endswith(suffix):
            buffer.normal_(std=0.5)
