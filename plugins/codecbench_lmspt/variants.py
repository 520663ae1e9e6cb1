"""The codec's variants: one for each preset, described, checked for weights and identified without loading torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from codecbench import Batching, CodecSpec, DecodeMode, OptionSpec, StreamSpec, Unavailable
from codecbench.hashing import file_sha256
from codecbench.weights import locate_weights, require_modules
from codecbench_lmspt import presets
from codecbench_lmspt.files import HUB_FILE, SPEC_KEY, WeightsError, find_file, shipped_weights
from codecbench_lmspt.spec import ModelSpec

FAMILY = "lmspt"
DEFAULT_VARIANT = "mini-12.5hz"
# Defaults of precision and compilation, for CPU and CUDA alike. Measured on one thread of a CPU with AVX512-BF16, 10 s
# of audio by mini-12.5hz when it still predicted its phases: 0.22 CPU-seconds in fp32, 0.12 in bf16, 0.18 in fp32
# compiled. fp32 is the default, because codes should not depend on what a processor can do; compiling takes 38 s, once
# for each shape, and pays after more than two hours of audio. CUDA is not measured: benchmarks/lmspt_inference.py.
DEFAULT_DTYPE, DEFAULT_COMPILE = "fp32", "none"
OPTIONS = (
    OptionSpec(
        "weights",
        "safetensors file, or a folder with <variant>.safetensors or exactly one such file",
        type="Path",
        env="CODECBENCH_LMSPT_WEIGHTS",
        affects="nothing",  # the file's digest is part of the identity instead
    ),
    OptionSpec(
        "dtype",
        "type that encoders and decoders compute in (the quantizer stays in float32)",
        default=DEFAULT_DTYPE,
        choices=("fp32", "bf16", "fp16"),
    ),
    OptionSpec(
        "compile",
        "torch.compile, alone or with CUDA graphs",
        default=DEFAULT_COMPILE,
        choices=("none", "compile", "cudagraphs"),
    ),
    OptionSpec("chunk-seconds", "longest stretch computed at once; 0 for no limit", type="float", default=30.0),
)


@cache
def preset_of(variant: str) -> ModelSpec:
    """The preset behind a variant."""
    return presets.load_preset(variant)


def variant_names() -> list[str]:
    """All presets, the default first."""
    return sorted(presets.preset_names(), key=lambda name: (name != DEFAULT_VARIANT, name))


def codec_spec(variant: str) -> CodecSpec:
    """What the suite is told of a variant."""
    preset = preset_of(variant)
    rate, sizes = preset.frame_rate_hz, preset.codebook_sizes
    return CodecSpec(
        FAMILY,
        variant,
        description=preset.description,
        sample_rate_hz=preset.sample_rate_hz,
        streams=(StreamSpec(rate, sizes[:1], "semantic"), StreamSpec(rate, sizes[1:], "acoustic")),
        default=variant == DEFAULT_VARIANT,
        causal=preset.causal,
        # Offline models see seconds ahead (the windows of all Transformer layers): no delay is declared for them.
        algorithmic_delay_samples=preset.hop_samples if preset.causal else 0,
        truncatable=True,
        streaming=preset.causal,
        trainable=True,
        batching=Batching.MASKED,
        decode_modes=_decode_modes(preset),
        options=OPTIONS,
        licence_code="Apache-2.0",
        licence_weights=preset.card.licence_weights,
        training_data=preset.card.training_data,
        teacher=preset.card.teacher,
        paper="Jo et al., LM-SPT: LM-aligned semantic distillation for speech tokenization, 2025, arXiv:2506.16738",
        requirements=("safetensors",),
    )


def _decode_modes(preset: ModelSpec) -> tuple[DecodeMode, ...]:
    aux_rate = (preset.aux_decoder or preset.decoder).sample_rate_hz
    return (
        DecodeMode("full", description="all codebooks, main decoder"),
        DecodeMode("semantic", description="semantic codebook alone, main decoder", streams=("semantic",)),
        DecodeMode(
            "semantic-aux", aux_rate, "semantic codebook alone, auxiliary decoder of the distillation", ("semantic",)
        ),
        DecodeMode("acoustic", description="acoustic codebooks alone, main decoder", streams=("acoustic",)),
    )


def weights_file(spec: CodecSpec, options: Mapping[str, Any]) -> Path:
    """The weight file of a variant. Raises Unavailable with the reason and the remedy."""
    require_modules(["safetensors"], FAMILY)
    card = preset_of(spec.variant).card
    if options.get("weights") is not None:
        try:
            path = find_file(Path(options["weights"]), spec.variant)
        except WeightsError as error:
            raise Unavailable(f"lmspt.weights: {error}") from None
        check_fits(spec, path)
        return path
    if shipped_weights(spec.variant).is_file():
        return shipped_weights(spec.variant)
    if card.hub:
        return locate_weights(card.hub, [HUB_FILE], option="lmspt.weights") / HUB_FILE
    raise Unavailable(
        f"no weights for {spec.full_name}: {card.no_weights}",
        f"train it with: codecbench train lmspt --preset {spec.variant}; then --set lmspt.weights=FILE",
    )


def check_fits(spec: CodecSpec, path: Path) -> None:
    """Raise Unavailable where a weight file says that it is of a model with other tokens than the variant's."""
    stated = read_metadata(path).get(SPEC_KEY)
    if stated is None:
        return
    try:
        preset = presets.spec_from_table(json.loads(stated))
    except ValueError as error:
        raise Unavailable(f"{path.name} states a model that this version does not know: {error}") from None
    rates_agree = math.isclose(preset.frame_rate_hz, spec.streams[0].frame_rate_hz)
    sizes = tuple(size for stream in spec.streams for size in stream.codebook_sizes)
    if not rates_agree or preset.codebook_sizes != sizes or preset.sample_rate_hz != spec.sample_rate_hz:
        raise Unavailable(
            f"{path.name} holds weights of {preset.name!r}, whose tokens are not those of {spec.full_name}",
            f"use --codecs lmspt:{preset.name}",
        )


def read_metadata(path: Path) -> dict[str, str]:
    """The text metadata in a safetensors header, without reading a tensor; empty where the file is something else."""
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size)) if size < 1 << 27 else {}
    except (ValueError, OSError):
        return {}
    metadata = header.get("__metadata__", {}) if isinstance(header, dict) else {}
    return metadata if isinstance(metadata, dict) else {}


def available(spec: CodecSpec, options: Mapping[str, Any]) -> None:
    """Raise Unavailable where a variant has no weights here."""
    weights_file(spec, options)


def identity(spec: CodecSpec, options: Mapping[str, Any]) -> Mapping[str, Any]:
    """What decides the output beside the options: the weights' digest."""
    return {"weights_sha256": file_sha256(weights_file(spec, options))}
