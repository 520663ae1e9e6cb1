"""VERSA's JSON lines as records of a run."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from codecbench.contracts.metric import Direction, MetricRole, Reducer, Status
from codecbench.errors import BadInput, UsageError, unknown_name
from codecbench.hashing import digest
from codecbench.results import COLUMNS, RunResults
from codecbench.runinfo import MetricInfo
from codecbench_versa.names import EDITS, ZERO_IS_FAILURE, direction, edit_count

PREFIX = "versa_"


@dataclass(frozen=True)
class Score:
    """One value; a rate of errors has its parts too. ``failure``: why there is none, empty where there is one."""

    value: float | None
    errors: float | None = None
    words: float | None = None
    failure: str = ""


Scores = Mapping[str, Mapping[str, Score]]


def read_scores(path: Path) -> dict[str, dict[str, Score]]:
    """Read the scores of each utterance; texts and lists are passed over, counts of edits become error rates.

    Raises BadInput, naming the line, for one that is not an object with a ``key``, or a key that occurs twice.
    """
    found: dict[str, dict[str, Score]] = {}
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot be read ({error})") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except ValueError as error:
            raise BadInput(f"{path}:{number}: not JSON ({error}); VERSA writes one object a line") from error
        if not isinstance(fields, dict) or not isinstance(fields.get("key"), str):
            raise BadInput(f"{path}:{number}: expected an object with a text 'key', the utterance's id")
        if fields["key"] in found:
            raise BadInput(f"{path}:{number}: the utterance '{fields['key']}' occurs twice")
        found[fields["key"]] = _scores({name: float(v) for name, v in fields.items() if _is_number(v)})
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _scores(fields: Mapping[str, float]) -> dict[str, Score]:
    rates = dict.fromkeys(rate[0] for name in fields if (rate := edit_count(name)))
    plain = {name: _score(name, value) for name, value in fields.items() if not edit_count(name)}
    return plain | {rate: _error_rate([fields.get(f"{rate}_{edit}", math.nan) for edit in EDITS]) for rate in rates}


def _score(name: str, value: float) -> Score:
    if not math.isfinite(value):
        return Score(None, failure="VERSA gave a value that is not finite")
    if value == 0 and name in ZERO_IS_FAILURE:
        return Score(None, failure="VERSA gave 0, which it writes where this metric fails")
    return Score(value)


def _error_rate(counts: list[float]) -> Score:
    delete, insert, replaced, equal = counts
    errors, words = delete + insert + replaced, delete + replaced + equal
    if not math.isfinite(errors + words):
        return Score(None, failure="VERSA gave no count of some edits")
    return Score(100 * errors / words if words else None, errors, words)


def with_scores(results: RunResults, codec: str, scores: Scores) -> RunResults:
    """Add VERSA's metrics of one codec, as ``versa_NAME``; utterances without a score are ``unavailable``.

    Raises UsageError for an unknown codec or utterance, or where there are no scores.
    """
    if codec not in results.codecs:
        raise unknown_name("codec of the run", codec, results.codecs)
    names = list(dict.fromkeys(name for values in scores.values() for name in values))
    if not names:
        raise UsageError("the file holds no scores")
    known = results.records.loc[results.records["utterance_id"] != ""].drop_duplicates("utterance_id")
    ids = set(known["utterance_id"].astype(str))
    strange = [key for key in scores if key not in ids]
    if strange:
        raise UsageError(
            f"'{strange[0]}' and {len(strange) - 1} more are no utterances of the run; let VERSA read the lists that "
            "'codecbench report --reports versa' writes, with --io soundfile"
        )
    rows = [row for name in names for row in _rows(known, codec, name, scores)]
    plain = results.records.astype(dict.fromkeys(results.records.select_dtypes("category"), str))
    old = (plain["codec"] == codec) & plain["metric"].isin([PREFIX + name for name in names])
    rates = {name for values in scores.values() for name, score in values.items() if score.words is not None}
    metrics = {m.name: m for m in results.info.metrics}
    for name in names:
        metrics.setdefault(PREFIX + name, _metric(name, name in rates))
    frame = pd.concat([plain.loc[~old], pd.DataFrame(rows, columns=list(COLUMNS))], ignore_index=True)
    info = replace(results.info, metrics=tuple(metrics.values()))
    return RunResults.from_frame(info, frame).with_artifacts(results.artifacts.rows)


def _rows(known: pd.DataFrame, codec: str, name: str, scores: Scores) -> Iterator[dict[str, object]]:
    missing = Score(None, failure="VERSA gave no value")
    for utterance in known.itertuples(index=False):
        own = str(utterance.utterance_id)
        score = scores.get(own, {}).get(name, missing)
        status = Status.OK if not score.failure else Status.UNAVAILABLE if score is missing else Status.BACKEND_ERROR
        yield {
            "key": digest(["versa", codec, name, own, score.value, score.errors, score.words]), "codec": codec,
            "scorer": "versa", "metric": PREFIX + name, "metric_version": "versa", "component": "",
            "utterance_id": own, "speaker": str(utterance.speaker), "language": str(utterance.language),
            "duration_s": utterance.duration_s, "value": score.value, "numerator": score.errors,
            "denominator": score.words, "status": str(status), "reason": score.failure, "detail": "",
        }  # fmt: skip


def _metric(name: str, is_rate: bool) -> MetricInfo:
    better = Direction.LOWER if is_rate else direction(name)
    return MetricInfo(
        name=PREFIX + name,
        title=f"VERSA {name}",
        unit="%" if is_rate else "",
        direction=str(better),
        version="versa",
        bounds=(0.0, None) if is_rate else (None, None),
        reducer=str(Reducer.RATIO if is_rate else Reducer.MEAN),
        headline=False,
        ceiling=None,
        decimals=2 if is_rate else 3,
        scale=100.0 if is_rate else 1.0,
        description="errors over words, from VERSA's counts of edits" if is_rate else "as VERSA computed it",
        source="https://github.com/wavlab-speech/versa",
        scorer="versa",
        stage="audio",
        role=str(MetricRole.OTHER if better == Direction.NEUTRAL else MetricRole.QUALITY),
    )
