"""Scorer of SNMI: whether readings of one sentence by several people become alike sequences of codes."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from codecbench.contracts.encoded import Tokens
from codecbench.contracts.metric import CodecView, Measurement, Status
from codecbench_semantic.frames import codes_of
from codecbench_token_lm.information import estimate_pair

METRICS = ("snmi", "snmi_adjusted")
SHINGLE = 2
PERMUTATIONS = 128
THRESHOLD = 0.3


class SentenceScorer:
    """Groups utterances by locality-sensitive hashing of their codes and compares the groups with the sentences."""

    def score(self, view: CodecView) -> Sequence[Measurement]:
        """Return SNMI, plain and adjusted for chance, for the first codebook of each stream."""
        rows = [(sentence(u.text or ""), e) for u, e in view.encoded() if isinstance(e, Tokens)]
        if not rows:
            return _none(Status.NOT_APPLICABLE, "the codec makes no tokens")
        readings = Counter(text for text, _ in rows if text)
        repeated = {text for text, count in readings.items() if count > 1}
        if len(repeated) < 2:
            return _none(Status.NOT_APPLICABLE, f"{len(repeated)} sentences are read more than once; 2 are needed")
        kept = [(text, tokens) for text, tokens in rows if text in repeated]
        sentences = np.unique([text for text, _ in kept], return_inverse=True)[1]
        names = dict.fromkeys(s.name for _, e in kept for s in e.streams if s.frame_rate_hz > 0)
        return [m for name in names for m in _measure(name, [e for _, e in kept], sentences)]


def sentence(text: str) -> str:
    """Return the words of a text alone: what makes two readings the same sentence."""
    return " ".join(re.findall(r"[\w']+", text.lower()))


def hash_groups(sequences: Sequence[np.ndarray]) -> np.ndarray:
    """Return a group for each sequence of codes [F], int64 [sequences].

    Sequences whose pairs of successive codes overlap (Jaccard similarity about 0.3) by MinHash and locality-sensitive
    hashing, and whatever those chain together. Source: Broder 1997; Indyk & Motwani 1998 (package datasketch).
    """
    from datasketch import MinHash, MinHashLSH
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    index = MinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS)
    hashes = []
    for number, codes in enumerate(sequences):
        found = MinHash(num_perm=PERMUTATIONS, seed=1)
        found.update_batch([codes[i : i + SHINGLE].astype("<i8").tobytes() for i in range(len(codes) - SHINGLE + 1)])
        hashes.append(found)
        index.insert(number, found)
    links = [(a, b) for a, found in enumerate(hashes) for b in index.query(found)]
    first, second = (np.array(side, np.int64) for side in zip(*links, strict=True)) if links else (np.zeros(0),) * 2
    graph = coo_matrix((np.ones(len(first)), (first, second)), shape=(len(sequences), len(sequences)))
    groups: np.ndarray = connected_components(graph, directed=False)[1]
    return groups.astype(np.int64)


def _measure(name: str, rows: Sequence[Tokens], sentences: np.ndarray) -> list[Measurement]:
    from sklearn.metrics import adjusted_mutual_info_score

    sequences = [codes_of(next(s for s in tokens.streams if s.name == name), 0) for tokens in rows]
    groups = hash_groups(sequences)
    pair = estimate_pair(sentences, groups)
    entropy = pair.first.plug_in_bits
    shared = entropy + pair.second.plug_in_bits - pair.joint.plug_in_bits
    facts = {
        "readings": len(rows),
        "sentences": int(sentences.max()) + 1,
        "groups": int(groups.max()) + 1,
        "frames": int(sum(map(len, sequences))),
    }
    detail, component = json.dumps(facts), f"{name}/0"
    adjusted = float(adjusted_mutual_info_score(sentences, groups))
    return [
        Measurement("snmi", shared / entropy, component=component, detail=detail),
        Measurement("snmi_adjusted", adjusted, component=component, detail=detail),
    ]


def _none(status: Status, reason: str) -> list[Measurement]:
    return [Measurement(name, status=status, reason=reason) for name in METRICS]
