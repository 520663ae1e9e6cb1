"""Holm's correction by hand, and rank groups on constructed cases."""

from __future__ import annotations

import numpy as np
import pytest

from codecbench.stats import BootstrapSettings, Replicates, holm, rank_groups

SETTINGS = BootstrapSettings(resamples=2000)


def test_holm_by_hand() -> None:
    # Sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1 = 0.04, 0.06, 0.06, 0.04; then the running maximum.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx((0.06, 0.04, 0.06, 0.06))
    assert holm([0.9, 0.5]) == pytest.approx((1.0, 1.0))
    assert holm([]) == ()


def codecs(*means: float, n: int = 200, noise: float = 0.1) -> Replicates:
    rng = np.random.default_rng(0)
    hard = rng.normal(0, 0.5, n)
    # Noise of mean zero in the sample, so that the estimates are the means asked for.
    own = rng.normal(0, noise, (len(means), n))
    values = np.array(means)[:, None] + hard - hard.mean() + own - own.mean(axis=1, keepdims=True)
    return Replicates(values, np.ones_like(values), SETTINGS)


def test_clear_differences_are_ranked_one_by_one_and_equal_codecs_tie() -> None:
    ranks = rank_groups(codecs(3.0, 3.5, 3.5, 2.0), range(4), higher_is_better=True)
    assert {c: group for c, (_, group) in ranks.items()} == {1: 1, 2: 1, 0: 2, 3: 3}
    assert ranks[3] == (4, 3)


def test_lower_is_better_turns_the_order_round() -> None:
    ranks = rank_groups(codecs(3.0, 3.5, 2.0), range(3), higher_is_better=False)
    assert ranks == {2: (1, 1), 0: (2, 2), 1: (3, 3)}


def test_only_members_are_ranked() -> None:
    assert set(rank_groups(codecs(3.0, 9.0, 2.0), [0, 2], higher_is_better=True)) == {0, 2}


def test_a_chain_of_small_steps_is_cut_where_the_leader_is_left_behind() -> None:
    # Each step is inseparable from the next, yet not from the leader of its group.
    means = 3.0 - 0.006 * np.arange(12)
    ranks = rank_groups(codecs(*means, noise=0.1), range(12), higher_is_better=True)
    groups = [ranks[c][1] for c in range(12)]
    assert groups[0] == groups[1] == 1
    assert 1 < groups[-1] <= 6
    assert groups == sorted(groups)


def test_pairing_separates_what_single_intervals_do_not() -> None:
    replicates = codecs(3.0, 2.95, noise=0.05)
    first, second = replicates.intervals()
    assert second.high > first.low
    assert [group for _, group in rank_groups(replicates, range(2), higher_is_better=True).values()] == [1, 2]


def test_holm_keeps_one_lucky_codec_among_many_from_being_separated() -> None:
    rng = np.random.default_rng(3)
    apart = 0
    for _ in range(40):
        values = rng.normal(0, 1, (12, 60))
        replicates = Replicates(values, np.ones_like(values), BootstrapSettings(resamples=1000))
        groups = rank_groups(replicates, range(12), higher_is_better=True)
        apart += any(group > 1 for _, group in groups.values())
    # The leader is the luckiest of twelve, so more than 5 % remain; uncorrected tests separate some in most runs.
    assert apart <= 14
