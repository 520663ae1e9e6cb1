"""The named, versioned text normalisers that both sides of every WER go through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

# Written without spaces between words: a word error rate is not defined, the character error rate is.
NO_WORD_SPACES = frozenset({"zh", "yue", "ja", "th", "lo", "my", "km", "bo"})


@dataclass(frozen=True)
class Normalizer:
    """A text normaliser under the name and version that stand beside every error rate."""

    name: str
    normalize: Callable[[str], str]


def base_language(language: str | None) -> str | None:
    """Return the part before the region in lower case: ``en`` for ``en-US``."""
    return language.lower().replace("_", "-").split("-")[0] if language else None


@cache
def normalizer_for(language: str | None) -> Normalizer:
    """Return Whisper's English normaliser for English, its basic one for every other or an unknown language.

    Source: Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022, appendix C, as the
    package whisper-normalizer carries it.
    """
    from importlib import metadata

    version = metadata.version("whisper-normalizer")
    if base_language(language) == "en":
        from whisper_normalizer.english import EnglishTextNormalizer

        return Normalizer(f"whisper-english/{version}", _stripped(EnglishTextNormalizer()))
    from whisper_normalizer.basic import BasicTextNormalizer

    return Normalizer(f"whisper-basic/{version}", _stripped(BasicTextNormalizer()))


def _stripped(normalize: Callable[[str], str]) -> Callable[[str], str]:
    """Leave single spaces between words only: stray ones would be counted as characters."""
    return lambda text: " ".join(normalize(text).split())
