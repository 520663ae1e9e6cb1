"""A plugin for tests of lost workers: a codec and a scorer whose process is killed as often as an option says."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from codecbench import (
    AudioPassthrough,
    Batch,
    Batching,
    Codec,
    CodecContext,
    CodecSpec,
    Direction,
    Encoded,
    Measurement,
    MetricSpec,
    OptionSpec,
    ScoreItem,
    ScorerContext,
    ScorerSpec,
    TaskSpec,
    Waveforms,
    hookimpl,
)

OPTIONS = (
    OptionSpec("deaths", "folder where each death is noted", affects="nothing"),
    OptionSpec("limit", "deaths for each utterance", type="int", default=0, affects="nothing"),
    OptionSpec("delay_s", "seconds of sleep", type="float", default=0.0, affects="nothing"),
)


class Fate:
    """Kills this process until ``limit`` deaths over an utterance are noted; notes processes too."""

    def __init__(self, name: str, options: Any) -> None:
        self.name, self.folder, self.limit = name, options["deaths"], options["limit"]
        self.delay_s = options["delay_s"]
        if self.folder:
            (Path(self.folder) / f"{name}-process-{os.getpid()}").touch()

    def meet(self, utterance: str) -> None:
        time.sleep(self.delay_s)
        deaths = len(list(Path(self.folder).glob(f"{self.name}-{utterance}-*"))) if self.folder else 0
        if "mortal" in utterance and deaths < self.limit:
            (Path(self.folder) / f"{self.name}-{utterance}-{deaths}").touch()
            os.kill(os.getpid(), signal.SIGKILL)


class MortalCodec(Codec):
    """Halves every sample."""

    def __init__(self, spec: CodecSpec, context: CodecContext) -> None:
        self.spec, self.fate = spec, Fate("codec", context.options)

    def encode(self, batch: Batch) -> Encoded:
        for utterance in batch.utterances:
            self.fate.meet(utterance.id)
        return AudioPassthrough(Waveforms(batch.audio / 2, batch.num_samples, batch.sample_rate_hz), batch.num_samples)

    def decode(self, encoded: Encoded, mode: str = "full") -> Waveforms:
        assert isinstance(encoded, AudioPassthrough)
        return encoded.waveforms


class MortalScorer:
    """Mean power of output and reference in decibels."""

    def __init__(self, context: ScorerContext) -> None:
        self.fate = Fate("scorer", context.options)

    def score(self, item: ScoreItem) -> Sequence[Measurement]:
        self.fate.meet(item.utterance.id)
        assert item.output is not None
        ratio = np.square(item.output).mean() / np.square(item.reference).mean()
        return [Measurement("mortal_level", float(10 * torch.log10(torch.tensor(ratio))))]


@hookimpl
def register_codecs(register: Any) -> None:
    register(
        CodecSpec(
            name="mortal", sample_rate_hz=16000, options=OPTIONS, batching=Batching.MASKED, licence_code="Apache-2.0"
        ),
        MortalCodec,
    )


@hookimpl
def register_metrics(register: Any) -> None:
    level = MetricSpec("mortal_level", "level", Direction.NEUTRAL)
    register(ScorerSpec("mortal-level", (level,), options=OPTIONS), MortalScorer)


@hookimpl
def register_tasks(register: Any) -> None:
    register(TaskSpec("mortal-task", "mortal", ("mortal-level",), default=False))
