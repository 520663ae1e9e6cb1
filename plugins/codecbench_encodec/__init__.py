"""EnCodec at 24 kHz: up to 32 codebooks at 75 Hz, 0.75 kbit/s each.

``encodec`` has 8 codebooks, 6 kbit/s, the rate at which it is usually quoted (the library's own default is 1.5);
``encodec:32`` has all of them, 24 kbit/s. ``@K`` cuts to the first K.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from codecbench import Batching, Codec, CodecContext, CodecSpec, KnownFailure, StreamSpec, hookimpl
from codecbench_transformers import HubWeights, weights_option

if TYPE_CHECKING:
    from codecbench.registering import RegisterCodec

HUB_NAME = "facebook/encodec_24khz"
SAMPLE_RATE_HZ = 24000
FRAME_SAMPLES = 320
CODEBOOK_SIZE = 1024
FRAME_RATE_HZ = SAMPLE_RATE_HZ / FRAME_SAMPLES

WEIGHTS = HubWeights("encodec", "encodec", {"": HUB_NAME, "32": HUB_NAME})

SPEC = CodecSpec(
    "encodec",
    description="EnCodec 24 kHz, 8 codebooks at 75 Hz, 6 kbit/s",
    sample_rate_hz=SAMPLE_RATE_HZ,
    streams=(StreamSpec(FRAME_RATE_HZ, (CODEBOOK_SIZE,) * 8),),
    default=True,
    causal=True,
    algorithmic_delay_samples=FRAME_SAMPLES,
    truncatable=True,
    batching=Batching.MASKED,
    options=(weights_option("encodec", HUB_NAME),),
    known_failures=(
        KnownFailure(
            "prefix-causality",
            "convolutions are causal but mirror the start of the utterance, so its first frames depend on the seven "
            "after them",
        ),
    ),
    licence_code="Apache-2.0 (transformers)",
    licence_weights="MIT",
    training_data=("DNS Challenge 4", "Common Voice", "AudioSet", "FSD50K", "Jamendo"),
    paper="Défossez et al., High fidelity neural audio compression, 2022, arXiv:2210.13438",
    requirements=("transformers", "safetensors"),
)
SPEC_32 = replace(
    SPEC,
    variant="32",
    description="EnCodec 24 kHz with all 32 codebooks at 75 Hz, 24 kbit/s",
    streams=(StreamSpec(FRAME_RATE_HZ, (CODEBOOK_SIZE,) * 32),),
    default=False,
)


def make_codec(spec: CodecSpec, context: CodecContext) -> Codec:
    """Load EnCodec with the codebooks of ``spec``; raises Unavailable where its weights cannot be had."""
    from codecbench_encodec.codec import load_encodec

    return load_encodec(spec, WEIGHTS.folder(spec, context.options), context.device)


@hookimpl
def register_codecs(register: RegisterCodec) -> None:
    """Register ``encodec`` and ``encodec:32``."""
    register(SPEC, make_codec, available=WEIGHTS.available, identity=WEIGHTS.identity, aliases=("8",))
    register(SPEC_32, make_codec, available=WEIGHTS.available, identity=WEIGHTS.identity)
