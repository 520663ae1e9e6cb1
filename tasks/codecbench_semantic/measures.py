"""How well codes tell phones, from the two side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codecbench_token_lm.information import PairEstimate, estimate_pair


@dataclass(frozen=True)
class PhoneMeasures:
    """Agreement of codes with phones over frames.

    pnmi: I(phone; code) / H(phone), corrected for the sample's size. phone_purity, cluster_purity: as observed.
    """

    pnmi: float
    phone_purity: float
    cluster_purity: float
    pair: PairEstimate

    @property
    def pnmi_plug_in(self) -> float:
        """PNMI of the frequencies observed: what small samples flatter."""
        first, second, joint = (e.plug_in_bits for e in (self.pair.first, self.pair.second, self.pair.joint))
        return (first + second - joint) / first if first else 0.0


def phone_measures(phones: np.ndarray, codes: np.ndarray) -> PhoneMeasures:
    """Compare phone indices [n] with codes [n].

    Source: Hsu et al., "HuBERT", 2021, section IV.C (PNMI, phone purity, cluster purity); the correction is that of
    Chao & Shen 2003.
    """
    pair = estimate_pair(phones, codes)
    table = np.zeros((int(phones.max()) + 1, int(codes.max()) + 1))
    np.add.at(table, (phones, codes), 1)
    entropy = pair.first.bits
    return PhoneMeasures(
        pair.mutual_bits / entropy if entropy else 0.0,
        float(table.max(axis=0).sum() / len(codes)),
        float(table.max(axis=1).sum() / len(codes)),
        pair,
    )


def held_out_hits(phones: np.ndarray, codes: np.ndarray, fold_of: np.ndarray) -> np.ndarray:
    """Return for each frame whether its phone is the commonest of its code in the other folds; bool [n].

    A code that the other folds lack stands for the commonest phone of all.
    """
    hits = np.zeros(len(phones), bool)
    for fold in np.unique(fold_of):
        held = fold_of == fold
        if held.all():
            continue
        table = np.zeros((int(codes.max()) + 1, int(phones.max()) + 1))
        np.add.at(table, (codes[~held], phones[~held]), 1)
        best = np.where(table.any(axis=1), table.argmax(axis=1), table.sum(axis=0).argmax())
        hits[held] = best[codes[held]] == phones[held]
    return hits
