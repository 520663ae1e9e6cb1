"""How far two token sequences of the same speech are apart."""

from __future__ import annotations

import json
from dataclasses import dataclass

from codecbench.contracts.encoded import Tokens


@dataclass(frozen=True)
class CodeEdits:
    """Edits of each codebook, by its name, and its number of codes before."""

    edits: dict[str, int]
    codes: dict[str, int]

    @property
    def total(self) -> int:
        """Edits over all codebooks."""
        return sum(self.edits.values())

    @property
    def total_codes(self) -> int:
        """Codes over all codebooks."""
        return sum(self.codes.values())

    def detail(self) -> str:
        """Return codes and the share of edits in per cent for each codebook as JSON."""
        shares = {k: round(100 * e / self.codes[k], 2) if self.codes[k] else None for k, e in self.edits.items()}
        return json.dumps({"codes": self.total_codes, "edits_pct": shares})


def code_edits(before: Tokens, after: Tokens) -> CodeEdits:
    """Count insertions, deletions and substitutions in each codebook, whatever the two lengths (B = 1).

    Source: unit edit distance of Gat et al., "Augmentation invariant discrete representation for generative spoken
    language modeling", IWSLT 2023; the distance is that of ``rapidfuzz``.
    """
    from rapidfuzz.distance import Levenshtein

    edits, codes = {}, {}
    later = {stream.name: stream for stream in after.streams}
    for stream in before.streams:
        old, new = stream.row(0).codes[0], later[stream.name].row(0).codes[0]
        for k in range(stream.num_codebooks):
            name = f"{stream.name}/{k}"
            edits[name] = int(Levenshtein.distance(old[k].tolist(), new[k].tolist()))
            codes[name] = int(old.shape[1])
    return CodeEdits(edits, codes)
