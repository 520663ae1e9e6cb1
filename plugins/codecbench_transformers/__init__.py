"""What the codecs from the transformers library share: availability, identity and loading of their weights.

No plugin by itself: ``codecbench_mimi``, ``codecbench_encodec`` and ``codecbench_dac`` stand on it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from codecbench import CodecSpec, OptionSpec, Unavailable
from codecbench.hashing import file_sha256
from codecbench.weights import locate_weights, require_modules

FILES = ("config.json", "model.safetensors")


def weights_option(family: str, hub_name: str | None = None) -> OptionSpec:
    """Return the option ``<family>.weights``; it is no part of the identity, which holds the weights' digest."""
    default = f"the hub name {hub_name}" if hub_name else "the variant's own hub name"
    return OptionSpec(
        "weights",
        f"folder with {' and '.join(FILES)}, or a hub name; by default {default}",
        default=hub_name,
        env=f"CODECBENCH_{family.upper()}_WEIGHTS",
        affects="nothing",
    )


@dataclass(frozen=True)
class HubWeights:
    """Where a family's weights lie: availability and identity checks for ``register``.

    hub_names: default hub name of each variant. model_type: what ``config.json`` must say.
    """

    family: str
    model_type: str
    hub_names: Mapping[str, str]

    def folder(self, spec: CodecSpec, options: Mapping[str, Any]) -> Path:
        """Return the folder of the weights; raises Unavailable."""
        weights = options.get("weights") or self.hub_names[spec.variant]
        return locate_weights(weights, FILES, option=f"{self.family}.weights")

    def available(self, spec: CodecSpec, options: Mapping[str, Any]) -> None:
        """Raise Unavailable where the library or the weights are missing, or are another model's."""
        require_modules(["transformers", "safetensors"], self.family)
        folder = self.folder(spec, options)
        found = _config(folder).get("model_type")
        if found != self.model_type:
            raise Unavailable(
                f"{folder / 'config.json'} describes a model of type {found!r}, not {self.model_type!r}",
                f"--set {self.family}.weights=FOLDER with a {self.model_type} checkpoint",
            )

    def identity(self, spec: CodecSpec, options: Mapping[str, Any]) -> dict[str, str]:
        """Return the digests of weights and configuration and the versions of the libraries that run them."""
        folder = self.folder(spec, options)
        return {
            "weights_sha256": file_sha256(folder / "model.safetensors"),
            "config_sha256": file_sha256(folder / "config.json"),
            "transformers": metadata.version("transformers"),
            "torch": metadata.version("torch"),
        }


def _config(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    except ValueError as error:
        raise Unavailable(f"{folder / 'config.json'} is not JSON: {error}") from error
