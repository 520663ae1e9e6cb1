"""What goes wrong in generated speech, told apart: words left out, put in, said again, said wrongly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Longest run of words whose immediate repetition is looked for.
LONGEST_RUN = 8


@dataclass(frozen=True)
class SpokenErrors:
    """Word errors of speech against the text that it should say.

    repetitions: words put in that belong to a run of words said twice in a row; insertions: the other words put in.
    """

    substitutions: int
    deletions: int
    insertions: int
    repetitions: int
    reference_length: int

    @property
    def errors(self) -> int:
        """All of them: what WER counts."""
        return self.substitutions + self.deletions + self.insertions + self.repetitions


def spoken_errors(reference: str, hypothesis: str) -> SpokenErrors:
    """Count the word errors of ``hypothesis``; ``reference`` must hold a word.

    A word counts as repeated where it is an insertion of jiwer's alignment and lies in a run of at most 8 words that
    follows its own copy. Repetitions that the text itself has are matched, so they are not counted.
    """
    import jiwer

    out = jiwer.process_words(reference, hypothesis)
    inserted = [
        place
        for chunk in out.alignments[0]
        if chunk.type == "insert"
        for place in range(chunk.hyp_start_idx, chunk.hyp_end_idx)
    ]
    again = repeated_places(hypothesis.split())
    repetitions = sum(place in again for place in inserted)
    return SpokenErrors(
        out.substitutions, out.deletions, out.insertions - repetitions, repetitions, len(reference.split())
    )


def repeated_places(words: Sequence[str]) -> set[int]:
    """Places of the words that lie in a run which stands twice in a row (both copies)."""
    found: set[int] = set()
    for run in range(1, min(LONGEST_RUN, len(words) // 2) + 1):
        for start in range(run, len(words) - run + 1):
            if words[start - run : start] == words[start : start + run]:
                found.update(range(start - run, start + run))
    return found
