"""Word and character edits between two normalised texts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Edits:
    """Substitutions, deletions and insertions that turn a reference of ``reference_length`` into a hypothesis."""

    substitutions: int
    deletions: int
    insertions: int
    reference_length: int

    @property
    def errors(self) -> int:
        """All edits."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Edits over the reference's length, which must not be 0."""
        return self.errors / self.reference_length


def word_edits(reference: str, hypothesis: str) -> Edits:
    """Return the word edits; ``reference`` must hold a word, the hypothesis may be empty (all deletions)."""
    import jiwer

    out = jiwer.process_words(reference, hypothesis)
    return Edits(out.substitutions, out.deletions, out.insertions, len(reference.split()))


def character_edits(reference: str, hypothesis: str) -> Edits:
    """Return the character edits, spaces included."""
    import jiwer

    out = jiwer.process_characters(reference, hypothesis)
    return Edits(out.substitutions, out.deletions, out.insertions, len(reference))
