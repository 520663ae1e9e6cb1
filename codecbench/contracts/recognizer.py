"""Speech recognisers: plugins that turn audio into the hypothesis behind WER and CER."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from codecbench.contracts.codec import OptionSpec

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class RecognizerSpec:
    """A recogniser as it is named beside every WER.

    family: model family and size (``whisper-base``), compared with a codec's ``teacher`` to flag kinship.
    languages: ISO 639-1 codes that it covers; empty for any. argument: the option that the text after a colon sets
    (``whisper:openai/whisper-small``), so that the model is named in every number.
    """

    name: str
    description: str
    family: str = ""
    languages: tuple[str, ...] = ()
    sample_rate_hz: int = 16000
    version: str = "1"
    default: bool = False
    options: tuple[OptionSpec, ...] = ()
    licence_weights: str = ""
    requirements: tuple[str, ...] = ()
    argument: str = ""

    def covers(self, language: str | None) -> bool:
        """Say whether ``language`` (None: unknown, taken as covered) can be recognised."""
        return not self.languages or language is None or language.lower().split("-")[0] in self.languages


@dataclass(frozen=True)
class Transcript:
    """A hypothesis as the recogniser wrote it, before any normalisation."""

    text: str
    language: str | None = None


class Recognizer(Protocol):
    """Transcribes one utterance at a time, the same text for the same audio every time."""

    def transcribe(self, audio: np.ndarray, language: str | None) -> Transcript:
        """Transcribe float32 [T] at the recogniser's rate."""


@dataclass(frozen=True)
class RecognizerContext:
    """What a recogniser factory is given."""

    device: str = "cpu"
    num_threads: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)


RecognizerFactory = Callable[[RecognizerSpec, RecognizerContext], Recognizer]
