"""What the runner costs: wall time of a run against its parts in a plain loop and against the limit of the machine.

    python benchmarks/suite_overhead.py [--codecs …] [--limit N] [--workers N] [--out FILE]

(a) the plain loop does the same work, one utterance after another, in this process on one thread.
(b) the limit on a CPU is (codec CPU-seconds + metric CPU-seconds) / cores, both as the plain loop measures them.
The ``speed`` task is left out: it runs alone by design. The second run of the same command finds all in the store.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from codecbench.cli.common import print_table
from codecbench.hardware import describe_hardware, versions
from codecbench.plugins import PluginHost, load_plugins
from codecbench.runner.codec_worker import CodecWorker
from codecbench.runner.config import RunConfig, available_cores
from codecbench.runner.job import open_job
from codecbench.runner.messages import CodecResult, Output, ScoreTask, WorkerSetup
from codecbench.runner.plan import plan_group
from codecbench.runner.run import run
from codecbench.runner.score_worker import ScoreWorker
from codecbench.runner.utterances import FILE_NAME

TASKS = ("reconstruction", "intelligibility", "token_rate")


@dataclass(frozen=True)
class PlainLoop:
    """Seconds that the same work takes in one process, one thing after another."""

    wall_s: float
    codec_cpu_s: float
    metric_cpu_s: float


def plain_loop(config: RunConfig, host: PluginHost) -> PlainLoop:
    """Encode, decode and score everything of ``config`` in this process, with one thread."""
    torch.set_num_threads(1)
    config.out.mkdir(parents=True, exist_ok=True)
    job = open_job(config, host, config.out / FILE_NAME)
    setup = WorkerSetup((), {}, "cpu", 1, config.seed)
    start, codec_cpu, metric_cpu = time.perf_counter(), 0.0, 0.0
    began = time.process_time()
    codecs = CodecWorker(setup)
    codec_cpu += time.process_time() - began
    scorer = ScoreWorker(setup)
    for group in job.groups:
        for planned in plan_group(group, job.table, job.selection.per_utterance()):
            began = time.process_time()
            result = codecs(planned.task)
            codec_cpu += time.process_time() - began
            assert isinstance(result, CodecResult)
            for (index, label), scorers in planned.missing.items():
                item = result.items[index]
                output = item.outputs.get(label)
                utterance = planned.utterances[index].utterance
                refs = tuple(s.ref for s in scorers)
                began = time.process_time()
                scorer(
                    ScoreTask(
                        label,
                        utterance,
                        refs,
                        ("",) * len(refs),
                        output if isinstance(output, Output) else None,
                        item.packed,
                        item.stated,
                        None,
                    )
                )
                metric_cpu += time.process_time() - began
    return PlainLoop(time.perf_counter() - start, codec_cpu, metric_cpu)


def main() -> None:
    """Measure and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--codecs", default="")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    host = load_plugins()
    with tempfile.TemporaryDirectory() as folder:

        def config(name: str) -> RunConfig:
            codecs = tuple(c for c in arguments.codecs.split(",") if c)
            return RunConfig(Path(folder) / name, codecs, tasks=TASKS, limit=arguments.limit, workers=arguments.workers)

        seconds = []
        for _ in range(2):
            start = time.perf_counter()
            run(config("run"), host=host)
            seconds.append(time.perf_counter() - start)
        plain = plain_loop(config("plain"), host)
    cores = available_cores()
    limit = (plain.codec_cpu_s + plain.metric_cpu_s) / cores
    result = {
        "hardware": describe_hardware(),
        "versions": versions(),
        "codecs": arguments.codecs or "default",
        "run_s": seconds[0],
        "second_run_s": seconds[1],
        "plain_loop": asdict(plain),
        "limit_s": limit,
        "run_over_limit": seconds[0] / limit,
        "plain_loop_over_run": plain.wall_s / seconds[0],
        "first_over_second_run": seconds[0] / seconds[1],
    }
    rows = [
        ("run, first time", f"{seconds[0]:.1f} s", f"{seconds[0] / limit:.2f} × the limit (aim ≤ 1.15)"),
        ("run, second time", f"{seconds[1]:.1f} s", f"{seconds[0] / seconds[1]:.0f} × faster (aim ≥ 20)"),
        ("plain loop", f"{plain.wall_s:.1f} s", f"{plain.wall_s / seconds[0]:.2f} × the run"),
        ("  codec CPU", f"{plain.codec_cpu_s:.1f} s", ""),
        ("  metric CPU", f"{plain.metric_cpu_s:.1f} s", ""),
        (f"limit on {cores} cores", f"{limit:.1f} s", ""),
    ]
    print_table("Suite overhead", ("what", "time", "ratio"), rows)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(result, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
