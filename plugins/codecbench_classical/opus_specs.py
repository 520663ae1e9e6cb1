"""What the Opus variants declare."""

from __future__ import annotations

import re

from codecbench import CodecSpec, OptionSpec, UsageError

SAMPLE_RATE_HZ = 16000
FRAME_SAMPLES = 320
LOOKAHEAD_SAMPLES = 104
OPUS_DEFAULTS = ("12kbps", "6kbps", "8kbps", "16kbps", "24kbps", "32kbps", "6kbps-wb", "8kbps-wb")
OPUS_HELP = "opus:<6 to 510>kbps, for example opus:13kbps; opus:8kbps-wb forces wideband"

RATE_CONTROL = OptionSpec(
    "rate_control",
    help="vbr: libopus' default, constrained variable rate; cbr: every packet of the same size",
    default="vbr",
    choices=("vbr", "cbr"),
)


def parse_opus(variant: str) -> CodecSpec:
    """Make the specification of ``opus:<rate>kbps[-wb]``; raises UsageError for another form."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)kbps(-wb)?", variant)
    if match is None or not 6 <= float(match[1]) <= 510:
        raise UsageError(f"opus:{variant}: write {OPUS_HELP}")
    rate_kbps, wideband = float(match[1]), match[2] is not None
    bandwidth = (
        "wideband forced (at low rates the encoder left to itself codes narrower and scores better)"
        if wideband
        else "bandwidth chosen by the encoder"
    )
    return CodecSpec(
        "opus",
        f"{rate_kbps:g}kbps" + (match[2] or ""),
        description=f"Opus at {rate_kbps:g} kbit/s, 16 kHz mono, 20 ms frames, VoIP tuning, {bandwidth}",
        sample_rate_hz=SAMPLE_RATE_HZ,
        bitrate_bps=rate_kbps * 1000,
        default=variant in {"6kbps", "12kbps"},
        causal=False,
        algorithmic_delay_samples=FRAME_SAMPLES + LOOKAHEAD_SAMPLES,
        frame_samples=FRAME_SAMPLES,
        options=(RATE_CONTROL,),
        licence_code="BSD-3-Clause",
        paper="Valin, Vos, Terriberry, Definition of the Opus Audio Codec, RFC 6716, 2012",
        requirements=("av",),
    )
