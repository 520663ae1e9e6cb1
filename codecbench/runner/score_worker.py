"""The metric process: scores one utterance of one codec at a time with every scorer that it still misses."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch

from codecbench.audio.reading import read_audio
from codecbench.contracts.audio import Utterance, Waveforms
from codecbench.contracts.encoded import AudioPassthrough, Encoded, decoded_part
from codecbench.contracts.metric import Measurement, ScoreItem, Status, UtteranceScorer
from codecbench.errors import BadInput, CodecbenchError
from codecbench.plugins import load_plugins
from codecbench.runner.manners import ProcessState
from codecbench.runner.messages import ScoreResult, ScorerRef, ScoreTask, Spent, WorkerSetup
from codecbench.runner.scoring import failed, make_scorer
from codecbench.store.packing import unpack


class ScoreWorker:
    """Makes each scorer once and keeps it."""

    def __init__(self, setup: WorkerSetup) -> None:
        self._setup = setup
        self._state = ProcessState(setup.num_threads, setup.seed)
        self._registry = load_plugins(setup.plugin_files).registry
        self._scorers: dict[ScorerRef, UtteranceScorer | CodecbenchError] = {}

    def __call__(self, task: ScoreTask) -> ScoreResult:
        self._state.restore()
        try:
            reference, rate_hz = _reference(task.utterance)
        except BadInput as error:
            return ScoreResult(tuple(self._failed(ref, Status.BAD_INPUT, str(error)) for ref in task.scorers))
        item = ScoreItem(
            task.utterance,
            task.label,
            reference,
            rate_hz,
            task.output.audio if task.output else None,
            task.output.sample_rate_hz if task.output else 0,
            _encoded(task),
        )
        measured, scoring = [], []
        for ref in task.scorers:
            scorer = self._scorer(ref)  # loading it is no cost of this utterance
            self._state.restore()
            began = time.perf_counter()
            measured.append(self._score(ref, scorer, item))
            scoring.append(Spent(time.perf_counter() - began, item.duration_s))
        return ScoreResult(tuple(measured), tuple(scoring))

    def _score(
        self, ref: ScorerRef, scorer: UtteranceScorer | CodecbenchError, item: ScoreItem
    ) -> tuple[Measurement, ...]:
        if isinstance(scorer, CodecbenchError):
            return self._failed(ref, Status.UNAVAILABLE, str(scorer))
        try:
            measurements: Sequence[Measurement] = scorer.score(item)
        except Exception as error:
            return self._failed(ref, Status.BACKEND_ERROR, f"scorer '{ref.name}': {type(error).__name__}: {error}")
        return tuple(_guarded(m, ref) for m in measurements)

    def _scorer(self, ref: ScorerRef) -> UtteranceScorer | CodecbenchError:
        if ref not in self._scorers:
            try:
                self._scorers[ref] = make_scorer(self._registry, ref, self._setup.settings, self._setup.num_threads)
            except CodecbenchError as error:
                self._scorers[ref] = error
        return self._scorers[ref]

    def _failed(self, ref: ScorerRef, status: Status, reason: str) -> tuple[Measurement, ...]:
        return failed(self._registry.scorers[ref.name].spec, ref, status, reason)


def _guarded(measurement: Measurement, ref: ScorerRef) -> Measurement:
    """A value that is not a number is no value, whatever the scorer says of it."""
    if measurement.value is not None and not np.isfinite(measurement.value):
        reason = f"scorer '{ref.name}' returned {measurement.value}"
        return replace(measurement, value=None, status=Status.BACKEND_ERROR, reason=reason)
    return measurement


@lru_cache(maxsize=4)
def _reference(utterance: Utterance) -> tuple[np.ndarray, int]:
    return read_audio(utterance)


def _encoded(task: ScoreTask) -> Encoded | None:
    if task.packed is not None:
        encoded = unpack(task.packed)
        return decoded_part(encoded, task.codebooks, task.streams)
    if task.stated is not None:
        nothing = Waveforms(torch.zeros(1, 1, 0), torch.zeros(1, dtype=torch.int64), 1)
        return AudioPassthrough(nothing, nothing.num_samples, (task.stated.bitrate_bps,), task.stated.source)
    return None
