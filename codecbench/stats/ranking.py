"""Which codecs can be told apart: Holm's correction and rank groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from codecbench.stats.bootstrap import Replicates

# Below this many units a bootstrap test is not to be trusted, so nothing is ranked.
MIN_UNITS_FOR_RANKS = 20


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjust p-values for testing them together (Holm, Scandinavian Journal of Statistics 6, 1979)."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    running = 0.0
    for position, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - position) * p_values[index]))
        adjusted[index] = running
    return tuple(float(p) for p in adjusted)


def rank_groups(replicates: Replicates, members: Sequence[int], higher_is_better: bool) -> dict[int, tuple[int, int]]:
    """Return (rank, group) of each codec index in ``members``.

    rank: order of the estimates, 1 = best. group: the best codec not yet in a group leads the next one, and all
    those whose paired difference to it is not separable (Holm over the leader's comparisons) tie with it.
    """
    sign = -1 if higher_is_better else 1
    order = sorted(members, key=lambda c: (sign * replicates.estimates[c], c))
    ranks = {c: position + 1 for position, c in enumerate(order)}
    groups: dict[int, int] = {}
    left, group = order, 0
    while left:
        group += 1
        leader, others = left[0], left[1:]
        groups[leader] = group
        tests = replicates.against(leader, others)
        adjusted = holm([test.p_value for test in tests])
        level = 1 - replicates.settings.confidence
        groups.update({c: group for c, p in zip(others, adjusted, strict=True) if p >= level})
        left = [c for c in others if c not in groups]
    return {c: (ranks[c], groups[c]) for c in order}
