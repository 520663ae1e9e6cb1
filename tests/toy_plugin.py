"""A plugin for tests: small codecs that behave well or badly on purpose, and cheap scorers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from codecbench import (
    Batch,
    Batching,
    Codec,
    CodecContext,
    CodecSpec,
    CodecView,
    DecodeMode,
    Direction,
    Encoded,
    Measurement,
    MetricSpec,
    OptionSpec,
    Reducer,
    Role,
    ScoreItem,
    ScorerContext,
    ScorerSpec,
    Stage,
    StreamSpec,
    TaskSpec,
    Tokens,
    Unavailable,
    Waveforms,
    hookimpl,
    single_stream,
)

HOP = 160


class ToyCodec(Codec):
    """Frames of 160 samples at 16 kHz, two codebooks: the frame's level in 16 coarse and 16 fine steps."""

    def __init__(self, spec: CodecSpec, context: CodecContext) -> None:
        self.spec, self.fault = spec, context.options.get("fault", "")
        if self.fault == "refuse":
            raise Unavailable("its weights are not here after all", "fetch them")

    def encode(self, batch: Batch) -> Encoded:
        self._maybe_fail(batch)
        frames = -(-batch.num_samples // HOP)
        padded = torch.nn.functional.pad(batch.audio[:, 0], (0, int(frames.max()) * HOP - batch.audio.shape[-1]))
        level = padded.reshape(len(batch), -1, HOP).abs().amax(-1)
        step = (level * 255).round().clamp(0, 255).long()
        codes = torch.stack([step // 16, step % 16], 1)
        return single_stream(
            codes, num_frames=frames, num_samples=batch.num_samples, frame_rate_hz=100.0, codebook_sizes=(16, 16)
        )

    def decode(self, encoded: Encoded, mode: str = "full") -> Waveforms:
        assert isinstance(encoded, Tokens)
        codes = encoded.streams[0].codes
        fine = codes[:, 1] if codes.shape[1] > 1 else torch.zeros_like(codes[:, 0])
        level = (codes[:, 0] * 16 + fine).float() / 255
        tone = torch.sin(torch.arange(HOP) * 2 * np.pi * 5 / HOP)
        audio = (level[:, :, None] * tone).reshape(len(codes), 1, -1)
        if self.fault == "nan":
            audio = audio * float("nan")
        if self.fault == "short":
            return Waveforms(audio[..., :10], torch.full((len(codes),), 10), 16000)
        if mode == "half-rate":
            return Waveforms(audio[..., ::2], -(-encoded.num_samples // 2), 8000)
        return Waveforms(audio[..., : int(encoded.num_samples.max())], encoded.num_samples, 16000)

    def _maybe_fail(self, batch: Batch) -> None:
        culprit = any("culprit" in u.id for u in batch.utterances)
        if self.fault == "vanish" and culprit:
            raise Unavailable("its environment is gone")
        if self.fault == "raise" and culprit:
            raise RuntimeError("this utterance cannot be coded")
        if self.fault == "segfault" and culprit:
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.fault == "hang" and culprit:
            time.sleep(3600)
        if self.fault == "print":
            print("a plugin that prints")


class Passthrough(Codec):
    """The ceiling: what comes in goes out."""

    def __init__(self, spec: CodecSpec) -> None:
        self.spec = spec

    def encode(self, batch: Batch) -> Encoded:
        from codecbench import AudioPassthrough

        waves = Waveforms(batch.audio, batch.num_samples, batch.sample_rate_hz)
        return AudioPassthrough(waves, batch.num_samples)

    def decode(self, encoded: Encoded, mode: str = "full") -> Waveforms:
        return encoded.waveforms  # type: ignore[union-attr]


class Level:
    """Peak of output and reference; how often it ran is counted in a file, to show what resume does again."""

    def __init__(self, context: ScorerContext) -> None:
        self.counter, self.delay_s = context.options["counter"], context.options["delay_s"]

    def score(self, item: ScoreItem) -> Sequence[Measurement]:
        time.sleep(self.delay_s)
        if self.counter:
            with open(self.counter, "a") as file:
                file.write(f"{item.codec} {item.utterance.id}\n")
        if "bad-metric" in item.utterance.id:
            raise ValueError("this utterance cannot be scored")
        if "fatal-metric" in item.utterance.id:
            os.kill(os.getpid(), signal.SIGKILL)
        reference, output = item.reference_at(16000), item.output_at(16000)
        error = float(np.abs(reference).max() - np.abs(output).max())
        return [
            Measurement("toy_error", abs(error)),
            Measurement("toy_ratio", abs(error) / 2, numerator=abs(error), denominator=2.0),
        ]


class TokenCount:
    """Codes of one utterance."""

    def score(self, item: ScoreItem) -> Sequence[Measurement]:
        count = item.encoded.num_tokens(0) if isinstance(item.encoded, Tokens) else 0
        return [Measurement("toy_tokens", float(count))]


class Corpus:
    """Utterances seen by a corpus scorer, through the tokens and through the records."""

    def score(self, view: CodecView) -> Sequence[Measurement]:
        frames = sum(int(e.streams[0].num_frames[0]) for _, e in view.encoded() if isinstance(e, Tokens))
        ids = {r.utterance_id for r in view.records}
        derived = [Measurement("toy_derived", 1.0, utterance_id=name) for name in sorted(ids)]
        return [Measurement("toy_frames", float(frames)), *derived]


class Clock:
    """Encodes once."""

    def measure(self, codec: Codec, batches: Sequence[Batch], load_seconds: float) -> Sequence[Measurement]:
        start = time.perf_counter()
        for batch in batches:
            codec.encode(batch)
        return [Measurement("toy_seconds", time.perf_counter() - start)]


_OPTIONS = (
    OptionSpec("fault", "what goes wrong", default=""),
    OptionSpec("shade", "changes the identity of what is decoded", default="", affects="decode"),
)


def _spec(name: str, **changes: Any) -> CodecSpec:
    facts: dict[str, Any] = {
        "sample_rate_hz": 16000,
        "streams": (StreamSpec(100.0, (16, 16)),),
        "truncatable": True,
        "batching": Batching.EQUAL_FRAMES,
        "decode_modes": (DecodeMode("full"), DecodeMode("half-rate", 8000)),
        "options": _OPTIONS,
        "licence_code": "Apache-2.0",
    }
    return CodecSpec(name=name, **(facts | changes))


def _not_here(spec: CodecSpec, options: Any) -> None:
    raise Unavailable("its weights are not on this machine", "toy-download weights")


def _no_scorer(options: Any) -> None:
    raise Unavailable("its model is not on this machine", "toy-download model")


@hookimpl
def register_codecs(register: Any) -> None:
    register(_spec("toy", default=True), ToyCodec)
    register(_spec("toy-bad"), ToyCodec)
    register(_spec("toy-away"), ToyCodec, available=_not_here)
    ceiling = CodecSpec(name="toy-ceiling", role=Role.CEILING, default=True)
    register(ceiling, lambda spec, context: Passthrough(spec))


@hookimpl
def register_metrics(register: Any) -> None:
    error = MetricSpec("toy_error", "error", Direction.LOWER, ceiling=0.0, headline=True)
    ratio = MetricSpec("toy_ratio", "ratio", Direction.LOWER, reducer=Reducer.RATIO)
    options = (
        OptionSpec("counter", "file that counts", affects="nothing"),
        OptionSpec("delay_s", "seconds of sleep", type="float", default=0.0, affects="nothing"),
        OptionSpec("salt", "changes the identity", affects="encode"),
    )
    register(ScorerSpec("toy-level", (error, ratio), options=options), Level)
    absent = MetricSpec("toy_absent", "absent", Direction.LOWER)
    register(ScorerSpec("toy-absent", (absent,)), lambda context: None, available=_no_scorer)
    register(ScorerSpec("toy-absent-too", (replace(absent, name="toy_absent_too"),)), lambda context: None,
             available=_no_scorer)  # fmt: skip
    register(ScorerSpec("toy-late", (replace(absent, name="toy_late"),)), _no_scorer)
    tokens = MetricSpec("toy_tokens", "tokens", Direction.NEUTRAL)
    register(ScorerSpec("toy-tokens", (tokens,), stage=Stage.TOKENS), lambda context: TokenCount())
    frames = MetricSpec("toy_frames", "frames", Direction.NEUTRAL, reducer=Reducer.CORPUS)
    derived = MetricSpec("toy_derived", "derived", Direction.NEUTRAL)
    register(ScorerSpec("toy-corpus", (frames, derived), stage=Stage.CORPUS), lambda context: Corpus())
    seconds = MetricSpec("toy_seconds", "seconds", Direction.LOWER, reducer=Reducer.CORPUS)
    register(ScorerSpec("toy-clock", (seconds,), stage=Stage.TIMING), lambda context: Clock())


@hookimpl
def register_tasks(register: Any) -> None:
    register(TaskSpec("toy-task", "toy", ("toy-level", "toy-tokens", "toy-corpus"), default=False))
    register(TaskSpec("toy-absent-task", "toy", ("toy-level", "toy-absent", "toy-absent-too"), default=False))
    register(TaskSpec("toy-late-task", "toy", ("toy-level", "toy-late"), default=False))
    register(TaskSpec("toy-speed", "toy", ("toy-clock",), default=False))
