"""SpeechTokenizer-style models that one trains oneself: the baseline of LM-SPT's own comparison, at its token rate.

No weights exist but those of your own training: ``codecbench train speechtokenizer-style --preset ...``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codecbench import Batching, Codec, CodecContext, CodecSpec, OptionSpec, StreamSpec, Unavailable, hookimpl
from codecbench.hashing import file_sha256
from codecbench.weights import require_modules
from codecbench_speechtokenizer_style.sizes import SIZES

if TYPE_CHECKING:
    from codecbench.registering import RegisterCodec

FAMILY = "speechtokenizer-style"


def codec_spec(variant: str) -> CodecSpec:
    """What the suite is told of a variant."""
    size = SIZES[variant]
    return CodecSpec(
        FAMILY,
        variant,
        description=f"SpeechTokenizer-style model of your own training, {size.codebooks} codebooks at 25 Hz",
        sample_rate_hz=size.sample_rate_hz,
        streams=(StreamSpec(size.frame_rate_hz, (size.codebook_size,) * size.codebooks),),
        truncatable=True,
        trainable=True,
        batching=Batching.SINGLE,
        options=(OptionSpec("weights", "safetensors file that the trainer wrote", type="Path", affects="nothing"),),
        licence_code="Apache-2.0",
        teacher="whisper",
        paper="Zhang et al., SpeechTokenizer: unified speech tokenizer for speech language models, ICLR 2024, "
        "arXiv:2308.16692",
        requirements=("safetensors",),
    )


def weights_file(spec: CodecSpec, options: Mapping[str, Any]) -> Path:
    """The weight file given by the user; raises Unavailable where there is none."""
    require_modules(["safetensors"], "lmspt")
    if options.get("weights") is None:
        raise Unavailable(
            f"{spec.full_name} has no published weights",
            f"train it with: codecbench train {FAMILY} --preset {spec.variant}; then --set {FAMILY}.weights=FILE",
        )
    path = Path(options["weights"])
    if not path.is_file():
        raise Unavailable(f"{FAMILY}.weights: no file {path}")
    return path


def check_available(spec: CodecSpec, options: Mapping[str, Any]) -> None:
    """Raise Unavailable where no weights are given."""
    weights_file(spec, options)


def identify(spec: CodecSpec, options: Mapping[str, Any]) -> dict[str, str]:
    """The weights' digest."""
    return {"weights_sha256": file_sha256(weights_file(spec, options))}


def make_codec(spec: CodecSpec, context: CodecContext) -> Codec:
    """Load the model when it is used."""
    from codecbench_speechtokenizer_style.codec import make_codec as make

    return make(spec, context)


@hookimpl
def register_codecs(register: RegisterCodec) -> None:
    """Register every size; the first one is what the bare name means."""
    for variant in SIZES:
        register(codec_spec(variant), make_codec, available=check_available, identity=identify)
