"""The corpus as sequences of codes: one long array for each codebook, with the bounds of its utterances."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from codecbench.contracts.audio import Utterance
from codecbench.contracts.encoded import Encoded, Tokens, TokenStream
from codecbench.contracts.metric import CodecView
from codecbench.hashing import digest

FOLDS = 5
# The protocol's least number of speakers for anything that is said of speakers.
LEAST_SPEAKERS = 20


@dataclass(frozen=True, eq=False)
class Book:
    """All codes of one codebook.

    codes: int64 [n], utterance after utterance. starts: int64 [U + 1], bounds of the utterances. below: the codebook
    before it in decoding order where every utterance has the same frames in both, else None.
    """

    name: str
    size: int
    codes: np.ndarray
    starts: np.ndarray
    below: Book | None = None

    @cached_property
    def utterance(self) -> np.ndarray:
        """Index of the utterance of every code, int64 [n]."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    def before(self, steps: int) -> np.ndarray:
        """Return the code ``steps`` frames earlier in the same utterance, ``size`` where there is none; int64 [n]."""
        earlier = np.full(len(self.codes), self.size)
        earlier[steps:] = self.codes[: len(self.codes) - steps]
        position = np.arange(len(self.codes)) - self.starts[self.utterance]
        return np.where(position >= steps, earlier, self.size)

    def contexts(self, order: int) -> tuple[np.ndarray, ...]:
        """Return what an n-gram of ``order`` conditions on, most telling first: order - 1 arrays int64 [n].

        The codebook below in the same frame, then this codebook's earlier frames.
        """
        same_frame = () if self.below is None else (self.below.codes,)
        earlier = (self.before(steps) for steps in range(1, order))
        return (*same_frame, *earlier)[: order - 1]

    def of(self, index: int) -> slice:
        """Where the codes of utterance ``index`` lie."""
        return slice(int(self.starts[index]), int(self.starts[index + 1]))


@dataclass(frozen=True, eq=False)
class TokenCorpus:
    """The tokens of one codec on the corpus.

    fixed_bits: float64 [U], bits of global tokens (at fixed length) and of side information. seconds: float64 [U].
    missing: ids of utterances that the codec has no tokens for.
    """

    utterances: tuple[Utterance, ...]
    seconds: np.ndarray
    fixed_bits: np.ndarray
    books: tuple[Book, ...]
    missing: tuple[str, ...] = ()

    @property
    def num_codes(self) -> int:
        """Codes that have a sequence: those of all codebooks but global ones."""
        return sum(len(book.codes) for book in self.books)


@dataclass
class _Collector:
    name: str
    size: int
    parts: list[np.ndarray] = field(default_factory=list)


def collect(view: CodecView) -> TokenCorpus | None:
    """Gather the tokens of a codec; None where it makes none."""
    durations = {r.utterance_id: r.duration_s for r in view.records if r.utterance_id}
    rows = [(u, e) for u, e in view.encoded() if isinstance(e, Tokens)]
    if not rows:
        return None
    names: dict[str, _Collector] = {}
    for _, encoded in rows:
        for stream in _sequences(encoded):
            for k, size in enumerate(stream.codebook_sizes):
                names.setdefault(f"{stream.name}/{k}", _Collector(f"{stream.name}/{k}", size))
    for _, encoded in rows:
        found = {f"{s.name}/{k}": _codes(s, k) for s in _sequences(encoded) for k in range(s.num_codebooks)}
        for name, collector in names.items():
            collector.parts.append(found.get(name, np.zeros(0, np.int64)))
    utterances = tuple(u for u, _ in rows)
    known = {u.id for u in utterances}
    return TokenCorpus(
        utterances,
        np.array([durations.get(u.id, u.duration_s or 0.0) for u in utterances]),
        np.array([_fixed_bits(e) for _, e in rows]),
        _books(list(names.values())),
        tuple(u for u in durations if u not in known),
    )


def assign_folds(utterances: Sequence[Utterance], folds: int = FOLDS) -> tuple[np.ndarray, str]:
    """Return a fold for each utterance, int64 [U], and what was held apart: ``speaker`` or ``utterance``.

    By speaker where every utterance names one and there are at least 20; else by text where there is one (two
    readings of a sentence are never in two folds), else by utterance. Depends on names only, not on their order.
    """
    speakers = [u.speaker for u in utterances]
    by_speaker = all(speakers) and len(set(speakers)) >= LEAST_SPEAKERS
    units = [u.speaker if by_speaker else (u.text or u.id) for u in utterances]
    ranked = sorted(set(units), key=digest)
    place = {unit: index % folds for index, unit in enumerate(ranked)}
    return np.array([place[unit] for unit in units]), "speaker" if by_speaker else "utterance"


def _sequences(encoded: Tokens) -> list[TokenStream]:
    return [s for s in encoded.streams if s.frame_rate_hz > 0]


def _codes(stream: TokenStream, k: int) -> np.ndarray:
    return stream.codes[0, k, : int(stream.num_frames[0])].cpu().numpy().astype(np.int64)


def _fixed_bits(encoded: Encoded) -> float:
    assert isinstance(encoded, Tokens)
    bits = 0.0
    for stream in encoded.streams:
        if stream.frame_rate_hz == 0:
            bits += int(stream.num_frames[0]) * sum(math.log2(size) for size in stream.codebook_sizes)
        if stream.side_info_bits is not None:
            bits += float(stream.side_info_bits[0])
    return bits


def _books(collected: Sequence[_Collector]) -> tuple[Book, ...]:
    books: list[Book] = []
    for c in collected:
        starts = np.concatenate([[0], np.cumsum([len(part) for part in c.parts])])
        aligned = bool(books) and np.array_equal(books[-1].starts, starts)
        books.append(Book(c.name, c.size, np.concatenate(c.parts), starts, books[-1] if aligned else None))
    return tuple(books)
