"""dWER: word errors against the recogniser's own transcript of the original."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from codecbench.contracts.metric import CodecView, Measurement, Record, Status
from codecbench_intelligibility import PERCENT
from codecbench_intelligibility.details import WordDetail, read_detail
from codecbench_intelligibility.edits import word_edits
from codecbench_intelligibility.normalizers import NO_WORD_SPACES, base_language


class DifferentialScorer:
    """Compares this codec's hypotheses with those of the run's ceiling codec, from the WER records alone."""

    def score(self, view: CodecView) -> Sequence[Measurement]:
        """Return one measurement for each utterance and recogniser of this codec's WER records."""
        return [self._compare(record, original) for record, original in _paired(view.records, view.ceiling_records)]

    def _compare(self, record: Record, original: Record | None) -> Measurement:
        if base_language(record.language) in NO_WORD_SPACES:
            return _none(record, Status.NOT_APPLICABLE, f"'{record.language}' is written without spaces between words")
        said = read_detail(record.detail)
        if said is None:
            status = Status.BACKEND_ERROR if record.status == Status.OK else Status(record.status)
            return _none(record, status, record.reason or "the WER record carries no hypothesis")
        heard = read_detail(original.detail) if original else None
        if heard is None:
            reason = original.reason if original else "the run has no ceiling codec (identity) for this utterance"
            return _none(record, Status.UNAVAILABLE, f"no transcript of the original: {reason}")
        if not heard.hypothesis:
            return _none(record, Status.NO_TEXT, "the recogniser writes nothing for the original")
        edits = word_edits(heard.hypothesis, said.hypothesis)
        return Measurement(
            "dwer",
            PERCENT * edits.rate,
            numerator=edits.errors,
            denominator=edits.reference_length,
            component=record.component,
            detail=WordDetail(said.normalizer, heard.hypothesis, said.hypothesis, edits).to_json(),
            utterance_id=record.utterance_id,
        )


def _paired(records: Iterable[Record], originals: Iterable[Record]) -> Iterator[tuple[Record, Record | None]]:
    """Pair WER records with those of the original; where both come in one order, few are in memory at a time."""
    others = _wer_records(originals)
    waiting: dict[tuple[str, str], Record] = {}
    for record in _wer_records(records):
        while (key := _key(record)) not in waiting and (other := next(others, None)) is not None:
            waiting[_key(other)] = other
        yield record, waiting.pop(key, None)


def _wer_records(records: Iterable[Record]) -> Iterator[Record]:
    return (record for record in records if record.metric == "wer" and record.utterance_id)


def _key(record: Record) -> tuple[str, str]:
    return record.utterance_id, record.component


def _none(record: Record, status: Status, reason: str) -> Measurement:
    return Measurement(
        "dwer", status=status, reason=reason, component=record.component, utterance_id=record.utterance_id
    )
