"""What stands in the ``detail`` column of WER, CER and dWER records."""

from __future__ import annotations

import json
from dataclasses import dataclass

from codecbench_intelligibility.edits import Edits


@dataclass(frozen=True)
class WordDetail:
    """Normaliser, both normalised texts and the edits between them (None where they were not compared)."""

    normalizer: str
    reference: str
    hypothesis: str
    edits: Edits | None = None

    def to_json(self) -> str:
        """Return the JSON of the record; texts that are empty in a CER row stand in the WER row beside it."""
        fields: dict[str, object] = {"normalizer": self.normalizer}
        if self.reference or self.hypothesis or self.edits is None:
            fields |= {"reference": self.reference, "hypothesis": self.hypothesis}
        if self.edits is not None:
            fields |= {
                "substitutions": self.edits.substitutions,
                "deletions": self.edits.deletions,
                "insertions": self.edits.insertions,
            }
        return json.dumps(fields, ensure_ascii=False)


def read_detail(detail: str) -> WordDetail | None:
    """Return the texts that a WER record carries (without the edits), or None where it carries none."""
    fields = json.loads(detail) if detail else {}
    if "hypothesis" not in fields:
        return None
    return WordDetail(fields["normalizer"], fields["reference"], fields["hypothesis"])
