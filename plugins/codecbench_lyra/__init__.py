"""Lyra V2: Google's SoundStream with 46 residual quantisers of 4 bits, from the user's copy of its weights."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from codecbench import Batching, Codec, CodecContext, CodecSpec, OptionSpec, StreamSpec, Unavailable, hookimpl
from codecbench.registering import RegisterCodec

SAMPLE_RATE_HZ = 16000
FRAME_SAMPLES = 320
CODEBOOK_SIZE = 16
VARIANTS = {"9.2kbps": 46, "6kbps": 30, "3.2kbps": 16}
# google/lyra release v1.3.2, folder lyra/model_coeffs
SHA256 = {
    "soundstream_encoder.tflite": "237da0b16226fb0a68d49551c81bebf614e42142af72764448359f68581e88f1",
    "quantizer.tflite": "841ee05989687d32d1f616a8ad1419fc7eda37599d3c05c7cf5a0d60ccf8ac5c",
    "lyragan.tflite": "50e7839cda4f30599a3a34cfaddcd9c98449b049eee884e1a74295780448ad06",
}
ENVIRONMENT = "CODECBENCH_LYRA_WEIGHTS"
REMEDY = (
    "take lyra/model_coeffs/*.tflite of github.com/google/lyra at v1.3.2 and give their folder "
    f"by --set lyra.weights=FOLDER or {ENVIRONMENT}"
)
WEIGHTS = OptionSpec(
    "weights", help=f"folder with {', '.join(SHA256)} of Lyra v1.3.2", type="Path", env=ENVIRONMENT, affects="nothing"
)


def spec_of(variant: str) -> CodecSpec:
    """Make the specification of one rate."""
    stream = StreamSpec(SAMPLE_RATE_HZ / FRAME_SAMPLES, (CODEBOOK_SIZE,) * VARIANTS[variant])
    return CodecSpec(
        "lyra",
        variant,
        description=f"Lyra V2 (SoundStream), {VARIANTS[variant]} residual quantisers of 4 bits at 50 Hz",
        sample_rate_hz=SAMPLE_RATE_HZ,
        streams=(stream,),
        default=variant in {"3.2kbps", "6kbps"},
        causal=True,
        algorithmic_delay_samples=FRAME_SAMPLES,
        truncatable=True,
        batching=Batching.SINGLE,
        options=(WEIGHTS,),
        licence_code="Apache-2.0 (Lyra, LiteRT)",
        licence_weights="Apache-2.0",
        paper="Zeghidour et al., SoundStream: An End-to-End Neural Audio Codec, 2021, arXiv:2107.03312",
        requirements=("ai-edge-litert", "weights of google/lyra v1.3.2"),
    )


def make(spec: CodecSpec, context: CodecContext) -> Codec:
    """Make a Lyra codec."""
    from codecbench_lyra.codec import Lyra

    return Lyra(spec, context.options["weights"])


def available(spec: CodecSpec, options: Mapping[str, Any]) -> None:
    """Raise Unavailable where the runtime or the weights are missing, or the weights are others."""
    from importlib.util import find_spec

    if find_spec("ai_edge_litert") is None:
        raise Unavailable("ai-edge-litert is not installed", 'pip install "codecbench[lyra]"')
    identity(spec, options)


def identity(spec: CodecSpec, options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the digests of the weights' files; raises Unavailable where they are not those of v1.3.2."""
    from codecbench.hashing import file_sha256

    folder = options["weights"]
    if folder is None:
        raise Unavailable("no folder with Lyra's weights was given", REMEDY)
    for name, expected in SHA256.items():
        if not (folder / name).is_file():
            raise Unavailable(f"Lyra's weights lack {os.fspath(folder / name)}", REMEDY)
        found = file_sha256(folder / name)
        if found != expected:
            raise Unavailable(f"{folder / name} is not that of Lyra v1.3.2 (sha256 {found[:8]}…)", REMEDY)
    return {"weights": SHA256}


@hookimpl
def register_codecs(register: RegisterCodec) -> None:
    """Register the three rates of Lyra V2."""
    for variant in VARIANTS:
        register(spec_of(variant), make, available=available, identity=identity)
