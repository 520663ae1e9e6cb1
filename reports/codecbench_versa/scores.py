"""VERSA's JSON lines as records of a run."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd

from codecbench.contracts.metric import Direction, MetricRole, Status
from codecbench.errors import BadInput, UsageError, unknown_name
from codecbench.hashing import digest
from codecbench.results import COLUMNS, RunResults
from codecbench.runinfo import MetricInfo

PREFIX = "versa_"
_HIGHER = (
    "pesq", "stoi", "estoi", "sdr", "sir", "sar", "si_snr", "ci_sdr", "f0corr", "utmos", "utmosv2", "dns_overall",
    "dns_p808", "plcmos", "speech_bert", "speech_bleu", "speech_token_distance", "spk_similarity", "visqol",
    "sheet_ssqa", "scoreq_nr",
)  # fmt: skip
_LOWER = ("mcd", "f0rmse", "warpq", "scoreq_ref")


def read_scores(path: Path) -> dict[str, dict[str, float]]:
    """Read the numbers of each utterance; texts and lists are passed over.

    Raises BadInput, naming the line, for one that is not an object with a ``key``, or a key that occurs twice.
    """
    found: dict[str, dict[str, float]] = {}
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
        found[fields["key"]] = {name: float(v) for name, v in fields.items() if _is_number(v)}
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def with_scores(results: RunResults, codec: str, scores: Mapping[str, Mapping[str, float]]) -> RunResults:
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
        raise UsageError(f"'{strange[0]}' and {len(strange) - 1} more are no utterances of the run")
    rows = [row for name in names for row in _rows(known, codec, name, scores)]
    plain = results.records.astype(dict.fromkeys(results.records.select_dtypes("category"), str))
    old = (plain["codec"] == codec) & plain["metric"].isin([PREFIX + name for name in names])
    metrics = {m.name: m for m in results.info.metrics} | {PREFIX + name: _metric(name) for name in names}
    frame = pd.concat([plain.loc[~old], pd.DataFrame(rows, columns=list(COLUMNS))], ignore_index=True)
    return RunResults.from_frame(replace(results.info, metrics=tuple(metrics.values())), frame)


def _rows(
    known: pd.DataFrame, codec: str, name: str, scores: Mapping[str, Mapping[str, float]]
) -> Iterator[dict[str, object]]:
    for utterance in known.itertuples(index=False):
        value = scores.get(str(utterance.utterance_id), {}).get(name)
        good = value is not None and math.isfinite(value)
        reason = "" if good else "VERSA gave no value" if value is None else "VERSA gave a value that is not finite"
        yield {
            "key": digest(["versa", codec, name, str(utterance.utterance_id), value]), "codec": codec,
            "scorer": "versa",
            "metric": PREFIX + name, "metric_version": "versa", "component": "",
            "utterance_id": str(utterance.utterance_id), "speaker": str(utterance.speaker),
            "language": str(utterance.language), "duration_s": utterance.duration_s, "value": value if good else None,
            "numerator": None, "denominator": None,
            "status": str(Status.OK if good else Status.UNAVAILABLE if value is None else Status.BACKEND_ERROR),
            "reason": reason, "detail": "",
        }  # fmt: skip


def _metric(name: str) -> MetricInfo:
    direction = Direction.HIGHER if name in _HIGHER else Direction.LOWER if name in _LOWER else Direction.NEUTRAL
    role = MetricRole.OTHER if direction == Direction.NEUTRAL else MetricRole.QUALITY
    return MetricInfo(
        PREFIX + name, f"VERSA {name}", "", str(direction), "versa", (None, None), "mean", False, None, 3, 1.0,
        "as VERSA computed it", "https://github.com/wavlab-speech/versa", "versa", "audio", str(role),
    )  # fmt: skip
