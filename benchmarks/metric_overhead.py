"""Metrics a second, against the bare libraries: what checking, resampling, aligning and packing cost around them.

    python benchmarks/metric_overhead.py [--limit N] [--out FILE]

Scores the ``noise:10db`` floor on the built-in corpus in this process, as a metric worker does, one thread. The
library's functions are replaced by ones that note their own time, so both figures come from the same calls.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pesq
import pystoi
import torch

from codecbench.cli.common import print_table
from codecbench.hardware import describe_hardware, versions
from codecbench.plugins import load_plugins
from codecbench.runner.codec_worker import CodecWorker
from codecbench.runner.config import RunConfig
from codecbench.runner.job import open_job
from codecbench.runner.messages import CodecResult, Output, ScorerRef, ScoreTask, WorkerSetup
from codecbench.runner.plan import plan_group
from codecbench.runner.score_worker import ScoreWorker
from codecbench.runner.utterances import FILE_NAME
from codecbench_whisper.offline import OfflineRecognizer

RECOGNIZER = "whisper-tiny.en"
SCORERS: dict[ScorerRef, tuple[Any, str]] = {
    ScorerRef("pesq"): (pesq, "pesq"),
    ScorerRef("stoi"): (pystoi, "stoi"),
    ScorerRef("wer", RECOGNIZER): (OfflineRecognizer, "transcribe"),
}


@dataclass
class Cost:
    """Of one scorer: utterances scored, calls of the library, seconds of all and in the library."""

    name: str
    utterances: int = 0
    calls: int = 0
    seconds: float = 0.0
    library_s: float = 0.0


@contextmanager
def noting(owner: Any, name: str, cost: Cost) -> Iterator[None]:
    """Have ``owner.name`` add its calls and its time to ``cost``."""
    original: Callable[..., Any] = getattr(owner, name)

    def timed(*arguments: Any, **options: Any) -> Any:
        began = time.perf_counter()
        try:
            return original(*arguments, **options)
        finally:
            cost.library_s += time.perf_counter() - began
            cost.calls += 1

    setattr(owner, name, timed)
    try:
        yield
    finally:
        setattr(owner, name, original)


def measure(limit: int) -> list[Cost]:
    """Score the same outputs with every scorer, after one utterance that is not counted."""
    torch.set_num_threads(1)
    costs = [Cost(ref.title) for ref in SCORERS]
    with tempfile.TemporaryDirectory() as folder:
        config = RunConfig(Path(folder), ("noise:10db",), tasks=("reconstruction",), limit=limit)
        job = open_job(config, load_plugins(), config.out / FILE_NAME)
        setup = WorkerSetup((), {}, "cpu", 1, config.seed)
        codecs, scores = CodecWorker(setup), ScoreWorker(setup)
        group = next(group for group in job.groups if group.codec.startswith("noise"))
        counted = False
        for planned in plan_group(group, job.table, job.selection.per_utterance()):
            result = codecs(planned.task)
            assert isinstance(result, CodecResult)
            for (index, label), _ in planned.missing.items():
                item = result.items[index]
                output = item.outputs.get(label)
                assert isinstance(output, Output)
                for (ref, (owner, name)), cost in zip(SCORERS.items(), costs, strict=True):
                    utterance = planned.utterances[index].utterance
                    task = ScoreTask(label, utterance, (ref,), ("",), output, item.packed, item.stated, None)
                    if not counted:
                        scores(task)
                    with noting(owner, name, cost):
                        began = time.perf_counter()
                        scores(task)
                        cost.seconds += time.perf_counter() - began
                    cost.utterances += 1
                counted = True
    return costs


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=38)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    costs = measure(arguments.limit)
    rows = [
        (
            cost.name,
            f"{cost.calls}",
            f"{cost.calls / cost.library_s:.1f}/s",
            f"{cost.calls / cost.seconds:.1f}/s",
            f"{cost.seconds / cost.library_s:.3f} ×",
        )
        for cost in costs
    ]
    print_table("Metrics", ("scorer", "library calls", "bare library", "in the suite", "time, ratio"), rows)
    if arguments.out:
        result = {
            "hardware": describe_hardware(),
            "versions": versions(),
            "scorers": [asdict(cost) | {"ratio": cost.seconds / cost.library_s} for cost in costs],
        }
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(result, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
