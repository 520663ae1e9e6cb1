"""The codec process: reads, resamples, batches, encodes, decodes and checks, the same for every codec."""

from __future__ import annotations

import gc
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from codecbench.audio.reading import read_audio
from codecbench.audio.resample import resample
from codecbench.contracts.audio import Batch, Waveforms
from codecbench.contracts.codec import Codec
from codecbench.contracts.encoded import AudioPassthrough, Encoded, Tokens
from codecbench.contracts.metric import Measurement, Status
from codecbench.errors import BadInput, CodecbenchError, Unavailable
from codecbench.loading import load, prepare
from codecbench.plugins import load_plugins
from codecbench.runner.batching import collate_audio, collate_encoded, group_rows, moved, moved_batch
from codecbench.runner.holding import BrokenContractError, check_encoded, checked_row
from codecbench.runner.manners import ProcessState
from codecbench.runner.messages import (
    CodecItem,
    CodecResult,
    CodecTask,
    DecodeJob,
    Failure,
    ItemResult,
    Output,
    ProbeTask,
    Spent,
    StatedBitrate,
    TimingResult,
    TimingTask,
    WorkerSetup,
)
from codecbench.runner.probing import Probing
from codecbench.runner.scoring import failed, make_scorer
from codecbench.store.packing import PackedUtterance, pack, unpack
from codecbench.store.tokens import TokenStore

# Of the device, and of the machine.
_OUT_OF_MEMORY = (torch.OutOfMemoryError, MemoryError)


@dataclass
class _Work:
    """One item on its way through the worker; ``audio`` is float32 [T] at ``rate_hz``."""

    item: CodecItem
    audio: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    rate_hz: int = 0
    encoded: Encoded | None = None
    packed: PackedUtterance | None = None
    failure: Failure | None = None
    outputs: dict[str, Output | Failure] = field(default_factory=dict)

    def result(self) -> ItemResult:
        stated = None
        if isinstance(self.encoded, AudioPassthrough):
            bitrate = self.encoded.bitrate_bps[0] if self.encoded.bitrate_bps else None
            stated = StatedBitrate(bitrate, self.encoded.bitrate_source)
        return ItemResult(self.packed, stated, self.failure, self.outputs)


class CodecWorker:
    """Holds one codec at a time and works through tasks."""

    def __init__(self, setup: WorkerSetup) -> None:
        self._setup = setup
        self._state = ProcessState(setup.num_threads, setup.seed)
        self._state.restore()
        self._registry = load_plugins(setup.plugin_files).registry
        self._name = ""
        self._codec: Codec | None = None
        self._load_seconds = 0.0
        # By codec: rows of a batch that memory was found to suffice for; only where it once did not.
        self._max_rows: dict[str, int] = {}

    def __call__(self, task: CodecTask | TimingTask) -> CodecResult | TimingResult:
        self._state.restore()
        if isinstance(task, ProbeTask):
            return self._probe(task)
        if isinstance(task, TimingTask):
            return self._time(task)
        work = [_Work(item) for item in task.items]
        try:
            codec = self._open(task.codec)
        except CodecbenchError as error:
            for w in work:
                w.failure = Failure(Status.UNAVAILABLE, str(error))
            return CodecResult(tuple(w.result() for w in work))
        began = time.perf_counter()
        _read(codec, work)
        self._encode(codec, task, work)
        fresh = [w for w in work if w.item.packed is None]
        encoding = Spent(time.perf_counter() - began, _audio_s(fresh)) if fresh else Spent()
        decoding: dict[str, Spent] = {}
        for job in task.jobs:
            began = time.perf_counter()
            wanted = [w for i, w in enumerate(work) if i in job.items and w.encoded is not None]
            self._decode(codec, job, wanted)
            decoding[job.label] = Spent(time.perf_counter() - began, _audio_s(wanted))
        return CodecResult(tuple(w.result() for w in work), encoding, decoding)

    def _open(self, name: str) -> Codec:
        if self._codec is None or self._name != name:
            self._codec = None
            gc.collect()
            start = time.perf_counter()
            prepared = prepare(self._registry, name, self._setup.settings, self._setup.device)
            self._codec, self._name = load(prepared, self._setup.device), name
            self._load_seconds = time.perf_counter() - start
            self._state.restore()
        return self._codec

    def _encode(self, codec: Codec, task: CodecTask, work: Sequence[_Work]) -> None:
        def encode(part: Sequence[_Work]) -> None:
            batch = _collate(part)
            with torch.inference_mode():
                encoded = moved(codec.encode(moved_batch(batch, self._setup.device)), "cpu")
            check_encoded(codec.spec, batch, encoded)
            for row, w in enumerate(part):
                w.encoded = encoded.row(row)
                w.packed = pack(w.encoded)

        def fail(w: _Work, failure: Failure) -> None:
            w.failure = failure

        for w in work:
            if w.item.packed is not None and w.failure is None:
                w.packed, w.encoded = w.item.packed, unpack(w.item.packed)
        fresh = [w for w in work if w.encoded is None and w.failure is None]
        self._each_group(codec, fresh, encode, fail)
        packed = {w.item.token_key: w.packed for w in fresh if w.packed is not None}
        TokenStore(task.token_folder).append(packed)

    def _decode(self, codec: Codec, job: DecodeJob, work: Sequence[_Work]) -> None:
        def decode(part: Sequence[_Work]) -> None:
            encoded = collate_encoded([w.encoded for w in part if w.encoded is not None])
            if job.codebooks is not None and isinstance(encoded, Tokens):
                encoded = encoded.truncated(job.codebooks)
            with torch.inference_mode():
                waves = codec.decode(moved(encoded, self._setup.device), job.mode)
            for row, w in enumerate(part):
                w.outputs[job.label] = _output(codec, job, w, waves, row)

        def fail(w: _Work, failure: Failure) -> None:
            w.outputs[job.label] = failure

        self._each_group(codec, work, decode, fail)

    def _each_group(
        self,
        codec: Codec,
        work: Sequence[_Work],
        act: Callable[[Sequence[_Work]], None],
        fail: Callable[[_Work, Failure], None],
    ) -> None:
        """Act on each batch; where one fails, on each row alone, so that one utterance fails by itself.

        Where memory does not suffice, on halves of it, and from then on on no larger batch of this codec.
        """
        if not work:
            return
        rate_hz = max(w.rate_hz for w in work)
        groups = group_rows(codec.spec, [len(w.audio) for w in work], rate_hz, self._setup.device)
        waiting = deque([work[i] for i in group] for group in groups)
        while waiting:
            part = waiting.popleft()
            max_rows = self._max_rows.get(self._name, len(part))
            if len(part) > max_rows:
                waiting.extendleft(part[i : i + max_rows] for i in range(0, len(part), max_rows))
                continue
            error = self._attempt(act, part)
            if error is None:
                continue
            if len(part) == 1:
                fail(part[0], _failure(codec, part[0], error))
            elif isinstance(error, _OUT_OF_MEMORY):
                self._max_rows[self._name] = len(part) // 2
                waiting.appendleft(part)
            else:
                waiting.extendleft([w] for w in part)

    def _attempt(self, act: Callable[[Sequence[_Work]], None], part: Sequence[_Work]) -> Exception | None:
        """Act on one batch; returned errors hold no tensors, and the memory of the attempt is free again."""
        self._state.restore()
        try:
            act(part)
        except Exception as error:
            failed = error.with_traceback(None)
            failed.__context__ = failed.__cause__ = None
        else:
            return None
        if isinstance(failed, _OUT_OF_MEMORY):
            gc.collect()
            torch.cuda.empty_cache()
        return failed

    def _time(self, task: TimingTask) -> TimingResult:
        try:
            codec = self._open(task.codec)
            torch.set_num_threads(task.num_threads)
            work = [_Work(CodecItem(u, "")) for u in task.utterances]
            _read(codec, work)
            batches = [moved_batch(_collate([w]), self._setup.device) for w in work if w.failure is None]
            scorer = make_scorer(self._registry, task.scorer, self._setup.settings, task.num_threads)
            with torch.inference_mode():
                return TimingResult(tuple(scorer.measure(codec, batches, self._load_seconds)))
        except Exception as error:
            return TimingResult(failure=Failure(Status.BACKEND_ERROR, f"{type(error).__name__}: {error}"))
        finally:
            self._state.restore()

    def _probe(self, task: ProbeTask) -> TimingResult:
        spec = self._registry.scorers[task.scorer.name].spec
        try:
            probing = Probing(self._open(task.codec), task, self._setup.device)
            scorer = make_scorer(self._registry, task.scorer, self._setup.settings, self._setup.num_threads)
        except Exception as error:
            return TimingResult(failure=Failure(Status.BACKEND_ERROR, f"{type(error).__name__}: {error}"))
        work = [_Work(CodecItem(u, "")) for u in task.utterances]
        _read(probing.codec, work)
        found: list[Measurement] = []
        for w in work:
            utterance, failure = w.item.utterance, w.failure
            if failure is None:
                try:
                    found += probing.score(scorer, utterance, w.audio, w.rate_hz)
                    continue
                except Exception as error:  # one utterance's fault costs that utterance
                    failure = _failure(probing.codec, w, error)
            rows = failed(spec, task.scorer, failure.status, failure.reason)
            found += (replace(m, utterance_id=utterance.id) for m in rows)
        return TimingResult(tuple(found))


def _read(codec: Codec, work: Sequence[_Work]) -> None:
    spec = codec.spec
    for w in work:
        try:
            audio, native_hz = read_audio(w.item.utterance)
            w.rate_hz = spec.sample_rate_hz or native_hz
            w.audio = resample(audio, native_hz, w.rate_hz)
            if len(w.audio) < spec.min_samples:
                shortest = f"{spec.min_samples} samples at {w.rate_hz} Hz"
                w.failure = Failure(Status.TOO_SHORT, f"{len(w.audio)} samples; {spec.full_name} needs {shortest}")
        except BadInput as error:
            w.failure = Failure(Status.BAD_INPUT, str(error))


def _audio_s(work: Sequence[_Work]) -> float:
    return sum(len(w.audio) / w.rate_hz for w in work if w.rate_hz)


def _collate(part: Sequence[_Work]) -> Batch:
    return collate_audio([w.audio for w in part], part[0].rate_hz, [w.item.utterance for w in part])


def _failure(codec: Codec, w: _Work, error: Exception) -> Failure:
    where = f"codec '{codec.spec.full_name}' on utterance '{w.item.utterance.id}'"
    if isinstance(error, BadInput | Unavailable):
        status = Status.BAD_INPUT if isinstance(error, BadInput) else Status.UNAVAILABLE
        return Failure(status, f"{where}: {error}")
    if isinstance(error, BrokenContractError):
        return Failure(error.status, f"{where}: {error}")
    return Failure(Status.BACKEND_ERROR, f"{where}: {type(error).__name__}: {error}")


def _output(codec: Codec, job: DecodeJob, w: _Work, waves: Waveforms, row: int) -> Output | Failure:
    try:
        audio = checked_row(codec.spec, job.mode, waves, row, len(w.audio), w.rate_hz)
    except BrokenContractError as error:
        return Failure(error.status, str(error))
    return Output(audio, waves.sample_rate_hz)
