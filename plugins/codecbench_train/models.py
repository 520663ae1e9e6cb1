"""Which models can be trained: by name, from whatever package makes them."""

from __future__ import annotations

from importlib import import_module
from typing import cast

import torch
from torch import nn

from codecbench.errors import CodecbenchError, UsageError
from codecbench_train.config import ModelConfig
from codecbench_train.toml import settings_tables
from codecbench_train.trainable import Trainable, TrainableModule

#: Short names of factories ``(preset, overrides) -> nn.Module``; any ``module:function`` serves as well.
FACTORIES = {
    "lmspt": "codecbench_train.models:lmspt",
    "speechtokenizer-style": "codecbench_speechtokenizer_style.model:build",
}


def build_model(config: ModelConfig, seed: int) -> TrainableModule:
    """Make a model with weights drawn from ``seed``.

    Raises:
        UsageError: for an unknown name or preset, or a model that lacks what the trainer asks of one.
    """
    target = FACTORIES.get(config.name, config.name)
    module_name, colon, attribute = target.partition(":")
    if not colon:
        raise UsageError(f"unknown trainable model {config.name!r}; known: {', '.join(FACTORIES)}, or MODULE:FUNCTION")
    torch.manual_seed(seed)
    try:
        factory = getattr(import_module(module_name), attribute)
        model = factory(config.preset, dotted(settings_tables(config.overrides)))
    except (ImportError, AttributeError) as error:
        raise UsageError(f"trainable model {config.name!r} cannot be loaded from {target}: {error}") from None
    except CodecbenchError:
        raise
    except (ValueError, TypeError) as error:
        raise UsageError(f"model {config.name}: {target} refused the preset {config.preset!r}: {error}") from None
    if not (isinstance(model, nn.Module) and isinstance(model, Trainable)):
        raise UsageError(f"{target} made a {type(model).__name__}, which lacks parts of codecbench_train's Trainable")
    return cast(TrainableModule, model)


def dotted(tables: dict[str, object], prefix: str = "") -> dict[str, object]:
    """Nested tables as dotted names."""
    flat: dict[str, object] = {}
    for key, value in tables.items():
        flat |= dotted(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def lmspt(preset: str, overrides: dict[str, object]) -> nn.Module:
    """An LM-SPT model from one of its presets."""
    from codecbench_lmspt import LMSPT, load_preset

    return LMSPT(load_preset(preset, overrides))
