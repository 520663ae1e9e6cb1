"""Classical speech and audio codecs as anchors: Opus and what FFmpeg codes, through the libraries of PyAV's wheel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codecbench import Codec, CodecContext, CodecSpec, Unavailable, hookimpl
from codecbench.registering import RegisterCodec
from codecbench_classical.av_specs import FORMATS, VORBIS_HELP, av_spec, parse_vorbis, rates_help, variant_parser
from codecbench_classical.opus_specs import OPUS_DEFAULTS, OPUS_HELP, parse_opus

GET_PYAV = 'pip install "codecbench[classical]"'


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


def make_av(spec: CodecSpec, context: CodecContext) -> Codec:
    """Make a codec of FFmpeg's."""
    from codecbench_classical.av_codec import AvCodec, G722Codec

    family = FORMATS[spec.name]
    return G722Codec(spec, family) if spec.name == "g722" else AvCodec(spec, family)


def av_available(spec: CodecSpec, options: Mapping[str, Any]) -> None:
    """Raise Unavailable where PyAV is missing, or where neither its FFmpeg nor the system has the coder."""
    _require_pyav()
    from codecbench_classical.avcoding import has_codec
    from codecbench_classical.system_encoders import SYSTEM_ENCODERS

    family = FORMATS[spec.name]
    if not has_codec(family.decoder, "r"):
        raise _not_built_in("decoder", family.decoder)
    if has_codec(family.encoder, "w"):
        return
    if family.encoder not in SYSTEM_ENCODERS:
        raise _not_built_in("encoder", family.encoder)
    SYSTEM_ENCODERS[family.encoder].load()


def _not_built_in(role: str, name: str) -> Unavailable:
    return Unavailable(
        f"the FFmpeg in this PyAV was built without the {role} {name}",
        f"build PyAV from source against an FFmpeg that has {name}",
    )


def vorbis_available(spec: CodecSpec, options: Mapping[str, Any]) -> None:
    """Raise Unavailable where PyAV is missing."""
    _require_pyav()


def _require_pyav() -> None:
    try:
        import av.codec  # noqa: F401
    except ImportError as error:
        raise Unavailable(f"PyAV cannot be imported: {error}", GET_PYAV) from error


def av_identity(spec: CodecSpec, options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Name the versions of PyAV and libavcodec, and of the library that encodes where it is another."""
    import av

    from codecbench_classical.avcoding import has_codec
    from codecbench_classical.system_encoders import SYSTEM_ENCODERS

    facts: dict[str, Any] = {"av": av.__version__, "libavcodec": list(av.library_versions["libavcodec"])}
    if spec.name == "vorbis":
        import soundfile

        facts["libsndfile"] = soundfile.__libsndfile_version__
    elif not has_codec(FORMATS[spec.name].encoder, "w"):
        facts["encoder"] = SYSTEM_ENCODERS[FORMATS[spec.name].encoder].version()
    return facts


def make_vorbis(spec: CodecSpec, context: CodecContext) -> Codec:
    """Make a Vorbis codec."""
    from codecbench_classical.vorbis import VorbisCodec

    return VorbisCodec(spec)


@hookimpl
def register_codecs(register: RegisterCodec) -> None:
    """Register Opus, Vorbis and the codecs of FFmpeg."""
    for variant in OPUS_DEFAULTS:
        register(
            parse_opus(variant),
            make_opus,
            available=opus_available,
            identity=opus_identity,
            parse_variant=parse_opus,
            variant_help=OPUS_HELP,
        )
    for variant in ("q0", "q2", "q4"):
        register(
            parse_vorbis(variant),
            make_vorbis,
            available=vorbis_available,
            identity=av_identity,
            parse_variant=parse_vorbis,
            variant_help=VORBIS_HELP,
        )
    for family in FORMATS.values():
        for rate_bps in family.listed_bps:
            register(
                av_spec(family, rate_bps),
                make_av,
                available=av_available,
                identity=av_identity,
                parse_variant=variant_parser(family),
                variant_help=rates_help(family),
            )
