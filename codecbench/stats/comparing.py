"""Two runs of the same corpus compared codec by codec: paired differences, and which utterances moved most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from codecbench.errors import UsageError
from codecbench.runinfo import MetricInfo
from codecbench.stats.intervals import Interval
from codecbench.stats.pairing import pair_utterances
from codecbench.stats.resampling import BootstrapSettings
from codecbench.stats.scores import ScoreTable
from codecbench.stats.summary import replicates_of

if TYPE_CHECKING:
    from codecbench.results import RunResults

TOP = 5


@dataclass(frozen=True)
class Moved:
    """One utterance's values before and after."""

    utterance_id: str
    before: float
    after: float


@dataclass(frozen=True)
class Change:
    """One codec on one metric: after minus before over the utterances that both runs scored.

    improved: None for metrics without a direction or an equal value. only_before, only_after: utterances scored in
    one run alone. moved: utterances of the greatest change, greatest first.
    """

    codec: str
    metric: MetricInfo
    component: str
    before: float
    after: float
    interval: Interval
    p_value: float | None
    n_utterances: int
    n_units: int
    unit: str
    only_before: int
    only_after: int
    moved: tuple[Moved, ...] = ()

    @property
    def difference(self) -> float:
        """After minus before."""
        return self.after - self.before

    @property
    def improved(self) -> bool | None:
        """Whether the change is for the better."""
        if self.difference == 0 or self.metric.direction == "neutral":
            return None
        return (self.difference > 0) == (self.metric.direction == "higher")

    @property
    def is_certain(self) -> bool:
        """Whether the interval leaves out zero."""
        low, high = self.interval.low, self.interval.high
        return low is not None and high is not None and not low <= 0 <= high


@dataclass(frozen=True)
class RunDiff:
    """All changes between two runs, and what could not be compared."""

    changes: tuple[Change, ...]
    notes: tuple[str, ...]


def diff_runs(before: RunResults, after: RunResults, settings: BootstrapSettings | None = None) -> RunDiff:
    """Compare every codec and metric that both runs have.

    Raises UsageError for runs of different protocol versions or corpora, or without a codec or utterance in common.
    """
    _refuse(before, after)
    pairing = pair_utterances(before, after)
    if not pairing.partners:
        raise UsageError("the runs have no utterance in common" + "".join(f"; {note}" for note in pairing.notes))
    settings = settings or BootstrapSettings()
    codecs = [label for label in before.codecs if label in after.codecs]
    notes = [*pairing.notes, *(f"only in {name}: {', '.join(own)}" for name, own in _alone(before, after) if own)]
    changes: list[Change] = []
    for metric, component in before.views():
        if metric.name not in after.metrics or component not in after.components(metric.name):
            continue
        problem = _incomparable(before, after, metric, component)
        if problem:
            notes.append(problem)
            continue
        tables = (before.scores(metric.name, component), after.scores(metric.name, component))
        found = (_change(codec, *tables, pairing.partners, settings) for codec in codecs)
        changes += [change for change in found if change is not None]
    return RunDiff(tuple(changes), tuple(notes))


def _refuse(before: RunResults, after: RunResults) -> None:
    a, b = before.info, after.info
    if a.protocol_version != b.protocol_version:
        raise UsageError(
            f"protocol {a.protocol_version} and {b.protocol_version}: figures of different protocol versions are not "
            "comparable; run the older one again"
        )
    if a.corpus.name != b.corpus.name:
        raise UsageError(f"corpora '{a.corpus.name}' and '{b.corpus.name}': only runs of one corpus can be compared")
    if not set(before.codecs) & set(after.codecs):
        raise UsageError(
            f"the runs have no codec in common: {', '.join(before.codecs)} against {', '.join(after.codecs)}"
        )


def _alone(before: RunResults, after: RunResults) -> Iterator[tuple[str, list[str]]]:
    yield before.info.name, [label for label in before.codecs if label not in after.codecs]
    yield after.info.name, [label for label in after.codecs if label not in before.codecs]


def _incomparable(before: RunResults, after: RunResults, metric: MetricInfo, component: str) -> str:
    other = after.metrics[metric.name]
    if metric.version != other.version:
        return f"{metric.title} not compared: versions {metric.version} and {other.version}"
    if before.info.recognizers.get(component) != after.info.recognizers.get(component):
        return f"{metric.title} not compared: recogniser '{component}' is not the same in both runs"
    if metric.stage == "timing" and before.info.hardware != after.info.hardware:
        return f"{metric.title} not compared: taken on different hardware"
    return ""


def _change(
    codec: str, before: ScoreTable, after: ScoreTable, partners: Mapping[str, str], settings: BootstrapSettings
) -> Change | None:
    if codec not in before.codecs or codec not in after.codecs:
        return None
    a, b = before.codecs.index(codec), after.codecs.index(codec)
    if before.is_corpus or after.is_corpus:
        return _corpus_change(codec, before, after, a, b)
    columns = {str(name): u for u, name in enumerate(after.utterances)}
    named = [(u, partners.get(str(name), "")) for u, name in enumerate(before.utterances)]
    pairs = [(u, columns[name]) for u, name in named if name in columns]
    left, right = (np.array(side, int) for side in (list(zip(*pairs, strict=True)) or [(), ()]))
    table = _paired(before, after, a, b, left, right)
    used: np.ndarray = np.asarray(table.ok.all(axis=0))
    if not used.any() or (table.denominators[:, used].sum(axis=1) <= 0).any():
        return None
    replicates, unit = replicates_of(table, np.array([0, 1]), used, settings)
    (test,) = replicates.against(1, [0])
    first, second = (float(v) for v in replicates.estimates)
    alone = (int(before.ok[a].sum()) - int(used.sum()), int(after.ok[b].sum()) - int(used.sum()))
    return Change(
        codec, before.metric, before.component, first, second, test.interval, test.p_value, int(used.sum()),
        replicates.num_units, unit, *alone, _moved(table, used),
    )  # fmt: skip


def _corpus_change(codec: str, before: ScoreTable, after: ScoreTable, a: int, b: int) -> Change | None:
    values = float(before.corpus_values[a]), float(after.corpus_values[b])
    if not np.isfinite(values).all():
        return None
    none = Interval(None, None, "none: one value for the corpus")
    return Change(codec, before.metric, before.component, *values, none, None, 0, 0, "corpus", 0, 0)


def _paired(before: ScoreTable, after: ScoreTable, a: int, b: int, left: np.ndarray, right: np.ndarray) -> ScoreTable:
    """Return both runs of one codec as two codecs of one table over the utterances of both."""
    status = np.stack([before.status[a, left], after.status[b, right]])
    return ScoreTable(
        before.metric,
        before.component,
        ("before", "after"),
        before.utterances[left],
        before.speakers[left],
        np.stack([before.numerators[a, left], after.numerators[b, right]]),
        np.stack([before.denominators[a, left], after.denominators[b, right]]),
        status,
        np.full(2, np.nan),
        ("missing", "missing"),
    )


def _moved(table: ScoreTable, used: np.ndarray) -> tuple[Moved, ...]:
    values, names = table.values[:, used], table.utterances[used]
    shift = np.abs(values[1] - values[0])
    order = [int(u) for u in np.argsort(-shift, kind="stable")[:TOP] if shift[u] > 0]
    return tuple(Moved(str(names[u]), float(values[0, u]), float(values[1, u])) for u in order)
