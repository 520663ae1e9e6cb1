"""A plugin for measurements of scale: a synthetic corpus of any size, a codec and a metric that cost next to nothing.

    codecbench run --plugin benchmarks/scale_plugin.py --corpus synthetic --set synthetic.num_utterances=20000 \
        --codecs trivial --tasks trivial
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from codecbench import (
    Batch,
    Codec,
    CodecSpec,
    Corpus,
    CorpusSpec,
    Direction,
    Encoded,
    Measurement,
    MetricSpec,
    OptionSpec,
    ScoreItem,
    ScorerSpec,
    Stage,
    StreamSpec,
    TaskSpec,
    Utterance,
    Waveforms,
    hookimpl,
    single_stream,
)

RATE_HZ = 16000
HOP = 1600
# What the corpus says of each utterance: a million of them are 1,000 hours.
STATED_DURATION_S = 3.6
SPEAKERS = 2000


class Trivial(Codec):
    """One code of 16 for each 0.1 s; decodes to silence."""

    def __init__(self, spec: CodecSpec) -> None:
        self.spec = spec

    def encode(self, batch: Batch) -> Encoded:
        """Return zeros."""
        frames = -(-batch.num_samples // HOP)
        codes = torch.zeros(len(batch), 1, int(frames.max()), dtype=torch.int64)
        return single_stream(
            codes, num_frames=frames, num_samples=batch.num_samples, frame_rate_hz=10.0, codebook_sizes=(16,)
        )

    def decode(self, encoded: Encoded, mode: str = "full") -> Waveforms:
        """Return silence."""
        audio = torch.zeros(len(encoded.num_samples), 1, int(encoded.num_samples.max()))
        return Waveforms(audio, encoded.num_samples, RATE_HZ)


class Length:
    """Seconds of the output."""

    def score(self, item: ScoreItem) -> Sequence[Measurement]:
        """Return one measurement."""
        return [Measurement("output_seconds", 0.0 if item.output is None else len(item.output) / item.output_rate_hz)]


def _open(argument: str, options: Mapping[str, Any]) -> Corpus:
    count = int(options["num_utterances"])

    def walk() -> Iterator[Utterance]:
        audio = _shared_audio()
        for i in range(count):
            digest = hashlib.blake2b(i.to_bytes(8, "little"), digest_size=32).hexdigest()
            name, speaker = f"utterance-{i:08d}", f"speaker-{i % SPEAKERS}"
            yield Utterance(name, audio, "a sentence of ten words or so that somebody once read", speaker, "en", digest,
                            STATED_DURATION_S)  # fmt: skip

    return Corpus("synthetic", walk, count)


def _shared_audio() -> Path:
    import soundfile

    path = Path(tempfile.gettempdir()) / "codecbench-scale-tone.wav"
    if not path.is_file():
        soundfile.write(path, 0.1 * np.sin(np.arange(HOP) * 0.2), RATE_HZ)
    return path


@hookimpl
def register_codecs(register: Any) -> None:
    """Register ``trivial``."""
    spec = CodecSpec(name="trivial", sample_rate_hz=RATE_HZ, streams=(StreamSpec(10.0, (16,)),))
    register(spec, lambda spec, context: Trivial(spec))


@hookimpl
def register_metrics(register: Any) -> None:
    """Register ``output_seconds``."""
    metric = MetricSpec("output_seconds", "Output", Direction.NEUTRAL, unit="s")
    register(ScorerSpec("trivial-length", (metric,), stage=Stage.AUDIO), lambda context: Length())


@hookimpl
def register_tasks(register: Any) -> None:
    """Register ``trivial``."""
    register(TaskSpec("trivial", "Length of the output", ("trivial-length",), default=False))


@hookimpl
def register_corpora(register: Any) -> None:
    """Register ``synthetic``."""
    options = (OptionSpec("num_utterances", "size", type="int", default=1_000_000),)
    register(CorpusSpec("synthetic", "Utterances that share one short file", options=options), _open)
