"""The codec process: reads, resamples, batches, encodes, decodes and checks, the same for every codec."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from codecbench.audio.reading import read_audio
from codecbench.audio.resample import resample, resampled_length
from codecbench.contracts.audio import Batch, Waveforms
from codecbench.contracts.codec import Codec
from codecbench.contracts.encoded import AudioPassthrough, Encoded, Tokens
from codecbench.contracts.metric import Status
from codecbench.errors import BadInput, CodecbenchError, Unavailable
from codecbench.loading import load, prepare
from codecbench.plugins import load_plugins
from codecbench.runner.batching import collate_audio, collate_encoded, group_rows, moved, moved_batch
from codecbench.runner.messages import (
    CodecItem,
    CodecResult,
    CodecTask,
    DecodeJob,
    Failure,
    ItemResult,
    Output,
    Spent,
    StatedBitrate,
    TimingResult,
    TimingTask,
    WorkerSetup,
)
from codecbench.runner.scoring import make_scorer
from codecbench.store.packing import PackedUtterance, pack, unpack
from codecbench.store.tokens import TokenStore


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
        torch.set_num_threads(setup.num_threads)
        torch.manual_seed(setup.seed)
        self._setup = setup
        self._registry = load_plugins(setup.plugin_files).registry
        self._name = ""
        self._codec: Codec | None = None
        self._load_seconds = 0.0

    def __call__(self, task: CodecTask | TimingTask) -> CodecResult | TimingResult:
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
        return self._codec

    def _encode(self, codec: Codec, task: CodecTask, work: Sequence[_Work]) -> None:
        def encode(part: Sequence[_Work]) -> None:
            with torch.inference_mode():
                encoded = moved(codec.encode(moved_batch(_collate(part), self._setup.device)), "cpu")
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
                w.outputs[job.label] = _checked(codec, job, w, waves, row)

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
        """Act on each batch; where one fails, on each row alone, so that one utterance fails by itself."""
        if not work:
            return
        rate_hz = max(w.rate_hz for w in work)
        for group in group_rows(codec.spec, [len(w.audio) for w in work], rate_hz, self._setup.device):
            part = [work[i] for i in group]
            try:
                act(part)
            except Exception as error:
                if len(part) == 1:
                    fail(part[0], _failure(codec, part[0], error))
                    continue
                for w in part:
                    try:
                        act([w])
                    except Exception as single:
                        fail(w, _failure(codec, w, single))

    def _time(self, task: TimingTask) -> TimingResult:
        torch.set_num_threads(task.num_threads)
        try:
            codec = self._open(task.codec)
            work = [_Work(CodecItem(u, "")) for u in task.utterances]
            _read(codec, work)
            batches = [moved_batch(_collate([w]), self._setup.device) for w in work if w.failure is None]
            scorer = make_scorer(self._registry, task.scorer, self._setup.settings, task.num_threads)
            with torch.inference_mode():
                return TimingResult(tuple(scorer.measure(codec, batches, self._load_seconds)))
        except Exception as error:
            return TimingResult(failure=Failure(Status.BACKEND_ERROR, f"{type(error).__name__}: {error}"))
        finally:
            torch.set_num_threads(self._setup.num_threads)


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
    return Failure(Status.BACKEND_ERROR, f"{where}: {type(error).__name__}: {error}")


def _checked(codec: Codec, job: DecodeJob, w: _Work, waves: Waveforms, row: int) -> Output | Failure:
    """Hold the codec to its contract: the declared rate, the exact length, finite samples."""
    rate_hz = codec.spec.output_rate_hz(job.mode, w.rate_hz)
    expected = resampled_length(len(w.audio), w.rate_hz, rate_hz)
    audio = waves.row(row).detach().to("cpu", torch.float32).numpy()
    if waves.sample_rate_hz != rate_hz:
        return Failure(
            Status.BACKEND_ERROR, f"decoded at {waves.sample_rate_hz} Hz, the specification says {rate_hz} Hz"
        )
    if len(audio) != expected:
        return Failure(Status.LENGTH_MISMATCH, f"decoded {len(audio)} samples, expected {expected} at {rate_hz} Hz")
    if not np.isfinite(audio).all():
        bad = int((~np.isfinite(audio)).sum())
        return Failure(Status.NAN_OUTPUT, f"{bad} of {len(audio)} decoded samples are NaN or infinite")
    return Output(audio, rate_hz)
