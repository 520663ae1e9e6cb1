"""Audio that a codec made elsewhere, scored like any codec; and the originals of such recordings as a corpus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codecbench import Codec, CodecContext, CodecSpec, Corpus, CorpusSpec, KnownFailure, OptionSpec, hookimpl
from codecbench.registering import RegisterCodec, RegisterCommand, RegisterCorpus

ENVIRONMENT = "CODECBENCH_RECORDED_MANIFEST"
VARIANT_HELP = "recorded:SYSTEM, as in the manifest; 'codecbench recorded MANIFEST' lists the systems"

ROOT = OptionSpec(
    "root", help="folder that the manifest's paths start from and may not leave", type="Path", affects="nothing"
)
ALLOW_OUTSIDE = OptionSpec(
    "allow_outside", help="let the manifest's paths leave the root", type="bool", default=False, affects="nothing"
)
CODEC_OPTIONS = (
    OptionSpec(
        "manifest",
        help="manifest (JSONL), or a folder with one or with SYSTEM/UTTERANCE.wav",
        type="Path",
        env=ENVIRONMENT,
        affects="nothing",
    ),
    ROOT,
    ALLOW_OUTSIDE,
    OptionSpec(
        "length_tolerance_ms",
        help="recordings that differ by more from the original's length are a length mismatch, not cut or padded",
        type="float",
        default=100.0,
    ),
)
CORPUS = CorpusSpec(
    "pairs",
    description="the distinct originals of recorded outputs, each utterance once",
    path_format="pairs:MANIFEST",
    options=(
        OptionSpec("page", help="only originals of this source page"),
        OptionSpec("systems", help="only originals that all of these systems (comma-separated) recorded"),
        ROOT,
        ALLOW_OUTSIDE,
    ),
)
_NOTHING_TO_CODE = "it returns recordings of named utterances and has none of other audio"


def system_of(variant: str) -> str:
    """Return the system without its settings: what stands before the first number (``mimi-550-4-codebooks``)."""
    words = variant.split("-")
    rate = next((i for i, word in enumerate(words) if i and word[:1].isdigit()), len(words))
    return "-".join(words[:rate])


def parse_variant(variant: str) -> CodecSpec:
    """Make the specification of ``recorded:SYSTEM``; whether the manifest has the system is checked later."""
    return CodecSpec(
        "recorded",
        variant,
        system=system_of(variant),
        description=f"outputs of {variant or 'a system'} that were recorded elsewhere",
        options=CODEC_OPTIONS,
        known_failures=tuple(
            KnownFailure(name, _NOTHING_TO_CODE)
            for name in ("global-state", "waveform-format", "token-format", "round-trip-length")
        ),
        licence_code="as the manifest's source states",
    )


def make(spec: CodecSpec, context: CodecContext) -> Codec:
    """Make the codec of one system."""
    from codecbench_recorded.codec import Recorded, recordings_of

    return Recorded(spec, recordings_of(spec, context.options), context.options["length_tolerance_ms"] / 1000)


def available(spec: CodecSpec, options: Mapping[str, Any]) -> None:
    """Raise Unavailable where no manifest is given, UsageError where it lacks the system."""
    from codecbench_recorded.codec import recordings_of

    recordings_of(spec, options)


def identity(spec: CodecSpec, options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Name the recordings by the digest of their contents."""
    from codecbench_recorded.codec import digest, recordings_of

    return {"recordings": digest(recordings_of(spec, options))}


def open_pairs(argument: str, options: Mapping[str, Any]) -> Corpus:
    """Open the originals of a manifest; raises UsageError for an unknown page or system."""
    from codecbench_recorded.corpus import open_corpus

    return open_corpus(argument, options)


@hookimpl
def register_codecs(register: RegisterCodec) -> None:
    """Register the codec; its variants are the systems of the manifest."""
    register(
        parse_variant(""),
        make,
        available=available,
        identity=identity,
        parse_variant=parse_variant,
        variant_help=VARIANT_HELP,
    )


@hookimpl
def register_corpora(register: RegisterCorpus) -> None:
    """Register the originals."""
    register(CORPUS, open_pairs)


@hookimpl
def register_commands(register: RegisterCommand) -> None:
    """Register the listing of a manifest."""
    register(
        "recorded", "List the pages and systems of a manifest of recorded outputs.", "codecbench_recorded.command:main"
    )
