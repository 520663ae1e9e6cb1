"""The metrics of this task that a trained model computes, as data."""

from __future__ import annotations

from codecbench.contracts.metric import Direction, MetricSpec, ScorerSpec

_MOS = (1.0, 5.0)

SPEAKER = ScorerSpec(
    "speaker_similarity",
    (
        MetricSpec(
            "speaker_similarity",
            "Speaker similarity",
            Direction.HIGHER,
            bounds=(-1.0, 1.0),
            headline=True,
            ceiling=0.9999,
            decimals=3,
            description="Cosine of the GE2E speaker embeddings of output and reference. The output is set to the "
            "reference's RMS level first, since the embedding follows level (level_db tells it); nothing is trimmed.",
            source="Wan et al., ICASSP 2018 (package resemblyzer)",
        ),
    ),
    requirements=("codecbench[speaker]",),
    cost=0.05,
)

DISTILLMOS = ScorerSpec(
    "distillmos",
    (
        MetricSpec(
            "distillmos",
            "DistillMOS",
            Direction.HIGHER,
            unit="MOS",
            bounds=_MOS,
            headline=True,
            description="Predicted quality of the output alone, divided by its peak: level does not count.",
            source="Stahl & Gamper, ICASSP 2025 (package distillmos)",
        ),
    ),
    requirements=("codecbench[mos]",),
    cost=0.1,
)


def _dnsmos(name: str, title: str, what: str) -> MetricSpec:
    return MetricSpec(
        name,
        title,
        Direction.HIGHER,
        unit="MOS",
        bounds=_MOS,
        description=f"Predicted {what} of the output alone; audio under 9.01 s is repeated, beyond ±1 clipped.",
        source="Reddy et al., ICASSP 2021 and 2022 (package speechmos)",
    )


P808 = ScorerSpec(
    "dnsmos_p808",
    (_dnsmos("dnsmos_p808", "DNSMOS P.808", "overall quality (P.808)"),),
    requirements=("codecbench[mos]",),
    cost=0.02,
)

P835 = ScorerSpec(
    "dnsmos_p835",
    (
        _dnsmos("dnsmos_ovrl", "DNSMOS OVRL", "overall quality (P.835)"),
        _dnsmos("dnsmos_sig", "DNSMOS SIG", "quality of the speech (P.835)"),
        _dnsmos("dnsmos_bak", "DNSMOS BAK", "quality of the background (P.835)"),
    ),
    requirements=("codecbench[mos]",),
    cost=0.4,
)
