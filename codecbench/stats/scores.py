"""One metric as arrays [codecs, utterances], and the utterances on which codecs may be compared."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd

from codecbench.contracts.metric import NOT_THE_CODECS_FAULT, Reducer, Status
from codecbench.errors import CodecbenchError
from codecbench.runinfo import MetricInfo

# A codec that by its own fault scores fewer of the scorable utterances is left out of the comparison.
MIN_OWN_SCORED = 0.95
# A codec that others' faults leave with fewer would shrink everybody's set to nearly nothing.
MIN_OVERLAP = 0.5
MIN_SPEAKERS = 20
# Beside the statuses of records: no record at all, and ``ok`` without a finite value.
MISSING, NOT_FINITE = "missing", "not_finite"
_EXCUSED = {str(s) for s in NOT_THE_CODECS_FAULT}


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """Values of one metric and component.

    numerators, denominators: float64 [C, U], NaN where not ``ok``; numerators are in the metric's unit (scaled), a
    mean has denominators of one.
    status: [C, U] as text, ``missing`` where there is no record. corpus: values [C] and status of metrics with
    one value for the whole corpus, whose arrays have no columns.
    """

    metric: MetricInfo
    component: str
    codecs: tuple[str, ...]
    utterances: np.ndarray
    speakers: np.ndarray
    numerators: np.ndarray
    denominators: np.ndarray
    status: np.ndarray
    corpus_values: np.ndarray
    corpus_status: tuple[str, ...]

    @property
    def ok(self) -> np.ndarray:
        """Where there is a value, bool [C, U]."""
        return self.status == Status.OK

    @property
    def values(self) -> np.ndarray:
        """Value of each utterance, NaN where there is none, [C, U]."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.numerators / self.denominators

    @property
    def is_corpus(self) -> bool:
        """Whether there is one value for the whole corpus rather than one for each utterance."""
        return self.utterances.size == 0

    def failures(self, codec: int) -> tuple[tuple[str, int], ...]:
        """Count the records of a codec that are not ``ok``, by status."""
        found = [self.corpus_status[codec]] if self.is_corpus else list(self.status[codec])
        return tuple(sorted(Counter(s for s in found if s != Status.OK).items()))

    @classmethod
    def of(cls, metric: MetricInfo, component: str, records: pd.DataFrame) -> ScoreTable:
        """Arrange the records of one metric and component; raises CodecbenchError where they contradict the reducer."""
        codec, codecs = pd.factorize(records["codec"].astype(str))
        whole = (records["utterance_id"] == "").to_numpy(bool)
        status = _status(records, metric)
        if not whole.all() and (whole & (status == Status.OK)).any():
            raise CodecbenchError(
                f"metric '{metric.name}' has values for utterances and for the whole corpus: its plugin must use "
                "one metric name for each"
            )
        utterance, utterances = pd.factorize(records["utterance_id"].astype(str)[~whole])
        place = (codec[~whole], utterance)
        shape = (len(codecs), len(utterances))
        numerators, denominators = _parts(records, metric, status)
        speakers = np.full(len(utterances), "", object)
        speakers[utterance] = records["speaker"].astype(str).to_numpy()[~whole]
        corpus_values, corpus_status = np.full(len(codecs), np.nan), np.full(len(codecs), MISSING, object)
        corpus_values[codec[whole]] = numerators[whole] / denominators[whole]
        corpus_status[codec[whole]] = status[whole]
        placed = _place(shape, place, status[~whole], MISSING)
        # One record that says why a codec has none of the utterances stands for all of them.
        for c in np.unique(codec[whole]):
            placed[c, placed[c] == MISSING] = corpus_status[c]
        return cls(
            metric,
            component,
            tuple(codecs),
            np.asarray(utterances, object),
            speakers,
            _place(shape, place, numerators[~whole], np.nan),
            _place(shape, place, denominators[~whole], np.nan),
            placed,
            corpus_values,
            tuple(corpus_status),
        )


def _place(
    shape: tuple[int, int], place: tuple[np.ndarray, np.ndarray], values: np.ndarray, fill: object
) -> np.ndarray:
    array = np.full(shape, fill, dtype=values.dtype)
    array[place] = values
    return array


def _parts(records: pd.DataFrame, metric: MetricInfo, status: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    good = status == Status.OK
    if metric.reducer == Reducer.RATIO and not records["numerator"].isna()[good].all():
        numerators = metric.scale * records["numerator"].to_numpy(float)
        denominators = records["denominator"].to_numpy(float)
    else:
        numerators = records["value"].to_numpy(float)
        denominators = np.ones_like(numerators)
    return np.where(good, numerators, np.nan), np.where(good, denominators, np.nan)


def _status(records: pd.DataFrame, metric: MetricInfo) -> np.ndarray:
    status = records["status"].astype(str).to_numpy(object)
    finite = np.isfinite(records["value"].to_numpy(float))
    if metric.reducer == Reducer.RATIO:
        parts = records[["numerator", "denominator"]].to_numpy(float)
        whole = (records["utterance_id"] == "").to_numpy(bool)
        finite = np.isfinite(parts).all(axis=1) | (finite & whole)
    return np.where((status == Status.OK) & ~finite, NOT_FINITE, status)


@dataclass(frozen=True, eq=False)
class Selection:
    """What is compared: ``common`` bool [U] utterances, ``compared`` bool [C] codecs, why others are left out.

    candidates: bool [U], utterances that at least one codec could be scored on.
    """

    common: np.ndarray
    compared: np.ndarray
    candidates: np.ndarray
    reasons: tuple[str, ...]


def select_common(table: ScoreTable) -> Selection:
    """Choose the utterances scorable for all codecs compared.

    A codec that by its own fault scores under 95 % of the utterances that some codec could be scored on is left
    out and does not shrink the others' set; utterances that fail through no fault of the codec do shrink it.
    """
    ok: np.ndarray = table.ok
    candidates = np.asarray(ok.any(axis=0))
    excused: np.ndarray = np.isin(table.status, list(_EXCUSED))
    reasons = tuple(_reason(ok[c], excused[c], candidates, table.failures(c)) for c in range(len(table.codecs)))
    compared = np.array([not reason for reason in reasons], bool)
    common: np.ndarray = candidates & ok[compared].all(axis=0)
    return Selection(common, compared, candidates, reasons)


def _reason(ok: np.ndarray, excused: np.ndarray, candidates: np.ndarray, failures: tuple[tuple[str, int], ...]) -> str:
    total, scored = int(candidates.sum()), int((ok & candidates).sum())
    at_fault = int((candidates & ~ok & ~excused).sum())
    if scored == 0:
        return f"no utterance could be scored ({', '.join(status for status, _ in failures)})"
    if scored + at_fault and scored < MIN_OWN_SCORED * (scored + at_fault):
        return f"failed on {at_fault} of {scored + at_fault} utterances"
    if scored < MIN_OVERLAP * total:
        return f"only {scored} of {total} utterances are scorable"
    return ""


def resampling_units(table: ScoreTable, used: np.ndarray) -> tuple[str, np.ndarray, int]:
    """Return what is resampled over the ``used`` utterances: its name, the unit of each utterance, their number.

    Speakers where every utterance names one and there are at least 20, else utterances.
    """
    speakers = table.speakers[used]
    codes, names = pd.factorize(speakers)
    if len(names) >= MIN_SPEAKERS and "" not in set(names):
        return "speaker", codes, len(names)
    return "utterance", np.arange(len(speakers)), len(speakers)
