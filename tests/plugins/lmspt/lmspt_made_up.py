"""A small configuration of the release architecture with reproducible made-up weights, for tests.

``python lmspt_made_up.py OUT.safetensors`` writes the file; the numbers come from numpy's PCG64, seeded by each key's
CRC-32, scaled so that signals neither vanish nor explode.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from codecbench_lmspt import LMSPT, load_preset
from codecbench_lmspt.spec import ModelSpec
from codecbench_lmspt.weights import inference_state

SMALL_RELEASE = {
    "name": "release",
    "latent_width": 32,
    "encoder.channels": 8,
    "encoder.strides": [2, 3, 4],
    "quantizer.semantic_size": 64,
    "quantizer.acoustic_size": 32,
    "quantizer.acoustic_books": 3,
    "quantizer.code_width": 4,
    "decoder.channels": 64,
    "decoder.strides": [4, 3, 2],
    "aux_decoder.channels": 16,
    "aux_decoder.strides": [4, 2, 2],
}


def small_release() -> ModelSpec:
    """24 kHz, hop 24, an odd stride in encoder and decoder, 1 + 3 books."""
    return load_preset("release", SMALL_RELEASE)


def small_release_state() -> dict[str, Tensor]:
    """Made-up weights of :func:`small_release`."""
    shapes = {key: tuple(value.shape) for key, value in inference_state(LMSPT(small_release())).items()}
    return made_up(shapes)


def made_up(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """One float32 tensor for each key of the official layout."""
    return {key: torch.from_numpy(_values(key, shape)).float() for key, shape in shapes.items()}


def _values(key: str, shape: tuple[int, ...]) -> np.ndarray:
    normal = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode()))).standard_normal(shape)
    last = key.rsplit(".", 1)[-1]
    if last == "weight_v":
        return normal / np.sqrt(np.prod(shape[1:]))
    if last == "weight_g":
        return 0.6 + 0.06 * normal
    if last == "alpha":
        return 1.0 + 0.15 * normal
    return 0.05 * normal if last == "bias" else np.abs(normal) if last.endswith("usage") else normal


def main() -> None:
    """Write the fixture as a safetensors file."""
    from safetensors.torch import save_file

    save_file(small_release_state(), Path(sys.argv[1]))


if __name__ == "__main__":
    main()
