"""Plausibility gates: figures that cannot be right, or that a reader must not take at face value.

No metric is named here: what each stands for is declared (``MetricSpec.role``, ``ceiling``, ``direction``), so
a third party's metric is gated like a built-in one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from codecbench.contracts.codec import Role
from codecbench.contracts.metric import Direction, MetricRole, Stage, Status
from codecbench.runinfo import CodecInfo, Flag, MetricInfo
from codecbench.stats.bootstrap import PairedTest
from codecbench.stats.curves import family_of
from codecbench.stats.resampling import BootstrapSettings
from codecbench.stats.scores import ScoreTable
from codecbench.stats.summary import replicates_of

if TYPE_CHECKING:
    from codecbench.results import RunResults


# Statuses by which the corpus itself explains that a metric has no value.
_EXPLAINED = frozenset({Status.NOT_APPLICABLE, Status.NO_TEXT, Status.TOO_FEW_FRAMES})


@dataclass(frozen=True)
class Limits:
    """What is still plausible.

    rate_step: relative rise of the bitrate from which two settings of a family count as different rates.
    ceiling_steps: how far, in units of the last decimal shown, a ceiling may be missed.
    """

    delay_ms: float = 1.0
    level_db: float = 1.0
    rate_step: float = 0.02
    ceiling_steps: float = 0.5


def plausibility_flags(results: RunResults, limits: Limits | None = None) -> tuple[Flag, ...]:
    """Return a flag for every gate that a run trips, in the order of codecs."""
    limits = limits or Limits()
    flags = [
        *_one_shard(results),
        *_below_ceiling(results, limits),
        *_equal_to_reference(results),
        *_off_median(results, MetricRole.DELAY, limits.delay_ms, "delay"),
        *_off_median(results, MetricRole.LEVEL, limits.level_db, "level"),
        *_falling_with_rate(results, limits),
        *_missing(results),
        *_left_out(results),
        *_kin_of_teacher(results),
    ]
    order = {label: place for place, label in enumerate(("", *results.codecs))}
    return tuple(sorted(flags, key=lambda flag: order.get(flag.codec, len(order))))


def _one_shard(results: RunResults) -> Iterator[Flag]:
    """One part of a corpus is not the run that was asked for."""
    if results.info.shard:
        yield Flag("one_shard", "", "", results.info.shard_note)


def _available(results: RunResults) -> list[CodecInfo]:
    return [codec for codec in results.info.codecs if not codec.unavailable]


def _below_ceiling(results: RunResults, limits: Limits) -> Iterator[Flag]:
    """The ceiling codec must reach what a perfect codec scores: else the measurement itself is at fault."""
    for metric, component in results.views():
        tolerance = limits.ceiling_steps * 10.0**-metric.decimals
        for codec in _available(results):
            row = results.summary.get(codec.label, metric.name, component)
            if codec.role != Role.CEILING or metric.ceiling is None or row is None or row.estimate is None:
                continue
            short = metric.ceiling - row.estimate
            if (abs(short) if metric.direction == Direction.NEUTRAL else short * _sign(metric)) > tolerance:
                yield Flag(
                    "ceiling",
                    codec.label,
                    metric.name,
                    f"scores {row.estimate:.{metric.decimals + 1}f} where unchanged audio must score "
                    f"{metric.ceiling:g}: {_named(metric, component)} is measured wrongly for every codec of this run",
                )


def _equal_to_reference(results: RunResults) -> Iterator[Flag]:
    """A codec cannot return the very signal: then its output is the reference itself, or a lossless copy."""
    ceilings = [codec.label for codec in _available(results) if codec.role == Role.CEILING]
    tables = [
        results.scores(metric.name, component)
        for metric, component in results.views()
        if metric.ceiling is not None and metric.stage == Stage.AUDIO and not component
    ]
    for codec in _available(results):
        if codec.role != Role.CODEC or not ceilings:
            continue
        same = [verdict for table in tables if (verdict := _same_values(table, codec.label, ceilings[0])) is not None]
        if same and all(same):
            yield Flag(
                "equal_to_reference",
                codec.label,
                "",
                f"equals {ceilings[0]} on every utterance and every metric with a ceiling: its output is the reference "
                "(the audio was compared with itself, or the codec is lossless here)",
            )


def _same_values(table: ScoreTable, codec: str, ceiling: str) -> bool | None:
    """Say whether two codecs have the same values on all utterances that both have; None where there are none."""
    if table.is_corpus or codec not in table.codecs or ceiling not in table.codecs:
        return None
    a, b = (table.values[table.codecs.index(name)] for name in (codec, ceiling))
    both = np.isfinite(a) & np.isfinite(b)
    return bool(np.allclose(a[both], b[both], rtol=0, atol=1e-9)) if both.any() else None


def _off_median(results: RunResults, role: MetricRole, limit: float, gate: str) -> Iterator[Flag]:
    """Flag a median that is off zero; the median, since on noise-like output single lags are arbitrary."""
    floors = {codec.label for codec in results.info.codecs if codec.role == Role.FLOOR}
    for metric, component in results.views():
        if metric.role != role:
            continue
        table = results.scores(metric.name, component)
        for c, codec in enumerate(table.codecs):
            if codec in floors:
                continue
            values = table.values[c][table.ok[c]] if not table.is_corpus else table.corpus_values[[c]]
            median = float(np.median(values)) if values.size else 0.0
            if abs(median) > limit:
                yield Flag(
                    gate,
                    codec,
                    metric.name,
                    f"{metric.title} is {median:+.2f} {metric.unit} in the median (limit {limit:g} {metric.unit}): "
                    "metrics that compare waveforms measure this offset too; prefer their aligned twins",
                )


def _sign(metric: MetricInfo) -> int:
    return {Direction.HIGHER: 1, Direction.LOWER: -1}.get(Direction(metric.direction), 0)


def _named(metric: MetricInfo, component: str) -> str:
    return f"{metric.title} ({component})" if component else metric.title


def _curves(results: RunResults) -> dict[tuple[str, str], list[tuple[float, str]]]:
    """Return (bitrate, label) of each codec by family and decode mode, lowest rate first."""
    rates = [(m, c) for m, c in results.views() if m.role == MetricRole.BITRATE]
    curves: dict[tuple[str, str], list[tuple[float, str]]] = {}
    for codec in _available(results):
        rows = [results.summary.get(codec.label, m.name, c) for m, c in rates]
        rate = next((row.estimate for row in rows if row is not None and row.estimate is not None), None)
        if rate is not None and codec.role == Role.CODEC:
            mode = codec.label.partition("/")[2]
            curves.setdefault((family_of(codec), mode), []).append((rate, codec.label))
    return {key: sorted(curve) for key, curve in curves.items() if len(curve) > 1}


def _falling_with_rate(results: RunResults, limits: Limits) -> Iterator[Flag]:
    """A family's own quality should not fall as its bitrate rises, beyond the interval of the paired difference."""
    curves = _curves(results)
    for metric, component in results.views():
        if metric.role != MetricRole.QUALITY or metric.stage != Stage.AUDIO or not _sign(metric):
            continue
        table = results.scores(metric.name, component)
        for curve in curves.values():
            yield from _falling(table, curve, limits, results.summary.settings)


def _falling(
    table: ScoreTable, curve: list[tuple[float, str]], limits: Limits, settings: BootstrapSettings
) -> Iterator[Flag]:
    metric, sign = table.metric, _sign(table.metric)
    for place, (rate, label) in enumerate(curve):
        lower = [name for low, name in curve[:place] if low * (1 + limits.rate_step) < rate]
        tests = [(name, test) for name in lower if (test := _compare(table, label, name, settings)) is not None]
        if not tests:
            continue
        name, test = min(tests, key=lambda pair: sign * pair[1].difference)
        low, high = test.interval.low, test.interval.high
        if low is None or high is None or (high if sign > 0 else -low) >= 0:
            continue
        by = f"{abs(test.difference):.3g} {metric.unit}".rstrip()
        yield Flag(
            "falls_with_bitrate",
            label,
            metric.name,
            f"{_named(metric, table.component)} is worse by {by} than at the lower bitrate of {name} "
            f"(95 % interval of the difference {low:.3g} to {high:.3g})",
        )


def _compare(table: ScoreTable, first: str, second: str, settings: BootstrapSettings) -> PairedTest | None:
    """Compare two codecs on the utterances that both have; None where there are none."""
    if table.is_corpus or first not in table.codecs or second not in table.codecs:
        return None
    pair = np.array([table.codecs.index(first), table.codecs.index(second)])
    both = table.ok[pair].all(axis=0)
    if not both.any() or (table.denominators[pair][:, both].sum(axis=1) <= 0).any():
        return None
    replicates, _ = replicates_of(table, pair, both, settings)
    return replicates.against(0, [1])[0]


def _missing(results: RunResults) -> Iterator[Flag]:
    """No metric may be missing silently, for one codec or for all."""
    nothing_read = _nothing_read(results)
    if nothing_read:
        yield Flag("missing_metric", "", "", f"no utterance of the corpus could be read: {nothing_read}")
        return
    views = list(results.views())
    seen = {metric.name for metric, _ in views}
    for metric in results.info.metrics:
        if metric.name not in seen:
            yield Flag("missing_metric", "", metric.name, f"{metric.title} was asked for and has no record at all")
    for metric, component in views:
        rows = {row.codec: row for row in results.summary.of(metric.name, component)}
        if all(row.n_scored == 0 for row in rows.values()):
            yield from _missing_everywhere(results, metric, component)
            continue
        for codec in _available(results):
            row = rows.get(codec.label)
            failed = dict(row.n_failed) if row else {}
            if (row and row.n_scored) or not _EXPLAINED.isdisjoint(failed):
                continue
            if row is None and _is_per_codec(metric):
                continue
            counts = ", ".join(f"{count} {status}" for status, count in failed.items()) or "no record"
            yield Flag(
                "missing_metric", codec.label, metric.name, f"{_named(metric, component)} has no value: {counts}"
            )


def _nothing_read(results: RunResults) -> str:
    """Return the first reason where every utterance is bad input, else nothing: one flag for all metrics then."""
    records = results.records[results.records["utterance_id"] != ""]
    if records.empty or not (records["status"] == str(Status.BAD_INPUT)).all():
        return ""
    return str(records.iloc[0]["reason"])


def _is_per_codec(metric: MetricInfo) -> bool:
    """Say whether codecs differ in the components that they have (codebooks, batch sizes)."""
    return metric.stage in (Stage.CORPUS, Stage.TIMING, Stage.TOKENS, Stage.CODEC)


def _missing_everywhere(results: RunResults, metric: MetricInfo, component: str) -> Iterator[Flag]:
    records = results.view(metric.name, component)
    explained = records["status"].isin([str(status) for status in _EXPLAINED])
    # Where the readable utterances are explained, the others are told of as bad input already.
    told_already = (records["status"] == str(Status.BAD_INPUT)) & bool(explained.any())
    unexplained = records[~explained & ~told_already]
    if unexplained.empty:
        return
    first = unexplained.iloc[0]
    reason = f": {first['reason']}" if first["reason"] else ""
    message = f"{_named(metric, component)} has no value for any codec ({first['status']}{reason})"
    yield Flag("missing_metric", "", metric.name, message)


def _left_out(results: RunResults) -> Iterator[Flag]:
    """A codec that fails too often is shown, flagged, and left out of the ranking."""
    titles: dict[tuple[str, str], list[str]] = {}
    for row in results.summary.rows:
        metric = results.metrics[row.metric]
        if row.reason and row.n_scored and metric.role == MetricRole.QUALITY and _sign(metric):
            titles.setdefault((row.codec, row.reason), []).append(_named(metric, row.component))
    for (codec, reason), named in titles.items():
        yield Flag("left_out", codec, "", f"left out of the ranking by {', '.join(named)}: {reason}")


def _kin_of_teacher(results: RunResults) -> Iterator[Flag]:
    """A recogniser related to the model that a codec was trained on favours that codec."""
    used = {component for _, component in results.views()}
    for name, recognizer in results.info.recognizers.items():
        for codec in _available(results):
            teacher, family = str(codec.spec.get("teacher") or ""), str(recognizer.get("family") or "")
            if name not in used or not teacher or not family or _root(teacher) != _root(family):
                continue
            same = "is the very model" if _base(teacher) == _base(family) else f"is of the family of {teacher}"
            yield Flag(
                "recogniser_kinship",
                codec.label,
                "",
                f"the recogniser {name} ({family}) {same} that this codec learnt from: its error rates favour this "
                "codec; give one of another family beside it",
            )


def _base(model: str) -> str:
    return model.lower().rpartition("/")[2]


def _root(model: str) -> str:
    return _base(model).partition("-")[0].partition("_")[0]
