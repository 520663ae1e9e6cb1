"""What the driver and its worker processes say to each other: plain data, no tensors."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from codecbench.contracts.audio import Utterance
from codecbench.contracts.metric import Measurement, Status
from codecbench.errors import CodecbenchError
from codecbench.store.packing import PackedUtterance
from codecbench.store.places import StorePath


@dataclass(frozen=True)
class WorkerSetup:
    """What every worker process needs before its first task; memory_limit_bytes: 0 sets none."""

    plugin_files: tuple[Path, ...]
    settings: dict[str, dict[str, str]]
    device: str
    num_threads: int
    seed: int
    log_file: Path | None = None
    memory_limit_bytes: int = 0


@dataclass(frozen=True)
class DecodeJob:
    """One way to decode: the label of its records, and which items of the task need it."""

    label: str
    codebooks: int | None
    mode: str
    items: frozenset[int]


@dataclass(frozen=True)
class CodecItem:
    """One utterance for a codec; ``packed`` where its tokens are in the store already."""

    utterance: Utterance
    token_key: str
    packed: PackedUtterance | None = None


@dataclass(frozen=True)
class CodecTask:
    """Utterances of one codec to encode and decode."""

    codec: str
    token_folder: StorePath
    items: tuple[CodecItem, ...]
    jobs: tuple[DecodeJob, ...]

    def only(self, index: int) -> CodecTask:
        """Return the task of item ``index`` alone."""
        jobs = tuple(
            DecodeJob(job.label, job.codebooks, job.mode, frozenset({0})) for job in self.jobs if index in job.items
        )
        return CodecTask(self.codec, self.token_folder, (self.items[index],), jobs)


@dataclass(frozen=True)
class Failure:
    """Why an utterance has no tokens or no audio."""

    status: Status
    reason: str


@dataclass(frozen=True)
class StatedBitrate:
    """The bit rate that the source of a recorded output states."""

    bitrate_bps: float | None
    source: str


@dataclass(frozen=True)
class Output:
    """Decoded audio of one utterance: float32 [T]."""

    audio: np.ndarray
    sample_rate_hz: int


@dataclass(frozen=True)
class ItemResult:
    """What a codec made of one utterance: its encoded form, and for each job (by label) audio or a failure."""

    packed: PackedUtterance | None = None
    stated: StatedBitrate | None = None
    failure: Failure | None = None
    outputs: dict[str, Output | Failure] = field(default_factory=dict)


@dataclass(frozen=True)
class Spent:
    """Wall seconds in a worker, and the seconds of audio that they were spent on."""

    seconds: float = 0.0
    audio_s: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.seconds + other.seconds, self.audio_s + other.audio_s)


@dataclass(frozen=True)
class CodecResult:
    """One result for each item of a CodecTask, and what they cost.

    encoding: reading and encoding what was not in the store. decoding: by the job's label.
    """

    items: tuple[ItemResult, ...]
    encoding: Spent = Spent()
    decoding: dict[str, Spent] = field(default_factory=dict)


@dataclass(frozen=True)
class ScorerRef:
    """A scorer of the run: by name and recogniser."""

    name: str
    recognizer: str = ""

    @property
    def title(self) -> str:
        """Its name with that of its recogniser."""
        return f"{self.name} {self.recognizer}".strip()


@dataclass(frozen=True)
class ScoreTask:
    """One utterance of one codec to score.

    keys: one store key for each scorer. codebooks, streams: what of ``packed`` the decode mode reads.
    """

    label: str
    utterance: Utterance
    scorers: tuple[ScorerRef, ...]
    keys: tuple[str, ...]
    output: Output | None
    packed: PackedUtterance | None
    stated: StatedBitrate | None
    codebooks: int | None
    streams: tuple[str, ...] = ()

    def only(self, index: int) -> ScoreTask:
        """Return the task of scorer ``index`` alone."""
        return ScoreTask(
            self.label,
            self.utterance,
            (self.scorers[index],),
            (self.keys[index],),
            self.output,
            self.packed,
            self.stated,
            self.codebooks,
            self.streams,
        )


@dataclass(frozen=True)
class ScoreResult:
    """Measurements for each scorer of a ScoreTask, and what each cost (nothing where the audio cannot be read)."""

    measurements: tuple[tuple[Measurement, ...], ...]
    scoring: tuple[Spent, ...] = ()


@dataclass(frozen=True)
class TimingTask:
    """One codec to time on some utterances, alone on the machine."""

    codec: str
    scorer: ScorerRef
    utterances: tuple[Utterance, ...]
    num_threads: int


@dataclass(frozen=True)
class ProbeTask(TimingTask):
    """One codec name for a scorer of the stage ``codec``; answered by measurements of single utterances."""

    label: str = ""
    codebooks: int | None = None
    mode: str = "full"
    streams: tuple[str, ...] = ()


@dataclass(frozen=True)
class TimingResult:
    """Measurements of a TimingTask or a ProbeTask, or the failure."""

    measurements: tuple[Measurement, ...] = ()
    failure: Failure | None = None


@dataclass(frozen=True)
class WorkerError:
    """A task raised in the worker (a fault of ours or of a contract): shown with the worker's traceback.

    fatal: an error that ends the run, since every other task would meet it too (the store cannot be written).
    """

    message: str
    traceback: str
    fatal: CodecbenchError | None = None
