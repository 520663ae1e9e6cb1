"""What speech recognisers heard, with the edits against the transcript."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from codecbench.results import RunResults
from codecbench_page.text import visible

Edit = tuple[str, str, str]  # (equal | substitute | delete | insert, words of the transcript, words heard)


@dataclass(frozen=True)
class Said:
    """One recogniser's hypothesis of one utterance of one codec, as edits of the normalised transcript."""

    recognizer: str
    edits: tuple[Edit, ...]


def words_said(results: RunResults) -> dict[tuple[str, str], list[Said]]:
    """Return by (codec, utterance id) what was heard, from the first metric whose records carry both texts."""
    for metric in results.info.metrics:
        found: dict[tuple[str, str], list[Said]] = {}
        for component in results.components(metric.name):
            if component not in results.info.recognizers:
                continue
            rows = results.view(metric.name, component)
            for codec, utterance, detail in zip(rows["codec"], rows["utterance_id"], rows["detail"], strict=True):
                texts = _texts(detail)
                if texts is not None:
                    said = Said(component, tuple(edits(*texts)))
                    found.setdefault((str(codec), str(utterance)), []).append(said)
        if found:
            return found
    return {}


def _texts(detail: str) -> tuple[str, str] | None:
    try:
        fields = json.loads(detail) if detail else None
    except ValueError:
        return None
    if not isinstance(fields, dict):
        return None
    texts = fields.get("reference"), fields.get("hypothesis")
    return (texts[0], texts[1]) if isinstance(texts[0], str) and isinstance(texts[1], str) else None


def edits(reference: str, hypothesis: str) -> Iterator[Edit]:
    """Yield the word edits of least number (jiwer's alignment)."""
    import jiwer

    a, b = reference.split(), hypothesis.split()
    if not a:  # jiwer refuses an empty transcript
        yield from ([("insert", "", visible(" ".join(b)))] if b else [])
        return
    for chunk in jiwer.process_words(" ".join(a), " ".join(b)).alignments[0]:
        heard = b[chunk.hyp_start_idx : chunk.hyp_end_idx]
        meant = a[chunk.ref_start_idx : chunk.ref_end_idx]
        yield chunk.type, visible(" ".join(meant)), visible(" ".join(heard))
