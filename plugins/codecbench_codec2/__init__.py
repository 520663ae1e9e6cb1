"""Codec 2: sinusoidal speech coding at 700 to 3200 bit/s, through pycodec2, whose wheel brings the library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codecbench import Codec, CodecContext, CodecSpec, Unavailable, hookimpl
from codecbench.registering import RegisterCodec

SAMPLE_RATE_HZ = 8000
FRAME_SAMPLES = {3200: 160, 2400: 160, 1600: 320, 1400: 320, 1300: 320, 1200: 320, 700: 320}
VARIANTS = {"1300": 1300, "3200": 3200, "2400": 2400, "1600": 1600, "1400": 1400, "1200": 1200, "700C": 700}


def delay_samples(mode: int) -> int:
    """Samples by which the decoded speech lags: half the 40 ms analysis window, in 700C 10 ms of smoothing more.

    The synthesised phase is not the input's, so this is the delay of the spectral envelope.
    """
    return 240 if mode == 700 else 160


def spec_of(variant: str) -> CodecSpec:
    """Make the specification of one mode."""
    mode = VARIANTS[variant]
    return CodecSpec(
        "codec2",
        variant,
        description=f"Codec 2 at {mode} bit/s, 8 kHz: harmonic sinusoidal coding, waveform not kept",
        sample_rate_hz=SAMPLE_RATE_HZ,
        bitrate_bps=float(mode),
        default=variant in {"3200", "1300"},
        algorithmic_delay_samples=FRAME_SAMPLES[mode] + delay_samples(mode),
        frame_samples=FRAME_SAMPLES[mode],
        licence_code="LGPL-2.1 (Codec 2), BSD-3-Clause (pycodec2)",
        paper="Rowe, Techniques for harmonic sinusoidal coding, PhD thesis, University of South Australia, 1997",
        requirements=("pycodec2",),
    )


def make(spec: CodecSpec, context: CodecContext) -> Codec:
    """Make a Codec 2 codec."""
    from codecbench_codec2.codec import Codec2

    return Codec2(spec, VARIANTS[spec.variant])


def available(spec: CodecSpec, options: Mapping[str, Any]) -> None:
    """Raise Unavailable where pycodec2 cannot be imported."""
    try:
        import pycodec2  # noqa: F401
    except ImportError as error:
        raise Unavailable(f"pycodec2 cannot be imported: {error}", 'pip install "codecbench[codec2]"') from error


def identity(spec: CodecSpec, options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Name the version of pycodec2, and so of the library in it."""
    from importlib.metadata import version

    return {"pycodec2": version("pycodec2")}


@hookimpl
def register_codecs(register: RegisterCodec) -> None:
    """Register the modes of Codec 2."""
    for variant in VARIANTS:
        register(spec_of(variant), make, available=available, identity=identity, aliases=(f"{VARIANTS[variant]}bps",))
