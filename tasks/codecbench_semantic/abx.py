"""ABX discriminability of phones by the codes that they cover."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from codecbench.hashing import digest
from codecbench_semantic.frames import Segment

# Segments of a phone for each speaker: triples grow with the third power of it.
MOST_SEGMENTS = 20
FIRST_CHARACTER = 0x10000


@dataclass(frozen=True)
class AbxResult:
    """Error in 0 … 1 (0.5 is chance), over how many pairs of phones, speakers and segments."""

    error: float
    pairs: int
    speakers: int
    segments: int


def abx_error(segments: Sequence[Segment]) -> AbxResult | None:
    """Return how often X is nearer to a segment B of another phone than to A of its own, all of one speaker.

    Ties count half. The distance is the edit distance of the codes over the longer length. Averaged over triples,
    then over the speakers of each ordered pair of phones, then over pairs; None where no speaker has two phones, one
    of them twice. Source: Schatz et al., "Evaluating speech features with the minimal-pair ABX task", Interspeech
    2013; any context as in Hallap et al., "Evaluating context-invariance in unsupervised speech representations",
    Interspeech 2023.
    """
    errors: dict[tuple[str, str], list[float]] = defaultdict(list)
    speakers, used = 0, 0
    for part in _by_speaker(segments):
        found = _speaker_errors(part)
        for pair, error in found.items():
            errors[pair].append(error)
        speakers += bool(found)
        used += len(part) if found else 0
    if not errors:
        return None
    return AbxResult(float(np.mean([np.mean(values) for values in errors.values()])), len(errors), speakers, used)


def _by_speaker(segments: Sequence[Segment]) -> list[list[Segment]]:
    groups: dict[str, dict[str, list[tuple[str, Segment]]]] = defaultdict(lambda: defaultdict(list))
    for index, segment in enumerate(segments):
        groups[segment.speaker][segment.phone].append((digest([index, segment.phone]), segment))
    chosen = []
    for phones in groups.values():
        ranked = [sorted(found, key=lambda row: row[0])[:MOST_SEGMENTS] for found in phones.values()]
        chosen.append([segment for rows in ranked for _, segment in rows])
    return chosen


def _speaker_errors(segments: Sequence[Segment]) -> dict[tuple[str, str], float]:
    from rapidfuzz.distance import Levenshtein
    from rapidfuzz.process import cdist

    texts = ["".join(chr(FIRST_CHARACTER + int(code)) for code in segment.codes) for segment in segments]
    distances = cdist(texts, texts, scorer=Levenshtein.normalized_distance, dtype=np.float64)
    places: dict[str, list[int]] = defaultdict(list)
    for index, segment in enumerate(segments):
        places[segment.phone].append(index)
    return {
        (own, other): _pair_error(distances[np.ix_(a, a)], distances[np.ix_(a, b)])
        for own, a in places.items()
        for other, b in places.items()
        if own != other and len(a) > 1
    }


def _pair_error(within: np.ndarray, across: np.ndarray) -> float:
    """``within`` [A, A]: among segments of the phone; ``across`` [A, B]: to those of the other."""
    own, other = within[:, :, None], across[:, None, :]
    wrong = (own > other) + 0.5 * (own == other)
    return float(wrong[~np.eye(len(within), dtype=bool)].mean())
