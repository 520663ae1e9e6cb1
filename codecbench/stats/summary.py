"""One row for each codec, metric and component: estimate, interval, counts, rank group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from codecbench.contracts.codec import Role
from codecbench.contracts.metric import Direction, MetricRole
from codecbench.runinfo import MetricInfo
from codecbench.stats.bootstrap import Replicates
from codecbench.stats.intervals import MIN_UNITS_FOR_INTERVAL, Interval
from codecbench.stats.ranking import MIN_UNITS_FOR_RANKS, rank_groups
from codecbench.stats.resampling import BootstrapSettings
from codecbench.stats.scores import MIN_SPEAKERS, ScoreTable, Selection, resampling_units, select_common

if TYPE_CHECKING:
    import pandas as pd

    from codecbench.results import RunResults


@dataclass(frozen=True)
class MetricSummary:
    """What a table shows of one codec on one metric.

    estimate: None where nothing could be scored. n_utterances: those that the estimate rests on; n_scored: all
    that this codec has a value for; n_failed: (status, count) of the others. n_units, unit: what was resampled.
    rank: place by the estimate; group: rank group, 1 = not separable from the best; both None where the codec is
    not ranked. reason: why it is left out, or a remark on the row.
    """

    codec: str
    metric: str
    component: str
    estimate: float | None
    ci_low: float | None
    ci_high: float | None
    n_utterances: int
    n_scored: int
    n_failed: tuple[tuple[str, int], ...]
    n_units: int
    unit: str
    method: str
    rank: int | None = None
    group: int | None = None
    reason: str = ""

    @property
    def num_failed(self) -> int:
        """Records without a value, whatever the reason."""
        return sum(count for _, count in self.n_failed)


@dataclass(frozen=True)
class Summary:
    """All rows of a run, with how the intervals were made and what a reader must know of them."""

    rows: tuple[MetricSummary, ...]
    settings: BootstrapSettings
    notes: tuple[str, ...] = ()

    @cached_property
    def _by_place(self) -> dict[tuple[str, str, str], MetricSummary]:
        return {(row.codec, row.metric, row.component): row for row in self.rows}

    def get(self, codec: str, metric: str, component: str = "") -> MetricSummary | None:
        """Return the row of a codec, metric and component, or None."""
        return self._by_place.get((codec, metric, component))

    def of(self, metric: str, component: str = "") -> tuple[MetricSummary, ...]:
        """Return all codecs' rows of a metric and component."""
        return tuple(row for row in self.rows if row.metric == metric and row.component == component)

    def frame(self) -> pd.DataFrame:
        """Return the rows as a frame; failures as text (``out_silent=2``)."""
        import pandas as pd

        names = list(MetricSummary.__dataclass_fields__)
        frame = pd.DataFrame([asdict(row) for row in self.rows], columns=names)
        frame["n_failed"] = [" ".join(f"{s}={n}" for s, n in row.n_failed) for row in self.rows]
        return frame.astype({"rank": "Int64", "group": "Int64"})


def summarize(results: RunResults, settings: BootstrapSettings | None = None) -> Summary:
    """Summarise every metric and component of a run."""
    settings = settings or BootstrapSettings()
    roles = {codec.label: codec.role for codec in results.info.codecs}
    rows: list[MetricSummary] = []
    for metric, component in results.views():
        rows += summarize_table(results.scores(metric.name, component), roles, settings)
    order = {label: place for place, label in enumerate(results.codecs)}
    metrics = {metric.name: place for place, metric in enumerate(results.info.metrics)}
    rows.sort(key=lambda row: (metrics[row.metric], row.component, order[row.codec]))
    return Summary(tuple(rows), settings, _notes(results, rows))


def summarize_table(table: ScoreTable, roles: Mapping[str, str], settings: BootstrapSettings) -> list[MetricSummary]:
    """Summarise one metric and component; ``roles`` tells codecs from ceilings and floors, which are not ranked."""
    if table.is_corpus:
        return [_corpus_row(table, c) for c in range(len(table.codecs))]
    selection = select_common(table)
    compared = np.flatnonzero(selection.compared)
    rows = {c: _alone(table, selection, c, settings) for c in range(len(table.codecs)) if c not in compared}
    if selection.common.any() and len(compared):
        rows |= _together(table, selection, compared, roles, settings)
    else:
        rows |= {int(c): _alone(table, selection, int(c), settings) for c in compared}
    return [rows[c] for c in sorted(rows)]


def replicates_of(
    table: ScoreTable, codecs: np.ndarray, used: np.ndarray, settings: BootstrapSettings
) -> tuple[Replicates, str]:
    """Return the replicates of ``codecs`` (indices) over the ``used`` utterances, and what was resampled."""
    unit, codes, count = resampling_units(table, used)
    parts = (table.numerators[codecs][:, used], table.denominators[codecs][:, used])
    if unit == "speaker":
        parts = tuple(np.stack([np.bincount(codes, row, count) for row in part]) for part in parts)  # type: ignore[assignment]
    return Replicates(*parts, settings), unit


def _together(
    table: ScoreTable, selection: Selection, compared: np.ndarray, roles: Mapping[str, str], settings: BootstrapSettings
) -> dict[int, MetricSummary]:
    if (table.denominators[compared][:, selection.common].sum(axis=1) <= 0).any():
        return {int(c): replace(_row(table, selection, int(c)), reason="the denominators sum to 0") for c in compared}
    replicates, unit = replicates_of(table, compared, selection.common, settings)
    ranks = _ranks(table.metric, replicates, [roles.get(table.codecs[c], Role.CODEC) for c in compared])
    rows = {}
    for place, (c, interval) in enumerate(zip(compared, replicates.intervals(), strict=True)):
        rank, group = ranks.get(place, (None, None))
        row = replace(_row(table, selection, int(c)), n_utterances=int(selection.common.sum()))
        estimate = float(replicates.estimates[place])
        rows[int(c)] = replace(
            _estimated(row, table.metric, estimate, interval, replicates, unit), rank=rank, group=group
        )
    return rows


def _ranks(metric: MetricInfo, replicates: Replicates, roles: list[str]) -> dict[int, tuple[int, int]]:
    ranked = [place for place, role in enumerate(roles) if role == Role.CODEC]
    if metric.role != MetricRole.QUALITY or metric.direction == Direction.NEUTRAL:
        return {}
    if replicates.num_units < MIN_UNITS_FOR_RANKS or not ranked:
        return {}
    return rank_groups(replicates, ranked, metric.direction == Direction.HIGHER)


def _alone(table: ScoreTable, selection: Selection, codec: int, settings: BootstrapSettings) -> MetricSummary:
    """Return the row of a codec that is not compared: on the common utterances that it has, else on its own."""
    row = _row(table, selection, codec)
    used = selection.common & table.ok[codec]
    if not used.any():
        used = table.ok[codec]
        row = replace(row, reason=row.reason or "no utterance is scorable for all codecs")
    if not used.any() or table.denominators[codec, used].sum() <= 0:
        return row
    replicates, unit = replicates_of(table, np.array([codec]), used, settings)
    row = replace(row, n_utterances=int(used.sum()))
    return _estimated(row, table.metric, float(replicates.estimates[0]), replicates.intervals()[0], replicates, unit)


def _row(table: ScoreTable, selection: Selection, codec: int) -> MetricSummary:
    return MetricSummary(
        table.codecs[codec],
        table.metric.name,
        table.component,
        estimate=None,
        ci_low=None,
        ci_high=None,
        n_utterances=0,
        n_scored=int(table.ok[codec].sum()),
        n_failed=table.failures(codec),
        n_units=0,
        unit="",
        method="none",
        reason=selection.reasons[codec],
    )


def _estimated(
    row: MetricSummary, metric: MetricInfo, estimate: float, interval: Interval, replicates: Replicates, unit: str
) -> MetricSummary:
    low, high = (
        None if end is None else float(np.clip(end, *_bounds(metric))) for end in (interval.low, interval.high)
    )
    return replace(
        row,
        estimate=estimate,
        ci_low=low,
        ci_high=high,
        n_utterances=row.n_utterances,
        n_units=replicates.num_units,
        unit=unit,
        method=interval.method,
    )


def _bounds(metric: MetricInfo) -> tuple[float, float]:
    low, high = metric.bounds
    return -np.inf if low is None else low, np.inf if high is None else high


def _corpus_row(table: ScoreTable, codec: int) -> MetricSummary:
    value = float(table.corpus_values[codec])
    return MetricSummary(
        table.codecs[codec],
        table.metric.name,
        table.component,
        estimate=value if np.isfinite(value) else None,
        ci_low=None,
        ci_high=None,
        n_utterances=0,
        n_scored=int(np.isfinite(value)),
        n_failed=table.failures(codec),
        n_units=0,
        unit="corpus",
        method="none: one value for the corpus",
    )


def _notes(results: RunResults, rows: list[MetricSummary]) -> tuple[str, ...]:
    notes = [results.info.shard_note] if results.info.shard else []
    with_interval = [row for row in rows if row.ci_low is not None]
    if any(row.unit == "utterance" for row in with_interval):
        speakers = results.info.corpus.num_speakers
        known = f"{speakers} speaker{'s' if speakers != 1 else ''}" if speakers else "unknown speakers"
        notes.append(
            f"Intervals resample utterances ({known}; resampling speakers needs {MIN_SPEAKERS}): "
            "they do not extend to other speakers."
        )
    if any(row.unit == "speaker" for row in with_interval):
        notes.append("Intervals resample speakers: they extend to other speakers of this kind of corpus.")
    if any(0 < row.n_units < MIN_UNITS_FOR_INTERVAL for row in rows):
        notes.append(f"Fewer than {MIN_UNITS_FOR_INTERVAL} utterances: no intervals.")
    if any(0 < row.n_units < MIN_UNITS_FOR_RANKS for row in rows):
        notes.append(f"Fewer than {MIN_UNITS_FOR_RANKS} units: codecs are not ranked.")
    return tuple(notes)
