"""Mimi, the codec of Moshi: one semantic and up to 31 acoustic codebooks at 12.5 Hz.

``mimi`` is the codec as Moshi uses it, 8 codebooks at 1.1 kbit/s; ``mimi:32`` is the same model with all 32 at
4.4 kbit/s. ``mimi@K`` cuts to the first K of 8, ``mimi:32@K`` to the first K of 32; one codebook alone
(``mimi@1``) is the semantic stream.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from codecbench import Batching, Codec, CodecContext, CodecSpec, StreamSpec, hookimpl
from codecbench_transformers import HubWeights, weights_option

if TYPE_CHECKING:
    from codecbench.registering import RegisterCodec

HUB_NAME = "kyutai/mimi"
SAMPLE_RATE_HZ = 24000
FRAME_SAMPLES = 1920
CODEBOOK_SIZE = 2048
FRAME_RATE_HZ = SAMPLE_RATE_HZ / FRAME_SAMPLES

WEIGHTS = HubWeights("mimi", "mimi", {"": HUB_NAME, "32": HUB_NAME})


def _streams(num_codebooks: int) -> tuple[StreamSpec, ...]:
    semantic = StreamSpec(FRAME_RATE_HZ, (CODEBOOK_SIZE,), "semantic")
    return semantic, StreamSpec(FRAME_RATE_HZ, (CODEBOOK_SIZE,) * (num_codebooks - 1), "acoustic")


SPEC = CodecSpec(
    "mimi",
    description="Mimi as in Moshi: 1 semantic + 7 acoustic codebooks at 12.5 Hz, 1.1 kbit/s",
    sample_rate_hz=SAMPLE_RATE_HZ,
    streams=_streams(8),
    default=True,
    causal=True,
    algorithmic_delay_samples=FRAME_SAMPLES,
    truncatable=True,
    batching=Batching.MASKED,
    options=(weights_option("mimi", HUB_NAME),),
    licence_code="Apache-2.0 (transformers)",
    licence_weights="CC-BY-4.0",
    training_data=("Moshi audio, mostly English speech, not published",),
    teacher="WavLM",
    paper="Défossez et al., Moshi: a speech-text foundation model for real-time dialogue, 2024, arXiv:2410.00037",
    requirements=("transformers", "safetensors"),
)
SPEC_32 = replace(
    SPEC,
    variant="32",
    description="Mimi with all codebooks: 1 semantic + 31 acoustic at 12.5 Hz, 4.4 kbit/s",
    streams=_streams(32),
    default=False,
)


def make_codec(spec: CodecSpec, context: CodecContext) -> Codec:
    """Load Mimi with the codebooks of ``spec``; raises Unavailable where its weights cannot be had."""
    from codecbench_mimi.codec import load_mimi

    return load_mimi(spec, WEIGHTS.folder(spec, context.options), context.device)


@hookimpl
def register_codecs(register: RegisterCodec) -> None:
    """Register ``mimi`` and ``mimi:32``."""
    register(SPEC, make_codec, available=WEIGHTS.available, identity=WEIGHTS.identity, aliases=("8",))
    register(SPEC_32, make_codec, available=WEIGHTS.available, identity=WEIGHTS.identity)
