"""The Descript Audio Codec (improved RVQGAN) at 16, 24 and 44.1 kHz.

``dac`` is ``dac:16khz``: 12 codebooks at 50 Hz, 6 kbit/s. ``dac:24khz`` has 32 at 75 Hz (24 kbit/s), ``dac:44khz``
9 at 86.13 Hz (7.75 kbit/s). ``@K`` cuts to the first K.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from codecbench import Batching, Codec, CodecContext, CodecSpec, StreamSpec, hookimpl
from codecbench_transformers import HubWeights, weights_option

if TYPE_CHECKING:
    from codecbench.registering import RegisterCodec

CODEBOOK_SIZE = 1024


@dataclass(frozen=True)
class _Variant:
    """lead_samples: how early the audio comes back; see ``output_delay_samples`` below."""

    name: str
    sample_rate_hz: int
    frame_samples: int
    num_codebooks: int
    lead_samples: int


# The published 16 and 24 kHz models give audio back 8 samples early: measured on outputs that others published (all
# ten at 16 kHz with 12 codebooks; a model of the same shape trained elsewhere has no such lead, so the weights have
# learnt it, not the layers). For the 44.1 kHz model nothing of the kind is known.
VARIANTS = (
    _Variant("16khz", 16000, 320, 12, 8),
    _Variant("24khz", 24000, 320, 32, 8),
    _Variant("44khz", 44100, 512, 9, 0),
)
WEIGHTS = HubWeights("dac", "dac", {v.name: f"descript/dac_{v.name}" for v in VARIANTS})


def _spec(variant: _Variant) -> CodecSpec:
    stream = StreamSpec(variant.sample_rate_hz / variant.frame_samples, (CODEBOOK_SIZE,) * variant.num_codebooks)
    return CodecSpec(
        "dac",
        variant.name,
        description=f"Descript Audio Codec {variant.name}, {variant.num_codebooks} codebooks at "
        f"{stream.frame_rate_hz:.4g} Hz, {stream.bitrate_bps / 1000:.3g} kbit/s",
        sample_rate_hz=variant.sample_rate_hz,
        streams=(stream,),
        default=variant is VARIANTS[0],
        output_delay_samples=-variant.lead_samples,
        truncatable=True,
        batching=Batching.EQUAL_FRAMES,
        options=(weights_option("dac"),),
        licence_code="Apache-2.0 (transformers)",
        licence_weights="MIT",
        training_data=("DAPS", "DNS Challenge 4", "Common Voice", "VCTK", "MUSDB18", "Jamendo", "AudioSet"),
        paper="Kumar et al., High-fidelity audio compression with improved RVQGAN, NeurIPS 2023, arXiv:2306.06546",
        requirements=("transformers", "safetensors"),
    )


SPECS = tuple(_spec(variant) for variant in VARIANTS)


def make_codec(spec: CodecSpec, context: CodecContext) -> Codec:
    """Load the variant of ``spec``; raises Unavailable where its weights cannot be had."""
    from codecbench_dac.codec import load_dac

    return load_dac(spec, WEIGHTS.folder(spec, context.options), context.device)


@hookimpl
def register_codecs(register: RegisterCodec) -> None:
    """Register ``dac:16khz`` (the bare ``dac``), ``dac:24khz`` and ``dac:44khz``."""
    for spec in SPECS:
        register(spec, make_codec, available=WEIGHTS.available, identity=WEIGHTS.identity)
