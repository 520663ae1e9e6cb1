"""What a metric declares, what a scorer is given and returns, and the record that everything after rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from codecbench.contracts.audio import Utterance
from codecbench.contracts.codec import CodecSpec, OptionSpec

if TYPE_CHECKING:
    import numpy as np

    from codecbench.contracts.audio import Batch
    from codecbench.contracts.codec import Codec
    from codecbench.contracts.encoded import Encoded
    from codecbench.contracts.recognizer import Recognizer, RecognizerSpec


class Direction(StrEnum):
    """Which way is better."""

    HIGHER = "higher"
    LOWER = "lower"
    NEUTRAL = "neutral"


class Reducer(StrEnum):
    """How utterances become one figure for the corpus."""

    MEAN = "mean"  # mean of the values
    RATIO = "ratio"  # sum of numerators / sum of denominators (WER, rates)
    CORPUS = "corpus"  # one value for the whole corpus already


class Stage(StrEnum):
    """What a scorer needs, and so when it runs."""

    TOKENS = "tokens"  # one utterance's encoded form
    AUDIO = "audio"  # one utterance's decoded audio
    CORPUS = "corpus"  # all tokens and records of one codec
    TIMING = "timing"  # the codec itself, alone on the machine
    CODEC = "codec"  # the codec itself, on some utterances: what it makes of altered audio and altered codes


class MetricRole(StrEnum):
    """What a metric stands for, so that gates, plots and tables need no metric's name."""

    QUALITY = "quality"  # how much of the signal or the content is kept: ranked and gated
    DELAY = "delay"  # milliseconds by which the output lags the reference
    LEVEL = "level"  # decibels of the output's level against the reference's
    BITRATE = "bitrate"  # bits per second, from real token counts or bytes
    ENTROPY_BITRATE = "entropy_bitrate"  # bits per second after ideal entropy coding
    TOKEN_RATE = "token_rate"  # tokens per second over all codebooks
    CODEBOOK_USE = "codebook_use"  # share of the entries in use; component = codebook
    CODEBOOK_ENTROPY = "codebook_entropy"  # bits per code; component = codebook
    COST = "cost"  # time, memory, parameters
    OTHER = "other"


class Status(StrEnum):
    """Why a record has a value, or has none."""

    OK = "ok"
    REF_SILENT = "ref_silent"
    OUT_SILENT = "out_silent"
    TOO_SHORT = "too_short"
    NAN_OUTPUT = "nan_output"
    LENGTH_MISMATCH = "length_mismatch"
    UNAVAILABLE = "unavailable"
    BACKEND_ERROR = "backend_error"
    BAD_INPUT = "bad_input"
    NO_TEXT = "no_text"
    NOT_APPLICABLE = "not_applicable"
    TOO_FEW_FRAMES = "too_few_frames"


# Statuses that are the corpus' or the metric's fault, the same for every codec; the rest count against the codec.
NOT_THE_CODECS_FAULT = frozenset(
    {Status.REF_SILENT, Status.TOO_SHORT, Status.UNAVAILABLE, Status.BAD_INPUT, Status.NO_TEXT,
     Status.NOT_APPLICABLE, Status.TOO_FEW_FRAMES}
)  # fmt: skip


@dataclass(frozen=True)
class MetricSpec:
    """One column of the results.

    version: raised when the value for the same input changes. scale: a ratio's value is ``scale`` times numerator
    over denominator (100 for per cent). bounds: least and greatest possible value.
    headline: shown in the summary table by default. ceiling: what identity must reach (plausibility gate).
    decimals: digits after the point in tables. role: what the metric stands for; only ``quality`` is ranked.
    """

    name: str
    title: str
    direction: Direction
    version: str = "1"
    unit: str = ""
    bounds: tuple[float | None, float | None] = (None, None)
    reducer: Reducer = Reducer.MEAN
    headline: bool = False
    ceiling: float | None = None
    decimals: int = 2
    scale: float = 1.0
    description: str = ""
    source: str = ""
    role: MetricRole = MetricRole.QUALITY


@dataclass(frozen=True)
class Measurement:
    """One value of one metric, or the status that says why there is none.

    numerator, denominator: the parts of a ratio-of-sums metric. component: what the value is of where a metric
    has several (a recogniser, a codebook, a batch size). detail: JSON with what a reader may want to see
    (hypothesis, edits). utterance_id: set by corpus scorers that measure single utterances.
    """

    metric: str
    value: float | None = None
    status: Status = Status.OK
    reason: str = ""
    numerator: float | None = None
    denominator: float | None = None
    component: str = ""
    detail: str = ""
    utterance_id: str | None = None


@dataclass(frozen=True)
class Record:
    """Utterance × codec × metric: the row that tables, statistics and reports are made from.

    codec: the full name with ``@codebooks`` and ``/mode``. utterance_id is empty for a whole-corpus value.
    key: content hash of everything that the value depends on. duration_s: of the utterance.
    """

    key: str
    codec: str
    scorer: str
    metric: str
    metric_version: str
    component: str
    utterance_id: str
    speaker: str
    language: str
    duration_s: float
    value: float | None
    numerator: float | None
    denominator: float | None
    status: str
    reason: str
    detail: str


@dataclass(frozen=True, eq=False)
class ScoreItem:
    """One utterance as a scorer sees it.

    reference: float32 [T] at ``reference_rate_hz`` as read from the corpus, never level-normalised.
    output: float32 [T'] at ``output_rate_hz`` as the codec returned it (None at the token stage).
    encoded: the utterance's encoded form (B = 1), or None.
    """

    utterance: Utterance
    codec: str
    reference: np.ndarray
    reference_rate_hz: int
    output: np.ndarray | None = None
    output_rate_hz: int = 0
    encoded: Encoded | None = None
    _resampled: dict[tuple[str, int], np.ndarray] = field(default_factory=dict, repr=False)

    @property
    def duration_s(self) -> float:
        """Seconds of the reference."""
        return len(self.reference) / self.reference_rate_hz

    def reference_at(self, sample_rate_hz: int) -> np.ndarray:
        """Return the reference at another rate by the protocol's resampler (cached)."""
        return self._at("reference", self.reference, self.reference_rate_hz, sample_rate_hz)

    def output_at(self, sample_rate_hz: int) -> np.ndarray:
        """Return the output at another rate by the protocol's resampler (cached)."""
        if self.output is None:
            raise ValueError("this item has no decoded audio: the scorer's stage must be 'audio'")
        return self._at("output", self.output, self.output_rate_hz, sample_rate_hz)

    def _at(self, which: str, audio: np.ndarray, rate_hz: int, wanted_hz: int) -> np.ndarray:
        key = (which, wanted_hz)
        if key not in self._resampled:
            from codecbench.audio.resample import resample

            self._resampled[key] = resample(audio, rate_hz, wanted_hz)
        return self._resampled[key]

    @cached_property
    def lag_samples_16k(self) -> int:
        """Delay of the output against the reference in samples at 16 kHz, by cross-correlation."""
        from codecbench.audio.delay import measure_delay

        return measure_delay(self.reference_at(16000), self.output_at(16000), 16000)


@dataclass(frozen=True, eq=False)
class CodecView:
    """All that one codec did on the corpus, for a corpus scorer.

    records: this codec's utterance records so far; ceiling_records: those of the run's ceiling codec.
    encoded: yields (utterance, encoded form with B = 1), cut to the codebooks of this codec's name.
    """

    codec: str
    spec: CodecSpec
    records: Sequence[Record]
    ceiling_records: Sequence[Record]
    encoded: Callable[[], Iterator[tuple[Utterance, Encoded]]]


@dataclass(frozen=True, eq=False)
class CodecProbe:
    """One utterance with the codec in hand, as one codec name (its codebooks and mode) uses it.

    audio: float32 [T] at ``sample_rate_hz``, the codec's own rate. encoded: its encoded form (B = 1), cut to the
    codebooks of the name; ``streams``: names of the token streams that the decode mode reads, empty for all.
    encode: audio [T'] of any length to an encoded form, cut likewise. decode: that back to float32 [T''] and its rate,
    held to the contract as any decoding is.
    """

    utterance: Utterance
    codec: str
    spec: CodecSpec
    audio: np.ndarray
    sample_rate_hz: int
    encoded: Encoded
    encode: Callable[[np.ndarray], Encoded]
    decode: Callable[[Encoded], tuple[np.ndarray, int]]
    streams: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScorerContext:
    """What a scorer factory is given: resolved options, and the recogniser with its specification where needed."""

    options: Mapping[str, Any] = field(default_factory=dict)
    recognizer: Recognizer | None = None
    recognizer_name: str = ""
    recognizer_spec: RecognizerSpec | None = None


class UtteranceScorer(Protocol):
    """Scores one utterance; runs in a worker process, one call at a time."""

    def score(self, item: ScoreItem) -> Sequence[Measurement]:
        """Return one measurement for each metric of the scorer."""


class CorpusScorer(Protocol):
    """Scores one codec once all its utterances are done."""

    def score(self, view: CodecView) -> Sequence[Measurement]:
        """Return corpus measurements, or utterance measurements with ``utterance_id`` set."""


class CodecScorer(Protocol):
    """Asks a codec what it makes of altered audio or altered codes; runs in the codec's process."""

    def score(self, probe: CodecProbe) -> Sequence[Measurement]:
        """Return measurements of one utterance."""


class TimingScorer(Protocol):
    """Times a codec; nothing else runs on the machine meanwhile."""

    def measure(self, codec: Codec, batches: Sequence[Batch], load_seconds: float) -> Sequence[Measurement]:
        """Return timing measurements over ``batches``, which lie on the codec's device."""


@dataclass(frozen=True)
class ScorerSpec:
    """A group of metrics that one pass computes together.

    needs_recognizer: made once for each recogniser of the run, whose name becomes the component.
    max_utterances: at the stage ``codec``, how many utterances of the corpus are asked for, the same for every codec.
    cost: rough CPU seconds per audio second, for scheduling and estimates only.
    """

    name: str
    metrics: tuple[MetricSpec, ...]
    stage: Stage = Stage.AUDIO
    needs_recognizer: bool = False
    max_utterances: int = 20
    options: tuple[OptionSpec, ...] = ()
    requirements: tuple[str, ...] = ()
    cost: float = 0.01


ScorerFactory = Callable[[ScorerContext], Any]
