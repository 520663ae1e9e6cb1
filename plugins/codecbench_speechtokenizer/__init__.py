"""SpeechTokenizer: 8 codebooks at 50 Hz, the first distilled from HuBERT.

``speechtokenizer`` is the published model trained on LibriSpeech; ``@1`` is its semantic codebook alone. Another
checkpoint of the same layout (``config.json`` beside ``SpeechTokenizer.pt``) by ``--set speechtokenizer.weights=``.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codecbench import Batching, Codec, CodecContext, CodecSpec, OptionSpec, StreamSpec, hookimpl
from codecbench.hashing import file_sha256
from codecbench.weights import locate_weights, require_modules

if TYPE_CHECKING:
    from codecbench.registering import RegisterCodec

HUB_NAME = "fnlp/SpeechTokenizer"
HUB_FOLDER = "speechtokenizer_hubert_avg"
CONFIG, CHECKPOINT = "config.json", "SpeechTokenizer.pt"
SAMPLE_RATE_HZ = 16000
FRAME_SAMPLES = 320
NUM_CODEBOOKS = 8
CODEBOOK_SIZE = 1024
FRAME_RATE_HZ = SAMPLE_RATE_HZ / FRAME_SAMPLES

SPEC = CodecSpec(
    "speechtokenizer",
    description="SpeechTokenizer, 8 codebooks at 50 Hz (the first distilled from HuBERT), 4 kbit/s",
    sample_rate_hz=SAMPLE_RATE_HZ,
    streams=(StreamSpec(FRAME_RATE_HZ, (CODEBOOK_SIZE,) * NUM_CODEBOOKS),),
    default=True,
    truncatable=True,
    batching=Batching.SINGLE,
    options=(
        OptionSpec(
            "weights",
            f"folder with {CONFIG} and {CHECKPOINT}, or a hub name whose folder {HUB_FOLDER} has them",
            default=HUB_NAME,
            env="CODECBENCH_SPEECHTOKENIZER_WEIGHTS",
            affects="nothing",  # the identity holds the digest of the weights instead
        ),
    ),
    licence_code="Apache-2.0",
    licence_weights="Apache-2.0",
    training_data=("LibriSpeech",),
    teacher="HuBERT",
    paper="Zhang et al., SpeechTokenizer: unified speech tokenizer for speech language models, ICLR 2024, "
    "arXiv:2308.16692",
    requirements=("speechtokenizer", "einops"),
)


def find_folder(options: Mapping[str, Any]) -> Path:
    """Return the folder that holds configuration and checkpoint; raises Unavailable."""
    weights, option = str(options.get("weights") or HUB_NAME), "speechtokenizer.weights"
    given = Path(weights).expanduser()
    if given.is_dir() and not (given / HUB_FOLDER).is_dir():
        return locate_weights(weights, (CONFIG, CHECKPOINT), option=option)
    files = (f"{HUB_FOLDER}/{CONFIG}", f"{HUB_FOLDER}/{CHECKPOINT}")
    return locate_weights(weights, files, option=option) / HUB_FOLDER


def check_available(spec: CodecSpec, options: Mapping[str, Any]) -> None:
    """Raise Unavailable where the package or the weights are missing."""
    require_modules(["speechtokenizer", "einops"], "speechtokenizer")
    find_folder(options)


def identify(spec: CodecSpec, options: Mapping[str, Any]) -> dict[str, str]:
    """Return the digests of weights and configuration and the versions of the libraries that run them."""
    folder = find_folder(options)
    return {
        "weights_sha256": file_sha256(folder / CHECKPOINT),
        "config_sha256": file_sha256(folder / CONFIG),
        "speechtokenizer": metadata.version("speechtokenizer"),
        "torch": metadata.version("torch"),
    }


def make_codec(spec: CodecSpec, context: CodecContext) -> Codec:
    """Load SpeechTokenizer; raises Unavailable where its weights cannot be had."""
    from codecbench_speechtokenizer.codec import load_speechtokenizer

    return load_speechtokenizer(spec, find_folder(context.options), context.device)


@hookimpl
def register_codecs(register: RegisterCodec) -> None:
    """Register ``speechtokenizer``."""
    register(SPEC, make_codec, available=check_available, identity=identify)
