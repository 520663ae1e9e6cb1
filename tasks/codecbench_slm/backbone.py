"""The decoder-only language model under the speech tokens: one of transformers, or a small new one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from codecbench.errors import Unavailable, UsageError
from codecbench_slm.config import ModelConfig

# PyTorch's own attention takes any mask.
_OPTIONS: dict[str, Any] = {"dtype": torch.float32, "attn_implementation": "sdpa"}


def make_backbone(config: ModelConfig, text_size: int) -> Any:
    """Return a causal language model of transformers: a pretrained one, or a new one for ``text_size`` text ids.

    Raises UsageError for sizes or kinds that cannot be used, and Unavailable where a backbone cannot be had.
    """
    from transformers import AutoModelForCausalLM, Qwen2Config

    if config.backbone != "scratch":
        model = _fetched(AutoModelForCausalLM, config.backbone, **_OPTIONS)
        _require_full_attention(model, config.backbone)
        return model
    if config.width % config.heads:
        raise UsageError(f"model.width = {config.width} must be a multiple of model.heads = {config.heads}")
    sizes = Qwen2Config(
        vocab_size=text_size,
        hidden_size=config.width,
        intermediate_size=config.feed_forward,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.heads,
        max_position_embeddings=config.max_positions,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=None,
    )
    return AutoModelForCausalLM.from_config(sizes, **_OPTIONS)


def empty_backbone(folder: Path) -> Any:
    """Return the backbone whose ``config.json`` lies in ``folder``, for weights to be put in."""
    from transformers import AutoConfig, AutoModelForCausalLM

    return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(str(folder)), **_OPTIONS)


def text_size(name: str) -> int:
    """Rows of a named backbone's embedding table."""
    from transformers import AutoConfig

    return int(_fetched(AutoConfig, name).get_text_config().vocab_size)


def _fetched(kind: Any, name: str, **options: Any) -> Any:
    # A folder or the local cache first: nothing is fetched that is here already.
    local = Path(name).expanduser()
    try:
        return kind.from_pretrained(str(local) if local.is_dir() else name, **options)
    except (OSError, ValueError) as error:
        raise Unavailable(
            f"the backbone {name!r} cannot be loaded: {str(error).splitlines()[0][:300]}",
            "give model.backbone a folder with its config, weights and tokenizer, or a hub name that can be reached",
        ) from error


def _require_full_attention(model: Any, name: str) -> None:
    kinds = set(getattr(model.config.get_text_config(), "layer_types", None) or ["full_attention"])
    if kinds != {"full_attention"}:
        raise UsageError(
            f"model.backbone = {name!r} has layers of {', '.join(sorted(kinds - {'full_attention'}))}; generation here "
            "keeps one cache of all places, so choose a backbone with full attention in every layer"
        )
