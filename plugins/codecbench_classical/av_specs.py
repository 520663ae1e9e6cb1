"""What the variants of FFmpeg's codecs and of Vorbis declare."""

from __future__ import annotations

import re
from collections.abc import Callable

from codecbench import CodecSpec, UsageError
from codecbench_classical.formats import FORMATS, AvFormat

VORBIS_RATE_HZ = 16000
VORBIS_HELP = "vorbis:q0 to vorbis:q10"
# Identification and setup header below each quality, as libvorbis writes them at 16 kHz mono; a test compares.
VORBIS_SETUP_BYTES = ((0.5, 3244), (5.0, 3287), (float("inf"), 3569))


def rates_help(family: AvFormat) -> str:
    """Name the allowed variants of a family."""
    if not family.rates_bps:
        return f"{family.name}:<{family.min_rate_bps / 1000:g} to {family.max_rate_bps / 1000:g}>kbps"
    return ", ".join(f"{family.name}:{rate / 1000:g}kbps" for rate in sorted(family.rates_bps))


def variant_parser(family: AvFormat) -> Callable[[str], CodecSpec]:
    """Return the parser of ``<rate>kbps`` for one family; it raises UsageError for a rate that does not exist."""

    def parse(variant: str) -> CodecSpec:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)kbps", variant)
        rate_bps = round(float(match[1]) * 1000) if match else 0
        known = family.rates_bps or range(family.min_rate_bps, family.max_rate_bps + 1)
        if rate_bps not in known:
            raise UsageError(f"{family.name}:{variant}: write {rates_help(family)}")
        return av_spec(family, rate_bps)

    return parse


def av_spec(family: AvFormat, rate_bps: int) -> CodecSpec:
    """Make the specification of one family at one rate."""
    return CodecSpec(
        family.name,
        f"{rate_bps / 1000:g}kbps",
        description=f"{family.title} at {rate_bps / 1000:g} kbit/s",
        sample_rate_hz=family.sample_rate_hz,
        bitrate_bps=float(rate_bps),
        causal=family.causal,
        algorithmic_delay_samples=family.algorithmic_delay_samples,
        setup_bytes=family.setup_bytes,
        frame_samples=family.frame_samples if family.frame_samples > 2 else 0,  # ADPCM works sample by sample
        licence_code=family.licence,
        paper=family.standard,
        requirements=("av",),
    )


def parse_vorbis(variant: str) -> CodecSpec:
    """Make the specification of ``vorbis:q<quality>``; raises UsageError unless it is 0 to 10."""
    match = re.fullmatch(r"q(\d+(?:\.\d+)?)", variant)
    if match is None or not 0 <= float(match[1]) <= 10:
        raise UsageError(f"vorbis:{variant}: write {VORBIS_HELP}")
    quality = float(match[1])
    return CodecSpec(
        "vorbis",
        f"q{quality:g}",
        description=f"Vorbis at quality {quality:g}, 16 kHz, variable rate",
        sample_rate_hz=VORBIS_RATE_HZ,
        # Half a long block after half a long block, and the search for transients; 1444 samples were measured.
        algorithmic_delay_samples=1536,
        frame_samples=1024,
        setup_bytes=next(size for below, size in VORBIS_SETUP_BYTES if quality < below),
        licence_code="BSD-3-Clause (libvorbis), LGPL-2.1-or-later (FFmpeg decoder)",
        paper="Xiph.Org, Vorbis I specification, 2020",
        requirements=("av", "soundfile"),
    )


__all__ = ["FORMATS", "VORBIS_HELP", "av_spec", "parse_vorbis", "rates_help", "variant_parser"]
