"""Synthetic runs with known effects, for tests of statistics and reports."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from codecbench.contracts.codec import CodecSpec, Role, StreamSpec
from codecbench.contracts.metric import Direction, MetricRole, MetricSpec, Record, Reducer, Stage, Status
from codecbench.results import COLUMNS, RECORDS_FOLDER, RunResults
from codecbench.runinfo import CodecInfo, CorpusInfo, MetricInfo, RunInfo

HIGHER, LOWER, NEUTRAL = Direction.HIGHER, Direction.LOWER, Direction.NEUTRAL
_M = MetricSpec
# (specification, scorer, stage), named as the measuring side names them.
METRICS: tuple[tuple[MetricSpec, str, Stage], ...] = (
    (_M("pesq_wb", "PESQ-WB", HIGHER, bounds=(1.0, 4.65), headline=True, ceiling=4.644), "pesq", Stage.AUDIO),
    (_M("stoi", "STOI", HIGHER, bounds=(-1.0, 1.0), headline=True, ceiling=1.0, decimals=3), "stoi", Stage.AUDIO),
    (_M("mel_distance", "Mel distance", LOWER, bounds=(0.0, None), ceiling=0.0, decimals=3), "mel", Stage.AUDIO),
    (
        _M("wer", "WER", LOWER, unit="%", bounds=(0.0, None), reducer=Reducer.RATIO, headline=True, decimals=1,
           scale=100.0),
        "wer",
        Stage.AUDIO,
    ),
    (_M("delay_ms", "Delay", NEUTRAL, unit="ms", role=MetricRole.DELAY), "alignment", Stage.AUDIO),
    (_M("level_db", "Level", NEUTRAL, unit="dB", role=MetricRole.LEVEL), "alignment", Stage.AUDIO),
    (
        _M("bitrate_bps", "Bitrate", NEUTRAL, unit="bit/s", reducer=Reducer.RATIO, headline=True, decimals=0,
           role=MetricRole.BITRATE),
        "rate",
        Stage.TOKENS,
    ),
    (
        _M("token_rate", "Token rate", NEUTRAL, unit="tokens/s", reducer=Reducer.RATIO, headline=True, decimals=1,
           role=MetricRole.TOKEN_RATE),
        "rate",
        Stage.TOKENS,
    ),
    (
        _M("codebook_use", "Codebook use", HIGHER, unit="%", reducer=Reducer.CORPUS, decimals=1,
           role=MetricRole.CODEBOOK_USE),
        "codebooks",
        Stage.CORPUS,
    ),
    (
        _M("codebook_entropy", "Codebook entropy", NEUTRAL, unit="bit", reducer=Reducer.CORPUS,
           role=MetricRole.CODEBOOK_ENTROPY),
        "codebooks",
        Stage.CORPUS,
    ),
    (_M("rtf_encode", "Encode RTF", LOWER, reducer=Reducer.CORPUS, role=MetricRole.COST), "speed", Stage.TIMING),
)  # fmt: skip
RECOGNISER = "whisper-base"


@dataclass(frozen=True)
class FakeCodec:
    """One codec of a synthetic run: quality from 0 (noise) to 1 (identity), rates, and what goes wrong with it."""

    label: str
    quality: float
    bitrate_bps: float | None = None
    frame_rate_hz: float = 0.0
    codebooks: int = 0
    role: Role = Role.CODEC
    delay_ms: float = 0.0
    level_db: float = 0.0
    teacher: str = ""
    failing: tuple[tuple[int, str], ...] = ()  # (utterance index, status)
    unavailable: str = ""
    setup_bytes: int = 0

    @property
    def spec(self) -> CodecSpec:
        """The specification that the name stands for."""
        name, _, variant = self.label.split("/")[0].split("@")[0].partition(":")
        streams = (StreamSpec(self.frame_rate_hz, (1024,) * self.codebooks),) if self.codebooks else ()
        return CodecSpec(
            name, variant, streams=streams, role=self.role, teacher=self.teacher, setup_bytes=self.setup_bytes
        )


IDENTITY = FakeCodec("identity", 1.0, 256_000.0, role=Role.CEILING)
NOISE = FakeCodec("noise:10db", 0.05, None, role=Role.FLOOR)


def rvq(family: str, frame_rate_hz: float, steps: Sequence[tuple[int, float]], **more: object) -> list[FakeCodec]:
    """Make one codec for each (codebooks, quality), 10 bits a code."""
    return [
        FakeCodec(f"{family}@{k}", q, 10 * k * frame_rate_hz, frame_rate_hz, k, **more)  # type: ignore[arg-type]
        for k, q in steps
    ]


def realistic_codecs() -> tuple[FakeCodec, ...]:
    """Return about 18 codecs of a comparison as a paper would print it."""
    opus = [FakeCodec(f"opus:{kbps}kbps", q, 1000.0 * kbps) for kbps, q in ((6, 0.42), (12, 0.72), (24, 0.9))]
    return (
        IDENTITY,
        NOISE,
        *opus,
        *rvq("mimi", 12.5, [(1, 0.16), (2, 0.28), (4, 0.42), (8, 0.58)]),
        *rvq("encodec:24khz", 75.0, [(2, 0.3), (4, 0.45), (8, 0.62)]),
        *rvq("dac:16khz", 50.0, [(4, 0.55), (12, 0.86)]),
        *rvq("lmspt:mini-12.5hz", 12.5, [(2, 0.31), (4, 0.44)], teacher="whisper-large-v3"),
        FakeCodec("speechtokenizer:hubert-avg-official", 0.55, 4000.0, 50.0, 8, teacher="hubert-base"),
        FakeCodec("codec2:1300", 0.2, 1300.0),
    )


def metric_infos(names: Sequence[str] | None = None) -> tuple[MetricInfo, ...]:
    """Return the metrics of a synthetic run as ``run.json`` holds them."""
    chosen = [m for m in METRICS if names is None or m[0].name in names]
    return tuple(MetricInfo(**asdict(spec), scorer=scorer, stage=str(stage)) for spec, scorer, stage in chosen)


def make_info(
    codecs: Sequence[FakeCodec], num_utterances: int, num_speakers: int = 0, metrics: Sequence[str] | None = None
) -> RunInfo:
    """Return the ``run.json`` of a synthetic run."""
    infos = tuple(
        CodecInfo(
            c.label,
            str(c.role),
            json.loads(json.dumps(asdict(c.spec))),
            unavailable=c.unavailable,
            notes=c.spec.notes,
        )
        for c in codecs
    )
    return RunInfo(
        name="synthetic",
        command=("codecbench", "run"),
        created_utc="2026-01-01T00:00:00Z",
        codecbench_version="0.1.0",
        corpus=CorpusInfo("synthetic-speech", num_utterances, 6.0 * num_utterances, num_speakers, ("en",)),
        codecs=infos,
        metrics=metric_infos(metrics),
        tasks=("reconstruction", "intelligibility", "token_rate"),
        recognizers={RECOGNISER: {"name": RECOGNISER, "family": "whisper-base"}},
        complete=True,
    )


@dataclass
class _World:
    """Utterances that all codecs share: difficulty, words, durations, speakers."""

    rng: np.random.Generator
    num_utterances: int
    num_speakers: int
    difficulty: np.ndarray = field(init=False)
    words: np.ndarray = field(init=False)
    durations: np.ndarray = field(init=False)
    speakers: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        n = self.num_utterances
        self.speakers = np.arange(n) % max(1, self.num_speakers)
        effect = self.rng.normal(0, 0.5, max(1, self.num_speakers))[self.speakers]
        self.difficulty = self.rng.normal(0, 0.8, n) + effect
        self.words = np.maximum(1, self.rng.poisson(15, n))
        self.durations = self.words / 2.5

    def values(self, codec: FakeCodec, metric: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (value, numerator, denominator) of each utterance, NaN parts where the metric is a mean."""
        n, nothing = self.num_utterances, np.full(self.num_utterances, np.nan)
        if codec.role == Role.CEILING and metric in ("pesq_wb", "stoi", "mel_distance"):
            return np.full(n, {"pesq_wb": 4.644, "stoi": 1.0, "mel_distance": 0.0}[metric]), nothing, nothing
        latent = 4 * (codec.quality - 0.5) + 0.5 * self.difficulty + self.rng.normal(0, 0.25, n)
        share = 1 / (1 + np.exp(-latent))
        if metric == "pesq_wb":
            return 1.02 + 3.5 * share, nothing, nothing
        if metric == "stoi":
            return 0.5 + 0.5 * share, nothing, nothing
        if metric == "mel_distance":
            return 2.0 * (1 - share), nothing, nothing
        if metric == "wer":
            errors = self.rng.poisson(self.words * np.clip(0.03 + 0.5 * (1 - share) ** 2, 0, 1)).astype(float)
            return 100 * errors / self.words, errors, self.words.astype(float)
        if metric == "delay_ms":
            return np.full(n, codec.delay_ms), nothing, nothing
        if metric == "level_db":
            return codec.level_db + self.rng.normal(0, 0.05, n), nothing, nothing
        rate = codec.bitrate_bps if metric == "bitrate_bps" else codec.frame_rate_hz * codec.codebooks
        total = np.ceil((rate or 0.0) * self.durations)
        return total / self.durations, total, self.durations


def make_results(
    codecs: Sequence[FakeCodec] = (IDENTITY, FakeCodec("good", 0.8), FakeCodec("bad", 0.3)),
    num_utterances: int = 60,
    num_speakers: int = 0,
    metrics: Sequence[str] | None = None,
    seed: int = 0,
) -> RunResults:
    """Return a run in which quality follows ``FakeCodec.quality`` and failures lie where they were asked for."""
    info = make_info(codecs, num_utterances, num_speakers, metrics)
    world = _World(np.random.default_rng(seed), num_utterances, num_speakers)
    present = [c for c in codecs if not c.unavailable]
    parts = [_metric_columns(world, codec, metric) for metric in info.metrics for codec in present]
    columns = {name: np.concatenate([np.asarray(part[name], object) for part in parts]) for name in COLUMNS}
    return RunResults.from_frame(info, pd.DataFrame(columns))


def _metric_columns(world: _World, codec: FakeCodec, metric: MetricInfo) -> dict[str, Any]:
    corpus = metric.reducer == Reducer.CORPUS
    columns = _corpus_columns(world, codec, metric.name) if corpus else _utterance_columns(world, codec, metric.name)
    columns["key"] = [f"{codec.label}-{metric.name}-{i}" for i in range(len(columns["value"]))]
    constants = {"codec": codec.label, "scorer": metric.scorer, "metric": metric.name, "metric_version": "1",
                 "language": "en", "detail": ""}  # fmt: skip
    columns |= constants
    return {name: [v] * len(columns["key"]) if isinstance(v, str | float) else v for name, v in columns.items()}


def _utterance_columns(world: _World, codec: FakeCodec, metric: str) -> dict[str, Any]:
    value, numerator, denominator = world.values(codec, metric)
    n = world.num_utterances
    status = np.full(n, str(Status.OK), object)
    if not {"token_rate": codec.codebooks, "bitrate_bps": codec.bitrate_bps}.get(metric, True):
        status[:] = Status.NOT_APPLICABLE
    for index, name in codec.failing:
        status[index] = name
    bad = status != Status.OK
    columns = {"value": value, "numerator": numerator, "denominator": denominator}
    columns = {name: np.where(bad, np.nan, array) for name, array in columns.items()}
    return {
        "component": RECOGNISER if metric == "wer" else "",
        "utterance_id": [f"utt-{i:05d}" for i in range(n)],
        "speaker": [f"spk-{s}" if world.num_speakers else "" for s in world.speakers],
        "duration_s": world.durations,
        **columns,
        "status": status,
        "reason": np.where(bad, "made to fail", ""),
    }


def _corpus_columns(world: _World, codec: FakeCodec, metric: str) -> dict[str, Any]:
    timing = metric.startswith("rtf")
    components = ["batch=1"] if timing else [str(k) for k in range(codec.codebooks)]
    k = np.arange(len(components))
    q = codec.quality
    value = {"codebook_use": 100 - 30 * (1 - q) - 4 * k * q, "codebook_entropy": 8 + 2 * q - 0.15 * k}.get(
        metric, q + 0.0 * k
    )
    return {
        "component": components,
        "utterance_id": "",
        "speaker": "",
        "duration_s": float(world.durations.sum()),
        "value": value,
        "numerator": np.nan,
        "denominator": np.nan,
        "status": str(Status.OK),
        "reason": "",
    }


def record(codec: str, metric: str, utterance_id: str, value: float | None = None, **more: object) -> Record:
    """Return one record, ``ok`` where it has a value."""
    empty = Record(
        f"{codec}|{metric}|{utterance_id}|{more.get('component', '')}", codec, "scorer", metric, "1", "", utterance_id,
        "", "en", 1.0, value, None, None, "ok" if value is not None else "backend_error", "", "",
    )  # fmt: skip
    return replace(empty, **more)  # type: ignore[arg-type]


def write_run(results: RunResults, folder: Path, shards: int = 3) -> Path:
    """Write a run folder as the store lays it out: ``run.json`` and Parquet shards of whole rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    records = folder / RECORDS_FOLDER
    records.mkdir(parents=True)
    results.info.save(folder)
    for index in range(shards):
        part = results.records.iloc[index::shards].astype(dict.fromkeys(results.records.select_dtypes("category"), str))
        pq.write_table(pa.Table.from_pandas(part, preserve_index=False), records / f"part-{index}.parquet")
    return folder
