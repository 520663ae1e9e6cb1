"""Recogniser ``pocketsphinx``: a classical English one (GMM-HMM), kin to no codec's teacher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from codecbench import RecognizerContext, RecognizerSpec, hookimpl

if TYPE_CHECKING:
    from codecbench import registering as reg
    from codecbench.contracts.recognizer import Recognizer

SPEC = RecognizerSpec(
    "pocketsphinx",
    "PocketSphinx en-us, triphone GMM-HMM and trigram model, its own search settings; mean and noise of each utterance",
    family="pocketsphinx",
    languages=("en",),
    licence_weights="BSD-2-Clause",
    requirements=("codecbench[pocketsphinx]",),
)


def _available(spec: RecognizerSpec, options: Mapping[str, Any]) -> None:
    from codecbench.weights import require_modules

    require_modules(["pocketsphinx"], "pocketsphinx")


def _identity(spec: RecognizerSpec, options: Mapping[str, Any]) -> Mapping[str, Any]:
    from importlib import metadata

    # The model lies in the package. Scores of before each utterance had a noise estimate of its own are not these.
    return {"pocketsphinx": metadata.version("pocketsphinx"), "noise_estimate": "utterance"}


def _make(spec: RecognizerSpec, context: RecognizerContext) -> Recognizer:
    from codecbench_pocketsphinx.recognizer import PocketSphinxRecognizer

    return PocketSphinxRecognizer()


@hookimpl
def register_recognizers(register: reg.RegisterRecognizer) -> None:
    """Register ``pocketsphinx``."""
    register(SPEC, _make, available=_available, identity=_identity)
