"""Whisper encoders as transformers modules, from a transformers folder or hub name or a CTranslate2 file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from codecbench.errors import Unavailable, UsageError
from codecbench_train.teacher.ctranslate2 import ModelBinError, read_model_bin

if TYPE_CHECKING:
    from transformers.models.whisper.modeling_whisper import WhisperEncoder


def whisper_encoder(source: str) -> WhisperEncoder:
    """Load a Whisper encoder in float32, evaluation mode.

    Args:
        source: ``offline:base`` or ``offline:tiny.en`` (data-only packages, sha256 checked), a ``model.bin`` or the
            folder that holds one, a transformers folder, or a hub name such as ``openai/whisper-small``.

    Raises:
        Unavailable: if the weights cannot be had here, with the way to get them.
        UsageError: if the file is not what it should be.
    """
    path = Path(source).expanduser()
    if source.startswith("offline:"):
        encoder = _from_offline(source.removeprefix("offline:"))
    elif path.name == "model.bin" or (path / "model.bin").is_file():
        encoder = from_model_bin(path if path.name == "model.bin" else path / "model.bin")
    else:
        encoder = _from_transformers(source, path)
    return encoder.float().eval().requires_grad_(False)


def _from_offline(name: str) -> WhisperEncoder:
    from codecbench_whisper.assets import AssetError, offline_whisper

    try:
        return from_model_bin(offline_whisper(name).model_bin)
    except AssetError as error:
        raise Unavailable(
            f"teacher offline:{name}: {error}", "or name a folder with --set teacher.source=PATH"
        ) from None


def _from_transformers(source: str, path: Path) -> WhisperEncoder:
    from transformers import WhisperModel

    try:
        model = WhisperModel.from_pretrained(str(path) if path.is_dir() else source, dtype=torch.float32)
    except (OSError, ValueError) as error:
        raise Unavailable(
            f"teacher {source!r} is neither a transformers folder, a reachable hub name nor a model.bin "
            f"({str(error).splitlines()[0]})",
            "give a path, or use the packages: --set teacher.source=offline:base",
        ) from None
    return model.encoder


def from_model_bin(path: Path) -> WhisperEncoder:
    """Build the encoder of a CTranslate2 Whisper model. Raises ``UsageError`` where the file is another model."""
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    try:
        tensors = read_model_bin(path, "encoder/")
        state = encoder_state(tensors)
    except FileNotFoundError:
        raise Unavailable(f"teacher: no file {path}", "name another with --set teacher.source=PATH") from None
    except (ModelBinError, KeyError) as error:
        raise UsageError(f"teacher: {path} is not a Whisper model.bin: {error}") from None
    width, mel_bins, _ = state["conv1.weight"].shape
    config = WhisperConfig(
        num_mel_bins=mel_bins,
        d_model=width,
        encoder_layers=1 + max(int(k.split(".")[1]) for k in state if k.startswith("layers.")),
        # Whisper's heads are 64 wide at every size; the file states their number too.
        encoder_attention_heads=int(tensors.get("encoder/num_heads", torch.tensor(width // 64))),
        encoder_ffn_dim=state["layers.0.fc1.weight"].shape[0],
        max_source_positions=state["embed_positions.weight"].shape[0],
    )
    encoder = WhisperEncoder(config)
    encoder.load_state_dict(state, strict=True)
    return encoder


_PER_LAYER = {
    "self_attention/layer_norm": "self_attn_layer_norm",
    "self_attention/linear_1": "self_attn.out_proj",
    "ffn/layer_norm": "final_layer_norm",
    "ffn/linear_0": "fc1",
    "ffn/linear_1": "fc2",
}
_LEAVES = {"weight": "weight", "bias": "bias", "gamma": "weight", "beta": "bias"}


def encoder_state(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename CTranslate2 encoder variables to transformers' state-dict keys, as float32.

    ``linear_0`` of the self-attention stacks query, key and value; Whisper's key has no bias, so that third of the
    stacked bias is dropped. Raises ``KeyError`` for a variable that is missing.
    """
    state: dict[str, Tensor] = {}
    for conv in ("conv1", "conv2"):
        for leaf in ("weight", "bias"):
            state[f"{conv}.{leaf}"] = tensors[f"encoder/{conv}/{leaf}"].float()
    state["embed_positions.weight"] = tensors["encoder/position_encodings/encodings"].float()
    for leaf in ("gamma", "beta"):
        state[f"layer_norm.{_LEAVES[leaf]}"] = tensors[f"encoder/layer_norm/{leaf}"].float()
    layers = {
        name.split("/")[1] for name in tensors if name.startswith("encoder/layer_") and "layer_norm/" not in name[:20]
    }
    for layer in sorted(layers):
        state |= _layer_state(tensors, f"encoder/{layer}", f"layers.{int(layer.removeprefix('layer_'))}")
    return state


def _layer_state(tensors: dict[str, Tensor], source: str, target: str) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for old, new in _PER_LAYER.items():
        for leaf in ("gamma", "beta") if "norm" in old else ("weight", "bias"):
            state[f"{target}.{new}.{_LEAVES[leaf]}"] = tensors[f"{source}/{old}/{leaf}"].float()
    for leaf in ("weight", "bias"):
        q, k, v = tensors[f"{source}/self_attention/linear_0/{leaf}"].float().chunk(3)
        state |= {f"{target}.self_attn.q_proj.{leaf}": q, f"{target}.self_attn.v_proj.{leaf}": v}
        if leaf == "weight":
            state[f"{target}.self_attn.k_proj.weight"] = k
    return state
