"""Loading a transformers model from a folder: safetensors only, every weight accounted for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging

from codecbench import Unavailable


def load_model(model_class: Any, folder: Path, device: str) -> Any:
    """Load ``model_class`` from ``folder`` for inference; raises Unavailable where weights are missing.

    transformers fills weights that a checkpoint lacks with random ones; such a codec would give numbers
    that mean nothing, so it is refused.
    """
    bar = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        # Some layers draw their initial values before they are overwritten; the caller's seed must not notice.
        with torch.random.fork_rng(devices=[]):
            model, report = model_class.from_pretrained(
                folder, use_safetensors=True, local_files_only=True, output_loading_info=True
            )
    finally:
        if bar:
            logging.enable_progress_bar()
    lacking = sorted(set(report["missing_keys"]) | {str(key[0]) for key in report["mismatched_keys"]})
    if lacking:
        raise Unavailable(
            f"{folder / 'model.safetensors'} lacks {len(lacking)} weights of {model_class.__name__}, "
            f"first {', '.join(lacking[:3])}"
        )
    return model.eval().requires_grad_(False).to(device)


def check_config(config: Any, expected: Mapping[str, Any], folder: Path) -> None:
    """Raise Unavailable where the checkpoint's configuration is not what the specification declares."""
    found = {name: getattr(config, name) for name in expected}
    wrong = [
        f"{name} is {found[name]}, expected {expected[name]}" for name in expected if found[name] != expected[name]
    ]
    if wrong:
        raise Unavailable(f"the checkpoint in {folder} does not fit the specification: {'; '.join(wrong)}")


def count_learned(model: Any) -> int:
    """Return the number of learned values: parameters, and codebooks kept as buffers (moving averages)."""
    books = (b for name, b in model.named_buffers() if name.rsplit(".", 1)[-1] in {"embed", "embed_sum"})
    return sum(p.numel() for p in model.parameters()) + sum(b.numel() for b in books)
