"""Classical speech and audio codecs as anchors: Opus and what FFmpeg codes, through the libraries of PyAV's wheel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codecbench import Codec, CodecContext, CodecSpec, hookimpl
from codecbench.registering import RegisterCodec
from codecbench_classical.opus_specs import OPUS_DEFAULTS, OPUS_HELP, parse_opus


def make_opus(spec: CodecSpec, context: CodecContext) -> Codec:
    """Make an Opus codec."""
    from codecbench_classical.opus import OpusCodec

    return OpusCodec(spec, constant_bitrate=context.options["rate_control"] == "cbr")


def opus_available(spec: CodecSpec, options: Mapping[str, Any]) -> None:
    """Raise Unavailable where no libopus is found."""
    from codecbench_classical.libopus import find_libopus

    find_libopus()


def opus_identity(spec: CodecSpec, options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Name the version of libopus."""
    from codecbench_classical.libopus import LibOpus

    return {"library": LibOpus().version}


@hookimpl
def register_codecs(register: RegisterCodec) -> None:
    """Register Opus."""
    for variant in OPUS_DEFAULTS:
        register(
            parse_opus(variant),
            make_opus,
            available=opus_available,
            identity=opus_identity,
            parse_variant=parse_opus,
            variant_help=OPUS_HELP,
        )
