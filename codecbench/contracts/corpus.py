"""Corpora: named or given by path, walked one utterance at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from codecbench.contracts.audio import Utterance
from codecbench.contracts.codec import OptionSpec


@dataclass(frozen=True)
class CorpusSpec:
    """A kind of corpus: a fixed one with a name, or a format recognised by its path.

    path_format: what a path of this kind looks like; empty for a fixed corpus.
    overlaps: names of corpora that it is part of, for the contamination note.
    """

    name: str
    description: str
    path_format: str = ""
    licence: str = ""
    overlaps: tuple[str, ...] = ()
    options: tuple[OptionSpec, ...] = ()
    default: bool = False
    requirements: tuple[str, ...] = ()


@dataclass(frozen=True)
class Corpus:
    """An opened corpus: its name in the results, and a fresh walk over its utterances at each call."""

    name: str
    utterances: Callable[[], Iterable[Utterance]]
    num_utterances: int | None = None
    notes: tuple[str, ...] = field(default=())


# (argument after --corpus, options) -> opened corpus; raises UsageError for a path that is not of this kind.
CorpusOpener = Callable[[str, Mapping[str, Any]], Corpus]
# Says whether the argument after --corpus is of this kind; None for fixed corpora, found by name.
CorpusMatcher = Callable[[str], bool]
