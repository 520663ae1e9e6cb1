"""Scorer of speaker information in each stream: a linear probe on how often its codes occur."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from codecbench.contracts.audio import Utterance
from codecbench.contracts.encoded import Tokens
from codecbench.contracts.metric import CodecView, Measurement, Status
from codecbench.hashing import digest
from codecbench_semantic.frames import codes_of

METRIC = "speaker_probe_pct"
FOLDS = 4
# Of one speaker: as many as there are folds, so that each is in every training part.
LEAST_UTTERANCES = FOLDS


class SpeakerScorer:
    """Tells speakers apart by multinomial logistic regression, every utterance by a model that did not see it."""

    def score(self, view: CodecView) -> Sequence[Measurement]:
        """Return for each stream and utterance whether its speaker was told; chance stands in the detail."""
        rows = [(u, e) for u, e in view.encoded() if isinstance(e, Tokens)]
        if not rows:
            return [Measurement(METRIC, status=Status.NOT_APPLICABLE, reason="the codec makes no tokens")]
        counts = Counter(u.speaker for u, _ in rows if u.speaker)
        told = {speaker for speaker, count in counts.items() if count >= LEAST_UTTERANCES}
        if len(told) < 2:
            reason = f"{len(told)} speakers with {LEAST_UTTERANCES} utterances or more; 2 are needed"
            return [Measurement(METRIC, status=Status.NOT_APPLICABLE, reason=reason)]
        kept = [(u, e) for u, e in rows if u.speaker in told]
        names = dict.fromkeys(s.name for _, e in kept for s in e.streams)
        return [m for name in names for m in _probe(name, kept)]


def histograms(name: str, rows: Sequence[tuple[Utterance, Tokens]]) -> np.ndarray:
    """Return the roots of the shares of each code of a stream, codebook after codebook: float64 [utterances, codes].

    Distances between them are Hellinger's, and their length does not depend on that of the utterance.
    """
    found = []
    for _, tokens in rows:
        stream = next(s for s in tokens.streams if s.name == name)
        counts = [np.bincount(codes_of(stream, k), minlength=size) for k, size in enumerate(stream.codebook_sizes)]
        found.append(np.concatenate([np.sqrt(c / max(1, c.sum())) for c in counts]))
    return np.array(found)


def _probe(name: str, rows: Sequence[tuple[Utterance, Tokens]]) -> Iterator[Measurement]:
    from sklearn.linear_model import LogisticRegression

    features, speakers = histograms(name, rows), np.array([u.speaker for u, _ in rows])
    fold_of = _folds([u for u, _ in rows])
    guesses = np.empty(len(rows), object)
    for fold in range(FOLDS):
        held = fold_of == fold
        model = LogisticRegression(C=100.0, max_iter=1000).fit(features[~held], speakers[~held])
        guesses[held] = model.predict(features[held])
    share = max(Counter(speakers).values()) / len(rows)
    facts = {"speakers": len(set(speakers)), "utterances": len(rows), "chance_pct": round(100 * share, 2)}
    for (utterance, _), guess in zip(rows, guesses, strict=True):
        hit = float(guess == utterance.speaker)
        yield Measurement(
            METRIC,
            100 * hit,
            numerator=hit,
            denominator=1.0,
            component=name,
            detail=json.dumps(facts | {"guess": str(guess)}),
            utterance_id=utterance.id,
        )


def _folds(utterances: Sequence[Utterance]) -> np.ndarray:
    """Give each speaker's utterances to the folds in turn, in an order that their ids alone decide."""
    turns: dict[str, list[int]] = defaultdict(list)
    for index in sorted(range(len(utterances)), key=lambda i: digest(utterances[i].id)):
        turns[utterances[index].speaker or ""].append(index)
    fold_of = np.zeros(len(utterances), np.int64)
    for indices in turns.values():
        fold_of[indices] = np.arange(len(indices)) % FOLDS
    return fold_of
