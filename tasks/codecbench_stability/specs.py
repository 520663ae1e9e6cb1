"""The metrics of this task as data."""

from __future__ import annotations

from codecbench.contracts.metric import Direction, MetricRole, MetricSpec, Reducer, ScorerSpec, Stage

EDITS = ScorerSpec(
    "code_edits",
    (
        MetricSpec(
            "code_edit_pct",
            "Codes changed",
            Direction.LOWER,
            unit="%",
            bounds=(0.0, None),
            reducer=Reducer.RATIO,
            decimals=1,
            scale=100.0,
            role=MetricRole.OTHER,
            description="Edit distance of each codebook's sequence after the audio was altered, or decoded and encoded "
            "again, over the codes before; by codebook in the detail.",
            source="unit edit distance, Gat et al. 2023",
        ),
    ),
    stage=Stage.CODEC,
    cost=2.0,
)

DAMAGE = ScorerSpec(
    "code_damage",
    (
        MetricSpec(
            "damaged_stoi",
            "STOI with damaged tokens",
            Direction.HIGHER,
            bounds=(-1.0, 1.0),
            decimals=3,
            role=MetricRole.OTHER,
            description="STOI of what is decoded when frames are lost (the last codes are repeated) or codes replaced "
            "at random, against the original; delay of the undamaged output taken off.",
            source="Taal et al. 2011 (package pystoi)",
        ),
        MetricSpec(
            "damaged_pesq_wb",
            "PESQ-WB with damaged tokens",
            Direction.HIGHER,
            bounds=(1.0, 4.65),
            role=MetricRole.OTHER,
            description="As damaged_stoi.",
            source="ITU-T P.862.2 (package pesq)",
        ),
    ),
    stage=Stage.CODEC,
    cost=2.0,
)
