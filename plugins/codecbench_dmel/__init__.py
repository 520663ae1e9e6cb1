"""dMel: log-mel energies cut into 16 levels each, tokens of the simplest kind; a control beside learnt codebooks."""

from __future__ import annotations

from codecbench import Codec, CodecContext, CodecSpec, StreamSpec, hookimpl
from codecbench.registering import RegisterCodec

SAMPLE_RATE_HZ = 16000
NUM_BANDS, NUM_LEVELS = 80, 16
HOP_SAMPLES = {"40hz": 400, "80hz": 200}


def spec_of(variant: str) -> CodecSpec:
    """Make the specification of one frame rate."""
    frame_rate_hz = SAMPLE_RATE_HZ / HOP_SAMPLES[variant]
    return CodecSpec(
        "dmel",
        variant,
        description=f"dMel: {NUM_BANDS} mel bands of {NUM_LEVELS} levels at {frame_rate_hz:g} Hz, phases found",
        sample_rate_hz=SAMPLE_RATE_HZ,
        streams=(StreamSpec(frame_rate_hz, (NUM_LEVELS,) * NUM_BANDS),),
        truncatable=True,
        licence_code="Apache-2.0",
        paper="Bai et al., dMel: Speech Tokenization made Simple, 2024, arXiv:2407.15835",
    )


def make(spec: CodecSpec, context: CodecContext) -> Codec:
    """Make the codec."""
    from codecbench_dmel.codec import DMel

    return DMel(spec)


@hookimpl
def register_codecs(register: RegisterCodec) -> None:
    """Register both frame rates."""
    for variant in HOP_SAMPLES:
        register(spec_of(variant), make)
