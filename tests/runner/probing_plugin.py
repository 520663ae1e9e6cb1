"""A scorer of the stage ``codec``: what it was handed, and how encoding and decoding again went."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from codecbench import (
    CodecProbe,
    Direction,
    Measurement,
    MetricSpec,
    Reducer,
    ScorerSpec,
    Stage,
    TaskSpec,
    Tokens,
    hookimpl,
)

METRIC = MetricSpec("toy_probe", "probe", Direction.NEUTRAL, reducer=Reducer.MEAN)


class Probe:
    """Encodes and decodes again; one utterance is too much for it."""

    def score(self, probe: CodecProbe) -> Sequence[Measurement]:
        if probe.utterance.id == "u3":
            raise RuntimeError("not this one")
        detail: dict[str, Any] = {"codec": probe.codec, "rate_hz": probe.sample_rate_hz}
        if isinstance(probe.encoded, Tokens):
            half = probe.encode(probe.audio[: len(probe.audio) // 2])
            assert isinstance(half, Tokens)
            detail["frames"] = [int(e.streams[0].num_frames[0]) for e in (probe.encoded, half)]
            detail["codebooks"] = [probe.encoded.num_codebooks, half.num_codebooks]
        output, rate_hz = probe.decode(probe.encoded)
        detail |= {"output_rate_hz": rate_hz, "output_samples": len(output), "samples": len(probe.audio)}
        return [Measurement("toy_probe", float(np.abs(output).max()), detail=json.dumps(detail))]


@hookimpl
def register_metrics(register: Any) -> None:
    register(ScorerSpec("toy-probe", (METRIC,), stage=Stage.CODEC, max_utterances=6), lambda context: Probe())


@hookimpl
def register_tasks(register: Any) -> None:
    register(TaskSpec("toy-probing", "toy", ("toy-probe",), default=False))
