"""Small random checkpoints in the published file layouts, written by the upstream classes themselves."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from transformers import DacConfig, DacModel, EncodecConfig, EncodecModel, MimiConfig, MimiModel


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


def write_encodec(folder: Path, **overrides: object) -> Path:
    """Write an EnCodec of the published strides, rates and 32 codebooks but narrow, random throughout."""
    torch.manual_seed(2)
    sizes = {"num_filters": 4, "hidden_size": 16}
    model = EncodecModel(EncodecConfig(**{**sizes, **overrides}))
    _enliven(model.encoder, 1.5)
    _enliven(model.decoder, 0.7)
    _randomize_codebooks(model, "embed")
    model.save_pretrained(folder)
    return folder


# Strides, rates and codebooks of descript/dac_16khz, dac_24khz and dac_44khz.
DAC = {
    "16khz": {"downsampling_ratios": [2, 4, 5, 8], "sampling_rate": 16000, "n_codebooks": 12},
    "24khz": {"downsampling_ratios": [2, 4, 5, 8], "sampling_rate": 24000, "n_codebooks": 32},
    "44khz": {"downsampling_ratios": [2, 4, 8, 8], "sampling_rate": 44100, "n_codebooks": 9},
}


def write_dac(folder: Path, variant: str, **overrides: object) -> Path:
    """Write a DAC of the published strides, rates and codebooks but narrow, random throughout."""
    torch.manual_seed(3)
    sizes = {"encoder_hidden_size": 2, "decoder_hidden_size": 32, "codebook_dim": 4}
    model = DacModel(DacConfig(**{**DAC[variant], **sizes, **overrides}))
    _enliven(model.encoder, 1.0)
    _enliven(model.quantizer, 1.0)
    _enliven(model.decoder, 0.5)
    model.save_pretrained(folder)
    return folder


# The fields of the published config.json that the model reads, narrowed.
SPEECHTOKENIZER = {
    "n_filters": 2,
    "strides": [8, 5, 4, 2],
    "dimension": 32,
    "semantic_dimension": 24,
    "bidirectional": True,
    "dilation_base": 2,
    "residual_kernel_size": 3,
    "n_residual_layers": 1,
    "lstm_layers": 2,
    "activation": "ELU",
    "sample_rate": 16000,
    "n_q": 8,
    "codebook_size": 1024,
}


def write_speechtokenizer(folder: Path, **overrides: object) -> Path:
    """Write a SpeechTokenizer of the published strides, rate and codebooks but narrow, random throughout."""
    torch.manual_seed(4)
    config = {**SPEECHTOKENIZER, **overrides}
    from codecbench_speechtokenizer.upstream import model_class

    model = model_class()(config)
    _enliven(model.encoder, 1.5)
    _enliven(model.decoder, 0.7)
    _randomize_codebooks(model, ".embed")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    torch.save(model.state_dict(), folder / "SpeechTokenizer.pt")
    return folder


@torch.no_grad()
def _enliven(module: torch.nn.Module, gain: float) -> None:
    """Scale weights so that signals neither die out nor explode: with the usual initialisation of an untrained
    model every frame gets the same codes, and a test that compares codes would see nothing."""
    for name, weight in module.named_parameters():
        if weight.dim() > 1 and not name.endswith(("original0", "weight_g", "alpha")):
            weight.normal_(std=gain * weight[0].numel() ** -0.5)
        elif name.endswith(("original0", "weight_g")):
            weight.fill_(gain)
        elif "bias" in name:
            weight.mul_(0.1)


def _randomize_codebooks(model: torch.nn.Module, suffix: str) -> None:
    for name, buffer in model.named_buffers():
        if name.endswith(suffix):
            buffer.normal_(std=0.5)
