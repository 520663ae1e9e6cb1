"""BD-rate and BD-metric against an independent implementation, and their intervals on runs with a known effect."""

from __future__ import annotations

import numpy as np
import pytest

from codecbench.results import RunResults
from codecbench.stats import BootstrapSettings, Replicates, summarize
from codecbench.stats.bdrate import bd_metric, bd_rate, bd_rows, curve_points
from codecbench.stats.summary import replicates_of
from tests.factories import IDENTITY, FakeCodec, make_results, rvq

STEPS = ((1, 0.2), (2, 0.35), (4, 0.5), (8, 0.7))


@pytest.mark.parametrize("seed", range(20))
def test_deltas_equal_an_independent_implementation(seed: int) -> None:
    bjontegaard = pytest.importorskip("bjontegaard", reason="needs the package bjontegaard (extra dev)")
    rng = np.random.default_rng(seed)
    n = 4 + seed % 3
    rates = [np.sort(rng.uniform(500, 20000, n)) for _ in range(2)]
    quality = [1 + np.cumsum(rng.uniform(0.05, 0.9, n)) for _ in range(2)]
    given = (rates[0], quality[0], rates[1], quality[1])
    more = {"method": "pchip", "require_matching_points": False, "min_overlap": 0}
    assert bd_rate(*given) == pytest.approx(bjontegaard.bd_rate(*given, **more), rel=1e-9)
    assert bd_metric(*given) == pytest.approx(bjontegaard.bd_psnr(*given, **more), rel=1e-9)


def test_halving_every_rate_is_minus_fifty_per_cent() -> None:
    rates, quality = np.array([1e3, 2e3, 4e3, 8e3]), np.array([1.0, 2.0, 2.5, 3.5])
    assert bd_rate(rates, quality, rates / 2, quality) == pytest.approx(-50)
    assert bd_rate(rates, quality, rates * 2, quality) == pytest.approx(100)
    assert bd_metric(rates, quality, rates, quality + 0.3) == pytest.approx(0.3)


def test_batches_equal_single_calls() -> None:
    rng = np.random.default_rng(0)
    rates = np.array([1e3, 2e3, 4e3, 8e3])
    a, b = (np.cumsum(rng.uniform(0.1, 1, (50, 4)), axis=1) for _ in range(2))
    singly = [float(bd_rate(rates, x, 1.5 * rates, y)) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(bd_rate(rates, a, 1.5 * rates, b), singly)


def test_no_overlap_and_falling_quality_have_no_value() -> None:
    rates, quality = np.array([1e3, 2e3, 4e3, 8e3]), np.array([1.0, 2.0, 3.0, 4.0])
    assert np.isnan(bd_rate(rates, quality, rates, quality + 10))
    assert np.isnan(bd_metric(rates, quality, rates * 100, quality))
    assert np.isnan(bd_rate(rates, quality, rates, np.array([1.0, 2.0, 1.5, 4.0])))


def test_better_codec_needs_fewer_bits_and_less_is_better_for_errors() -> None:
    better = [(k, q + 0.12) for k, q in STEPS]
    results = make_results((IDENTITY, *rvq("one", 50.0, STEPS), *rvq("two", 50.0, better)), 200)
    for metric, component, sign in (("pesq_wb", "", 1), ("wer", "whisper-base", -1)):
        (row,) = (r for r in bd_rows(results, metric, component, "bitrate_bps") if r.test == "two")
        assert row.anchor == "one"
        assert row.rate.estimate is not None
        assert row.metric.estimate is not None
        assert row.rate.estimate < 0
        assert sign * row.metric.estimate > 0
        assert row.metric.ci_low is not None
        assert row.metric.ci_high is not None
        assert row.metric.ci_low < row.metric.estimate < row.metric.ci_high


def test_interval_of_the_metric_covers_a_known_shift() -> None:
    """Two codecs of equal quality by construction: the interval holds zero in about 95 of 100 runs."""
    codecs = (*rvq("one", 50.0, STEPS), *rvq("two", 50.0, STEPS))
    held = 0
    for seed in range(40):
        results = make_results(codecs, 80, metrics=("pesq_wb", "bitrate_bps"), seed=seed)
        vars(results)["summary"] = summarize(results, BootstrapSettings(resamples=1000))
        row = bd_rows(results, "pesq_wb", "", "bitrate_bps")[0]
        assert row.metric.ci_low is not None
        assert row.metric.ci_high is not None
        held += row.metric.ci_low <= 0 <= row.metric.ci_high
    assert held >= 34


def test_intervals_of_both_directions_are_the_same_statement() -> None:
    better = [(k, q + 0.12) for k, q in STEPS]
    rows = bd_rows(
        make_results((*rvq("one", 50.0, STEPS), *rvq("two", 50.0, better)), 60), "pesq_wb", "", "bitrate_bps"
    )
    there, back = (next(r for r in rows if r.test == name) for name in ("one", "two"))
    for forth, other in ((there.metric.ci_low, back.metric.ci_high), (there.metric.ci_high, back.metric.ci_low)):
        assert forth is not None
        assert other is not None
        assert forth == pytest.approx(-other)
    for forth, other in ((there.rate.ci_low, back.rate.ci_high), (there.rate.ci_high, back.rate.ci_low)):
        assert forth is not None
        assert other is not None
        assert 1 + forth / 100 == pytest.approx(1 / (1 + other / 100))


def test_interval_of_a_mean_shift_is_that_of_the_metric() -> None:
    """Where the delta is a plain difference of means, its interval is the one of that difference."""
    results = make_results((*rvq("one", 50.0, STEPS), *rvq("two", 50.0, STEPS)), 30, metrics=("pesq_wb", "bitrate_bps"))
    frame = results.records.astype({"codec": str})
    pesq = {c: frame[(frame["codec"] == c) & (frame["metric"] == "pesq_wb")].set_index("utterance_id")["value"]
            for c in ("one@1", "two@1")}  # fmt: skip
    for k, _ in STEPS:  # every point of a curve is the first one, raised by as much: the curves are parallel
        for name in ("one", "two"):
            where = (frame["codec"] == f"{name}@{k}") & (frame["metric"] == "pesq_wb")
            frame.loc[where, "value"] = frame.loc[where, "utterance_id"].map(pesq[f"{name}@1"]).astype(float) + 0.1 * k
    parallel = RunResults.from_frame(results.info, frame)
    delta = next(r for r in bd_rows(parallel, "pesq_wb", "", "bitrate_bps") if r.test == "two").metric
    compared = curve_points(parallel, "pesq_wb", "", "bitrate_bps")
    difference = float(compared[1].quality[0] - compared[0].quality[0])
    test = _replicates(parallel).against(1, [0])[0]
    assert delta.estimate == pytest.approx(difference)
    assert (delta.ci_low, delta.ci_high) == pytest.approx((test.interval.low, test.interval.high), rel=1e-4)


def _replicates(results: RunResults) -> Replicates:
    table = results.scores("pesq_wb")
    own = np.array([table.codecs.index(label) for label in ("one@1", "two@1")])
    return replicates_of(table, own, np.ones(len(table.utterances), bool), BootstrapSettings())[0]


def test_few_units_have_no_interval() -> None:
    codecs = (*rvq("one", 50.0, STEPS), *rvq("two", 50.0, [(k, q + 0.12) for k, q in STEPS]))
    for row in bd_rows(make_results(codecs, 4), "pesq_wb", "", "bitrate_bps"):
        assert row.metric.estimate is not None
        assert (row.metric.ci_low, row.metric.reason) == (None, "no interval: fewer than 5 units")


def test_curves_of_fewer_than_four_rates_are_not_compared() -> None:
    results = make_results((*rvq("one", 50.0, STEPS[:3]), *rvq("two", 50.0, STEPS), FakeCodec("lone", 0.4, 3000.0)))
    assert bd_rows(results, "pesq_wb", "", "bitrate_bps") == ()
