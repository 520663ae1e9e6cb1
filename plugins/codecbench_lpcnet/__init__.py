"""LPCNet at 1733 bit/s: a neural vocoder with its trained weights, inside Debian 12's libcodec2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codecbench import Codec, CodecContext, CodecSpec, hookimpl
from codecbench.registering import RegisterCodec

SAMPLE_RATE_HZ = 16000
FRAME_SAMPLES = 480
FRAME_BITS = 52
# Over real speech the correlation of log spectra peaks at 885 samples and ESTOI at 900; nothing states the delay.
DELAY_SAMPLES = 890

SPEC = CodecSpec(
    "lpcnet",
    description="LPCNet vocoder at 1733 bit/s, 16 kHz, weights lpcnet_191005_v1.0: generative, waveform not kept",
    sample_rate_hz=SAMPLE_RATE_HZ,
    bitrate_bps=FRAME_BITS * SAMPLE_RATE_HZ / FRAME_SAMPLES,
    default=True,
    algorithmic_delay_samples=FRAME_SAMPLES + DELAY_SAMPLES,
    frame_samples=FRAME_SAMPLES,
    licence_code="BSD-3-Clause (LPCNet), LGPL-2.1 (Codec 2)",
    licence_weights="LGPL-2.1, as the package states",
    paper="Valin, Skoglund, A Real-Time Wideband Neural Vocoder at 1.6 kb/s Using LPCNet, Interspeech 2019",
    requirements=("libcodec2 1.0 (Debian 12: libcodec2-1.0)",),
)


def make(spec: CodecSpec, context: CodecContext) -> Codec:
    """Make the LPCNet codec."""
    from codecbench_lpcnet.codec import LPCNet

    return LPCNet(spec)


def available(spec: CodecSpec, options: Mapping[str, Any]) -> None:
    """Raise Unavailable where no libcodec2 with LPCNet is installed."""
    from codecbench_lpcnet.library import load

    load()


def identity(spec: CodecSpec, options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Name the library and LPCNet's own hash."""
    from codecbench_lpcnet.library import version

    return {"library": version()}


@hookimpl
def register_codecs(register: RegisterCodec) -> None:
    """Register LPCNet."""
    register(SPEC, make, available=available, identity=identity)
