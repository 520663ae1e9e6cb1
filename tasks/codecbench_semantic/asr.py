"""Scorer of a light recogniser on the codes: words and characters wrong for this codec's token budget."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from codecbench.contracts.audio import Utterance
from codecbench.contracts.encoded import Tokens, TokenStream
from codecbench.contracts.metric import CodecView, Measurement, Status
from codecbench_token_lm.sequences import assign_folds

METRICS = ("asr_probe_wer", "asr_probe_cer")
LEAST_UTTERANCES = 10


@dataclass(frozen=True, eq=False)
class _Row:
    utterance: Utterance
    text: str
    streams: tuple[TokenStream, ...]


class AsrScorer:
    """Trains a small CTC model on four fifths of the corpus' codes and recognises the last fifth.

    The same model, steps, seed and split for every codec. Streams of the first one's rate are read together; a stream
    of another rate is left out, and named.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Take the options ``steps`` and ``seed``."""
        self._steps, self._seed = int(options["steps"]), int(options["seed"])

    def score(self, view: CodecView) -> Sequence[Measurement]:
        """Return word and character errors of every held-out utterance."""
        found = [(u, words(u.text or ""), e) for u, e in view.encoded() if isinstance(e, Tokens)]
        if not found:
            return _none(Status.NOT_APPLICABLE, "the codec makes no tokens")
        rows = [_Row(u, text, _streams(e)) for u, text, e in found if text and _streams(e)]
        fold_of, split = assign_folds([row.utterance for row in rows])
        held = fold_of == (fold_of.max() if len(rows) else 0)
        if len(rows) < LEAST_UTTERANCES or held.all():
            return _none(Status.TOO_FEW_FRAMES, f"{len(rows)} utterances with text; {LEAST_UTTERANCES} are needed")
        left_out = [s.name for s in found[0][2].streams if s.name not in {r.name for r in rows[0].streams}]
        seconds = np.array([float(r.streams[0].num_frames[0]) / r.streams[0].frame_rate_hz for r in rows])
        facts: dict[str, Any] = {
            "steps": self._steps,
            "seed": self._seed,
            "trained_on_s": round(float(seconds[~held].sum()), 1),
            "held_apart_by": split,
        }
        facts |= {"streams_left_out": left_out}
        return list(self._measure(rows, held, facts))

    def _measure(self, rows: Sequence[_Row], held: np.ndarray, facts: Mapping[str, Any]) -> Iterator[Measurement]:
        import jiwer

        measures: tuple[Any, Any] = (jiwer.process_words, jiwer.process_characters)
        apart = [row for row, h in zip(rows, held, strict=True) if h]
        for row, hypothesis in zip(apart, self._hear(rows, held), strict=True):
            detail = json.dumps({**facts, "reference": row.text, "hypothesis": hypothesis}, ensure_ascii=False)
            for metric, compare in zip(METRICS, measures, strict=True):
                edits = compare(row.text, hypothesis)
                errors = edits.substitutions + edits.deletions + edits.insertions
                length = edits.hits + edits.substitutions + edits.deletions
                yield Measurement(
                    metric,
                    100 * errors / length,
                    numerator=errors,
                    denominator=length,
                    detail=detail,
                    utterance_id=row.utterance.id,
                )

    def _hear(self, rows: Sequence[_Row], held: np.ndarray) -> list[str]:
        import torch

        from codecbench_semantic.asr_model import CodeRecognizer, Example, recognize, train

        shown = [row for row, h in zip(rows, held, strict=True) if not h]
        letters = sorted(set("".join(row.text for row in shown)))
        place = {letter: index + 1 for index, letter in enumerate(letters)}
        sizes = [size for stream in rows[0].streams for size in stream.codebook_sizes]
        examples = [Example(_codes(r), torch.tensor([place[c] for c in r.text])) for r in shown]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._seed)
            model = CodeRecognizer(sizes, len(letters), rows[0].streams[0].frame_rate_hz)
            train(model, examples, self._steps)
        heard = [recognize(model, _codes(row)) for row, h in zip(rows, held, strict=True) if h]
        return [" ".join("".join(letters[c - 1] for c in found).split()) for found in heard]


def words(text: str) -> str:
    """Return a text in lower case with nothing but letters, digits, apostrophes and single spaces."""
    return " ".join(re.findall(r"[\w']+", text.lower()))


def _streams(tokens: Tokens) -> tuple[TokenStream, ...]:
    timed = [s for s in tokens.streams if s.frame_rate_hz > 0 and s.durations is None]
    return tuple(s for s in timed if s.frame_rate_hz == timed[0].frame_rate_hz and int(s.num_frames[0]) > 0)


def _codes(row: _Row) -> Any:
    import torch

    frames = min(int(s.num_frames[0]) for s in row.streams)
    return torch.cat([s.codes[0, :, :frames] for s in row.streams])


def _none(status: Status, reason: str) -> list[Measurement]:
    return [Measurement(name, status=status, reason=reason) for name in METRICS]
