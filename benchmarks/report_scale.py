"""How long the page of a large run takes and how big it is: 2,620 utterances, 12 codecs, 20 metrics.

    python benchmarks/report_scale.py [--utterances N] [--codecs N] [--metrics N]

Prints one line for each stage (records read, statistics, page) with seconds and size, and exits with 1 where the
whole takes more than 60 s or the page is larger than 30 MB.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from codecbench.contracts.codec import CodecSpec, Role
from codecbench.contracts.metric import Direction, MetricRole, MetricSpec, Reducer, Stage, Status
from codecbench.results import COLUMNS, RECORDS_FOLDER, RunResults
from codecbench.runinfo import CodecInfo, CorpusInfo, MetricInfo, RunInfo

MAX_SECONDS, MAX_BYTES = 60.0, 30_000_000
SPEAKERS = 40


def make_run(folder: Path, utterances: int, codecs: int, metrics: int) -> None:
    """Write a run of random scores: ratios and means, one value in a hundred failed, one curve of each six codecs."""
    rng = np.random.default_rng(0)
    labels = ["identity", *(f"family{c // 6}@{1 + c % 6}" for c in range(codecs - 1))]
    infos = [_metric(m) for m in range(metrics)]
    difficulty = rng.normal(0, 0.3, utterances)
    (folder / RECORDS_FOLDER).mkdir(parents=True)
    for c, label in enumerate(labels):
        parts = [_records(rng, label, metric, 2 + 0.1 * c + difficulty, 500.0 * (1 + c)) for metric in infos]
        pd.concat(parts, ignore_index=True)[list(COLUMNS)].to_parquet(folder / RECORDS_FOLDER / f"{c:04d}.parquet")
    info = RunInfo(
        name="scale",
        command=("codecbench", "run"),
        created_utc="2026-01-01T00:00:00Z",
        codecbench_version="0",
        corpus=CorpusInfo("random", utterances, 6.0 * utterances, SPEAKERS, ("en",)),
        codecs=tuple(CodecInfo(label, str(_role(label)), vars(CodecSpec(label.partition("@")[0]))) for label in labels),
        metrics=tuple(infos),
        tasks=("random",),
        complete=True,
    )
    replace(info, codecs=tuple(replace(c, spec={"name": c.spec["name"]}) for c in info.codecs)).save(folder)


def _role(label: str) -> Role:
    return Role.CEILING if label == "identity" else Role.CODEC


def _metric(index: int) -> MetricInfo:
    rate = index == 0
    spec = MetricSpec(
        "bitrate" if rate else f"metric{index}",
        "Bit rate" if rate else f"Metric {index}",
        Direction.NEUTRAL if rate else (Direction.HIGHER, Direction.LOWER)[index % 2],
        reducer=Reducer.RATIO if index % 3 == 0 else Reducer.MEAN,
        headline=index < 8,
        role=MetricRole.BITRATE if rate else MetricRole.QUALITY,
    )
    return MetricInfo(**vars(spec), scorer=spec.name, stage=str(Stage.AUDIO))


def _records(rng: np.random.Generator, label: str, metric: MetricInfo, values: np.ndarray, rate: float) -> pd.DataFrame:
    count = len(values)
    denominators = rng.integers(5, 30, count).astype(float)
    drawn = values + rng.normal(0, 0.2, count) if metric.role != MetricRole.BITRATE else np.full(count, rate)
    bad = rng.random(count) < 0.01
    ratio = metric.reducer == Reducer.RATIO
    return pd.DataFrame(
        {
            "key": [f"{label}{metric.name}{i:032x}"[-32:] for i in range(count)],
            "codec": label,
            "scorer": metric.scorer,
            "metric": metric.name,
            "metric_version": "1",
            "component": "",
            "utterance_id": [f"{i % SPEAKERS}-{1000 + i // 50}-{i:04d}" for i in range(count)],
            "speaker": [f"speaker{i % SPEAKERS}" for i in range(count)],
            "language": "en",
            "duration_s": 6.0,
            "value": np.where(bad, np.nan, drawn),
            "numerator": np.where(bad | (not ratio), np.nan, drawn * denominators),
            "denominator": np.where(bad | (not ratio), np.nan, denominators),
            "status": np.where(bad, str(Status.REF_SILENT), str(Status.OK)),
            "reason": np.where(bad, "the reference is silent", ""),
            "detail": "",
        }
    )


def main() -> int:
    """Make the run, time its page, print the figures."""
    from codecbench.stats.gates import plausibility_flags
    from codecbench_page.render import write_page

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("utterances", 2620), ("codecs", 12), ("metrics", 20)):
        parser.add_argument(f"--{name}", type=int, default=value)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_run(folder / "run", given.utterances, given.codecs, given.metrics)
        start = time.perf_counter()
        results = RunResults.load(folder / "run")
        loaded = time.perf_counter()
        results = results.with_info(results.info.with_flags(plausibility_flags(results)))
        counted = time.perf_counter()
        size = write_page([results], folder).stat().st_size
        end = time.perf_counter()
        rows = len(results.records)
    print(f"records     {rows:10d}")
    print(f"read        {loaded - start:10.1f} s")
    print(f"statistics  {counted - loaded:10.1f} s  (summary, intervals, ranks, gates)")
    print(f"page        {end - counted:10.1f} s")
    print(f"together    {end - start:10.1f} s  (limit {MAX_SECONDS:.0f} s)")
    print(f"page size   {size / 1e6:10.1f} MB (limit {MAX_BYTES / 1e6:.0f} MB)")
    return int(end - start > MAX_SECONDS or size > MAX_BYTES)


if __name__ == "__main__":
    sys.exit(main())
