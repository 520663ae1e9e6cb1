"""Reference points of every comparison: identity, a noise floor, and uncompressed waveform coding."""

from __future__ import annotations

import re

from codecbench import Codec, CodecContext, CodecSpec, Role, StreamSpec, UsageError, hookimpl
from codecbench.registering import RegisterCodec

LICENCE = "Apache-2.0"

IDENTITY = CodecSpec(
    "identity",
    description="the input itself: what a perfect codec would score",
    role=Role.CEILING,
    default=True,
    causal=True,
    licence_code=LICENCE,
)
MULAW = {
    "8khz": CodecSpec(
        "mulaw",
        "8khz",
        description="logarithmic 8-bit companding of telephony (G.711), 64 kbit/s",
        sample_rate_hz=8000,
        streams=(StreamSpec(8000.0, (256,)),),
        causal=True,
        licence_code=LICENCE,
        paper="ITU-T G.711 (11/1988)",
    ),
    "16khz": CodecSpec(
        "mulaw",
        "16khz",
        description="G.711's mu-law at 16 kHz, the sample-level tokens of WaveNet-style models, 128 kbit/s",
        sample_rate_hz=16000,
        streams=(StreamSpec(16000.0, (256,)),),
        causal=True,
        licence_code=LICENCE,
        paper="ITU-T G.711 (11/1988); van den Oord et al., WaveNet, 2016, arXiv:1609.03499",
    ),
}


def parse_noise(variant: str) -> CodecSpec:
    """Make the specification of ``noise:<SNR>db``; raises UsageError for another form."""
    match = re.fullmatch(r"(-?\d+(?:\.\d+)?)db", variant)
    if match is None:
        raise UsageError(f"noise:{variant}: write the signal-to-noise ratio in decibels, for example noise:20db")
    snr_db = float(match[1])
    return CodecSpec(
        "noise",
        f"{snr_db:g}db",
        description=f"the input plus white noise at {snr_db:g} dB SNR: a known degradation",
        role=Role.FLOOR,
        default=snr_db == 10,
        licence_code=LICENCE,
    )


def parse_pcm(variant: str) -> CodecSpec:
    """Make the specification of ``pcm:<N>bit``; raises UsageError unless N is 1 to 16."""
    match = re.fullmatch(r"(\d+)bit", variant)
    if match is None or not 1 <= int(match[1]) <= 16:
        raise UsageError(f"pcm:{variant}: write the bits per sample, pcm:1bit to pcm:16bit")
    bits = int(match[1])
    return CodecSpec(
        "pcm",
        f"{bits}bit",
        description=f"uniform {bits}-bit quantiser at 16 kHz: about 6.02 dB of SNR for each bit",
        sample_rate_hz=16000,
        streams=(StreamSpec(16000.0, (2**bits,)),),
        causal=True,
        licence_code=LICENCE,
        paper="Bennett, Spectra of quantized signals, Bell System Technical Journal 27, 1948",
    )


def make_identity(spec: CodecSpec, context: CodecContext) -> Codec:
    """Make the identity codec."""
    from codecbench_basic.passthrough import Identity

    return Identity(spec)


def make_noise(spec: CodecSpec, context: CodecContext) -> Codec:
    """Make the noise floor."""
    from codecbench_basic.passthrough import Noise

    return Noise(spec, float(spec.variant.removesuffix("db")))


def make_pcm(spec: CodecSpec, context: CodecContext) -> Codec:
    """Make the uniform quantiser."""
    from codecbench_basic.samplewise import SamplewiseCodec, UniformQuantizer

    return SamplewiseCodec(spec, UniformQuantizer(int(spec.variant.removesuffix("bit"))))


def make_mulaw(spec: CodecSpec, context: CodecContext) -> Codec:
    """Make the mu-law codec."""
    from codecbench_basic.samplewise import MuLaw, SamplewiseCodec

    return SamplewiseCodec(spec, MuLaw())


@hookimpl
def register_codecs(register: RegisterCodec) -> None:
    """Register identity, noise, pcm and mulaw."""
    register(IDENTITY, make_identity)
    for snr in ("20db", "10db", "0db"):
        register(
            parse_noise(snr), make_noise, parse_variant=parse_noise, variant_help="noise:<SNR>db, for example noise:5db"
        )
    for bits in ("8bit", "12bit", "16bit"):
        register(parse_pcm(bits), make_pcm, parse_variant=parse_pcm, variant_help="pcm:1bit to pcm:16bit")
    for spec in MULAW.values():
        register(spec, make_mulaw)
