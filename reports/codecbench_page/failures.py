"""Every record without a value grouped by its reason, and what the plausibility gates mean."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from codecbench.contracts.metric import Status
from codecbench.results import RunResults

MAX_GROUPS, MAX_IDS = 200, 200
GATES = {
    "one_shard": "These are figures of a part of the corpus: the other shards are not in them.",
    "ceiling": "Unchanged audio must reach the best possible value. Where it does not, the measurement is at fault.",
    "equal_to_reference": "No codec returns the very signal: the output is the reference itself, or a lossless copy.",
    "delay": "The output lags the input. Metrics that compare sample by sample then punish perfect audio.",
    "level": "The output is louder or softer than the input. No metric hides this by normalising.",
    "falls_with_bitrate": "More bits should not be worse: the setting, the weights or the metric may be wrong.",
    "missing_metric": "The metric has no value at all for this codec.",
    "left_out": "The codec failed on too many utterances to be ranked.",
    "recogniser_kinship": "The recogniser is of the family that taught the codec: it may favour what the codec kept.",
}


@dataclass(frozen=True)
class FailureGroup:
    """Records that have no value for one reason; ``more`` utterances are not listed."""

    status: str
    reason: str
    count: int
    codecs: tuple[str, ...]
    metrics: tuple[str, ...]
    utterances: tuple[str, ...]
    more: int


@dataclass(frozen=True)
class Failures:
    """The groups, largest first, behind the failures what does not apply.

    ``groups_left`` hold ``records_left`` records that the page does not list.
    """

    groups: tuple[FailureGroup, ...]
    failed: int
    inapplicable: int
    groups_left: int
    records_left: int


def failures(results: RunResults) -> Failures:
    """Group every record that is not ``ok``; utterance ids inside reasons do not keep groups apart."""
    bad = results.records.loc[results.records["status"] != str(Status.OK)]
    if bad.empty:
        return Failures((), 0, 0, 0, 0)
    bad = bad.assign(status=bad["status"].astype(str), why=_without_ids(bad))
    sizes = bad.groupby(["status", "why"], sort=False).size().sort_values(ascending=False, kind="stable")
    sizes = sizes.sort_index(
        level="status", key=lambda s: s == Status.NOT_APPLICABLE, sort_remaining=False, kind="stable"
    )
    grouped = bad.groupby(["status", "why"], sort=False)
    shown = tuple(_group(str(s), str(why), grouped.get_group((s, why))) for s, why in sizes.index[:MAX_GROUPS])
    left = sizes.iloc[MAX_GROUPS:]
    inapplicable = int((bad["status"] == Status.NOT_APPLICABLE).sum())
    return Failures(shown, len(bad) - inapplicable, inapplicable, len(left), int(left.sum()))


def _without_ids(bad: pd.DataFrame) -> list[str]:
    pairs = zip(bad["reason"].astype(str), bad["utterance_id"].astype(str), strict=True)
    return [reason.replace(f"'{name}'", "'…'") if name else reason for reason, name in pairs]


def _group(status: str, reason: str, rows: pd.DataFrame) -> FailureGroup:
    ids = [name for name in dict.fromkeys(rows["utterance_id"].astype(str)) if name]
    return FailureGroup(
        status,
        reason,
        len(rows),
        tuple(dict.fromkeys(rows["codec"].astype(str))),
        tuple(dict.fromkeys(rows["metric"].astype(str))),
        tuple(ids[:MAX_IDS]),
        max(0, len(ids) - MAX_IDS),
    )
