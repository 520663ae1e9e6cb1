"""The metrics of this task as data; the component says batch and threads."""

from __future__ import annotations

from codecbench.contracts.codec import OptionSpec
from codecbench.contracts.metric import Direction, MetricRole, MetricSpec, Reducer, ScorerSpec, Stage


def _metric(name: str, title: str, direction: Direction, unit: str, decimals: int, description: str) -> MetricSpec:
    return MetricSpec(
        name,
        title,
        direction,
        unit=unit,
        bounds=(0.0, None),
        reducer=Reducer.CORPUS,
        decimals=decimals,
        description=description,
        role=MetricRole.COST,
    )


_RTF = "Seconds of work for each second of audio"
_X = "Seconds of audio for each second of work"

SPEED = ScorerSpec(
    "speed",
    (
        _metric("encode_rtf", "Encode RTF", Direction.LOWER, "", 4, f"{_RTF}, encoding."),
        _metric("decode_rtf", "Decode RTF", Direction.LOWER, "", 4, f"{_RTF}, decoding."),
        _metric("encode_x_realtime", "Encode speed", Direction.HIGHER, "x real time", 1, f"{_X}, encoding."),
        _metric("decode_x_realtime", "Decode speed", Direction.HIGHER, "x real time", 1, f"{_X}, decoding."),
        _metric(
            "first_call_ratio",
            "First call",
            Direction.LOWER,
            "x warm",
            1,
            "Time of the first call in the process over that of a warm call on the same utterance.",
        ),
        _metric("load_s", "Load time", Direction.LOWER, "s", 2, "Seconds to make the codec, weights included."),
        _metric(
            "peak_memory_mib",
            "Peak memory",
            Direction.LOWER,
            "MiB",
            0,
            "Greatest memory at batch 1: resident set of the process on a CPU, allocated tensors on a GPU.",
        ),
        _metric("parameters", "Parameters", Direction.LOWER, "", 0, "Parameters used for inference."),
    ),
    stage=Stage.TIMING,
    options=(
        OptionSpec(
            "budget_s", "seconds after which no larger batch is tried", type="float", default=60.0, affects="nothing"
        ),
    ),
    cost=0.0,
)
