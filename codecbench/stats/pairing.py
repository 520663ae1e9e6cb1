"""Which utterances of two runs are the same: by id, and by the audio itself where its digest is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codecbench.results import RunResults

NAMED = 5


@dataclass(frozen=True)
class Pairing:
    """partners: id in the first run to id in the second. other_audio: ids that mean different audio in both."""

    partners: Mapping[str, str]
    other_audio: tuple[str, ...]

    @property
    def notes(self) -> Iterator[str]:
        """What a reader must know of the pairs."""
        if self.other_audio:
            yield (
                f"{len(self.other_audio)} utterances have one id but other audio in the two runs and are not compared: "
                f"{_named(self.other_audio)}"
            )
        renamed = tuple(f"{a} = {b}" for a, b in self.partners.items() if a != b)
        if renamed:
            yield f"{len(renamed)} utterances have other ids but the same audio and are paired: {_named(renamed)}"


def pair_utterances(before: RunResults, after: RunResults) -> Pairing:
    """Pair by id where the audio is the same or one run does not know it; then by audio that each run has once."""
    first, second = _digests(before), _digests(after)
    other = {i for i in first if i in second and first[i] and second[i] and first[i] != second[i]}
    partners = {i: i for i in first if i in second and i not in other}
    places = _once(second, taken=set(partners))
    for digest, own in _once(first, taken=set(partners)).items():
        if digest in places:
            partners[own] = places[digest]
    return Pairing(partners, tuple(i for i in first if i in other and i not in partners))


def _digests(results: RunResults) -> dict[str, str]:
    ids = (str(i) for i in results.records["utterance_id"].cat.categories if i)
    return {i: results.artifacts.audio_sha256(i) for i in ids}


def _once(digests: Mapping[str, str], taken: set[str]) -> dict[str, str]:
    """Return {digest: id} of the audio that is known, occurs once and has no partner yet."""
    counts = Counter(digests.values())
    return {d: i for i, d in digests.items() if d and counts[d] == 1 and i not in taken}


def _named(names: tuple[str, ...]) -> str:
    return ", ".join(names[:NAMED]) + (" …" if len(names) > NAMED else "")
