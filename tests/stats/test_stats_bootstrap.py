"""The bootstrap against direct computation, scipy, and simulated truth."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from codecbench.stats import BootstrapSettings, Replicates
from codecbench.stats.resampling import resample_counts, resampled_sums

SETTINGS = BootstrapSettings(resamples=2000)


def mean_of(values: np.ndarray, settings: BootstrapSettings = SETTINGS) -> Replicates:
    values = np.atleast_2d(values)
    return Replicates(values, np.ones_like(values), settings)


def test_each_resample_draws_as_many_units_as_there_are() -> None:
    counts = resample_counts(37, 1500, 5)
    assert (counts.sum(axis=1) == 37).all()
    assert np.allclose(counts.mean(axis=0), 1.0, atol=0.15)
    assert not (counts[0] == counts[1]).all()


def test_resamples_depend_on_seed_alone() -> None:
    first = resample_counts(20, 600, 1).copy()
    resample_counts.cache_clear()
    assert (resample_counts(20, 600, 1) == first).all()
    assert (resample_counts(20, 600, 2) != first).any()


def test_resampled_sums_equal_sums_of_drawn_units() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(3, 50))
    counts = resample_counts(50, 700, SETTINGS.seed)
    drawn = np.stack([values[:, np.repeat(np.arange(50), row)].sum(axis=1) for row in counts])
    settings = BootstrapSettings(resamples=700)
    assert np.allclose(resampled_sums(values, settings), drawn, atol=1e-5)


def test_estimate_is_the_ratio_of_sums_not_the_mean_of_ratios() -> None:
    errors, words = np.array([[1.0, 0.0, 9.0]]), np.array([[2.0, 8.0, 10.0]])
    replicates = Replicates(errors, words, SETTINGS)
    assert replicates.estimates[0] == pytest.approx(10 / 20)
    assert replicates.estimates[0] != pytest.approx(np.mean(errors / words))


def test_resampled_ratio_equals_direct_computation() -> None:
    rng = np.random.default_rng(1)
    words = rng.poisson(15, (2, 40)) + 1.0
    errors = rng.binomial(words.astype(int), 0.2).astype(float)
    replicates = Replicates(errors, words, SETTINGS)
    counts = resample_counts(40, SETTINGS.resamples, SETTINGS.seed).astype(float)
    assert np.allclose(replicates.values, (counts @ errors.T) / (counts @ words.T), atol=1e-6)


def test_standard_error_of_a_mean_is_the_textbook_one() -> None:
    values = np.random.default_rng(2).normal(3, 2, 80)
    replicates = mean_of(values)
    counts = resample_counts(80, SETTINGS.resamples, SETTINGS.seed)
    drawn = values[np.repeat(np.arange(80), counts[7])]
    assert replicates.errors[7, 0] == pytest.approx(drawn.std(ddof=0) / np.sqrt(79), rel=1e-4)


def test_difference_agrees_with_scipy_bootstrap_and_t_test() -> None:
    rng = np.random.default_rng(3)
    base = rng.normal(2.5, 0.5, 400)
    a, b = base + rng.normal(0.08, 0.4, 400), base + rng.normal(0, 0.4, 400)
    test = mean_of(np.stack([a, b]), BootstrapSettings(resamples=10_000)).against(0, [1])[0]
    theirs = scipy.stats.bootstrap(
        (a, b), lambda x, y, axis: x.mean(axis) - y.mean(axis), paired=True, vectorized=True, rng=4, method="BCa"
    ).confidence_interval
    width = theirs.high - theirs.low
    assert test.difference == pytest.approx(a.mean() - b.mean())
    assert test.interval.low == pytest.approx(theirs.low, abs=0.05 * width)
    assert test.interval.high == pytest.approx(theirs.high, abs=0.05 * width)
    assert test.p_value == pytest.approx(scipy.stats.ttest_rel(a, b).pvalue, abs=0.01)


def test_difference_of_ratios_agrees_with_scipy_with_own_and_shared_denominators() -> None:
    rng = np.random.default_rng(5)
    words = rng.poisson(12, 300) + 1.0
    a, b = rng.binomial(words.astype(int), 0.12), rng.binomial(words.astype(int), 0.09)
    other = words + rng.integers(0, 3, 300)
    for second in (words, other):
        test = Replicates(np.stack([a, b]), np.stack([words, second]), SETTINGS).against(0, [1])[0]
        theirs = scipy.stats.bootstrap(
            (a, words, b, second),
            lambda n, d, m, e, axis: n.sum(axis) / d.sum(axis) - m.sum(axis) / e.sum(axis),
            paired=True,
            vectorized=True,
            rng=6,
            method="percentile",
        ).confidence_interval
        width = theirs.high - theirs.low
        assert test.interval.low == pytest.approx(theirs.low, abs=0.08 * width)
        assert test.interval.high == pytest.approx(theirs.high, abs=0.08 * width)


def test_own_and_shared_denominators_take_the_same_value_where_they_are_equal() -> None:
    rng = np.random.default_rng(7)
    words = rng.poisson(12, 60) + 1.0
    errors = rng.binomial(words.astype(int), 0.2, (2, 60)).astype(float)
    shared = Replicates(errors, np.stack([words, words]), SETTINGS)
    almost = Replicates(errors, np.stack([words, words * (1 + 1e-9)]), SETTINGS)
    ours, theirs = shared.against(0, [1])[0], almost.against(0, [1])[0]
    assert ours.interval.low == pytest.approx(theirs.interval.low, rel=1e-3, abs=1e-5)
    assert ours.p_value == pytest.approx(theirs.p_value, abs=2e-3)


def test_pairing_narrows_the_interval_of_a_difference() -> None:
    rng = np.random.default_rng(8)
    hard = rng.normal(2.5, 0.6, 100)
    pair = mean_of(np.stack([hard + 0.05 + rng.normal(0, 0.05, 100), hard]))
    interval = pair.against(0, [1])[0].interval
    single = pair.intervals()[0]
    assert interval.high - interval.low < 0.3 * (single.high - single.low)


def test_equal_units_have_no_interval_and_equal_codecs_no_difference() -> None:
    replicates = mean_of(np.stack([np.full(50, 4.644), np.full(50, 4.644), np.full(50, 4.0)]))
    assert {i.method for i in replicates.intervals()} == {"none: all units are equal"}
    same, other = replicates.against(0, [1, 2])
    assert same.p_value == 1.0
    assert other.p_value < 0.001


def test_few_units_have_no_interval() -> None:
    (interval,) = mean_of(np.array([1.0, 2.0, 4.0])).intervals()
    assert (interval.low, interval.high) == (None, None)
    assert "fewer than 5" in interval.method


def test_rare_errors_fall_back_to_bca_and_stay_finite() -> None:
    errors = np.zeros((1, 40))
    errors[0, :2] = 3.0
    (interval,) = Replicates(errors, np.full((1, 40), 10.0), SETTINGS).intervals()
    assert interval.method == "BCa bootstrap"
    assert 0 <= interval.low < 6 / 400 < interval.high < 0.2


# Simulated truth. Word errors are over-dispersed (gamma-distributed difficulty, half of the utterances without an
# error), PESQ-like values bounded and skewed; speakers add an effect of their own.
TRIALS = 3000


def word_errors(rng: np.random.Generator, n: int, speakers: int = 0) -> tuple[np.ndarray, np.ndarray]:
    words = np.maximum(1, np.round(rng.lognormal(2.8, 0.5, (TRIALS, n))))
    rate = 0.07 * rng.gamma(0.6, 1 / 0.6, (TRIALS, n))
    if speakers:
        rate *= rng.gamma(3, 1 / 3, (TRIALS, speakers)).repeat(n // speakers, axis=1)
    return rng.poisson(words * np.minimum(rate, 2.0)).astype(float), words


def pesq_like(rng: np.random.Generator, n: int, speakers: int = 0) -> tuple[np.ndarray, np.ndarray]:
    z = rng.normal(0, 0.45, (TRIALS, n))
    if speakers:
        z += rng.normal(0, 0.3, (TRIALS, speakers)).repeat(n // speakers, axis=1)
    values = 1.02 + 3.6 / (1 + np.exp(0.5 - 1.5 * z))
    return values, np.ones_like(values)


def by_speaker(values: np.ndarray, speakers: int) -> np.ndarray:
    return values.reshape(TRIALS, speakers, -1).sum(axis=2)


@pytest.mark.parametrize("make", [word_errors, pesq_like])
@pytest.mark.parametrize(("n", "speakers"), [(100, 0), (240, 30)])
def test_intervals_cover_the_truth_as_often_as_they_say(make: object, n: int, speakers: int) -> None:
    rng = np.random.default_rng(11)
    truth = np.mean([_ratio(make(rng, n, speakers)) for _ in range(8)])
    numerators, denominators = make(rng, n, speakers)
    if speakers:
        numerators, denominators = by_speaker(numerators, speakers), by_speaker(denominators, speakers)
    intervals = Replicates(numerators, denominators, BootstrapSettings(resamples=1000)).intervals()
    covered = np.mean([i.low <= truth <= i.high for i in intervals])
    assert 0.93 <= covered <= 0.97


def _ratio(parts: tuple[np.ndarray, np.ndarray]) -> float:
    return parts[0].sum() / parts[1].sum()


def test_codecs_of_equal_quality_are_told_apart_as_rarely_as_they_should() -> None:
    rng = np.random.default_rng(12)
    words = np.maximum(1, np.round(rng.lognormal(2.8, 0.5, (1, 100))))
    rejected = []
    for _ in range(1500):
        rate = 0.07 * rng.gamma(0.6, 1 / 0.6, (1, 100))
        errors = rng.poisson(words * rate, (2, 100)).astype(float)
        pair = Replicates(errors, np.repeat(words, 2, axis=0), BootstrapSettings(resamples=500))
        rejected.append(pair.against(0, [1])[0].p_value < 0.05)
    assert 0.03 <= np.mean(rejected) <= 0.07
