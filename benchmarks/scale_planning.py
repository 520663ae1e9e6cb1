"""What a run costs its driver on a large corpus: rate of planning, peak memory, store overhead for each utterance.

    python benchmarks/scale_planning.py [--num 1000000] [--run-num 20000] [--out FILE]

A synthetic corpus (``scale_plugin.py``: digests and durations stated, one shared short file), the ceiling codec and a
trivial one, one trivial metric. Each part is measured in a process of its own:

fresh     scan (the corpus is walked and written to a table), survey (the store, empty, is asked about every
          utterance, codec and scorer: what --dry-run shows), tasks (the codec tasks are made, as the engine takes them)
resumed   the same against a store that holds all scores and tokens, then the records and the index of artifacts
whole     a run of ``--run-num`` utterances by the local engine, reports included: what store and runner cost in it

Wall and CPU seconds (``_cpu_s``) are of that process; on a machine that does nothing else they are nearly the same.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PLUGIN = Path(__file__).with_name("scale_plugin.py")
MIB = 1 << 20


def peak_mib() -> float:
    """Greatest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB


def _config(folder: Path, num: int) -> Any:
    from codecbench.runner.config import RunConfig

    return RunConfig(
        out=folder,
        codecs=("identity", "trivial"),
        corpus="synthetic",
        tasks=("trivial",),
        reports=("tables",),
        settings={"synthetic": {"num_utterances": str(num)}},
        plugin_files=(PLUGIN,),
        keep_audio=False,
    )


@contextmanager
def _timed(times: dict[str, float], name: str) -> Iterator[None]:
    start, cpu = time.perf_counter(), time.process_time()
    yield
    times[f"{name}_s"] = time.perf_counter() - start
    times[f"{name}_cpu_s"] = time.process_time() - cpu


def fresh(folder: Path, num: int) -> dict[str, float]:
    """Plan a run of which the store holds nothing."""
    from codecbench.plugins import load_plugins
    from codecbench.runner.job import open_job
    from codecbench.runner.plan import plan_group
    from codecbench.runner.utterances import FILE_NAME

    config = _config(folder, num)
    host = load_plugins(config.plugin_files)
    times: dict[str, float] = {"start_mib": peak_mib()}
    with _timed(times, "scan"):
        job = open_job(config, host, folder / FILE_NAME)
    times["scan_mib"] = peak_mib()
    with _timed(times, "survey"):
        works = job.survey()
    times["survey_mib"] = peak_mib()
    assert all(work.num_todo == num for work in works)
    with _timed(times, "tasks"):
        scorers = job.selection.per_utterance()
        tasks = sum(1 for w in works for _ in plan_group(w.group, job.table.walk(w.todo), scorers))
    return times | {"tasks": tasks, "peak_mib": peak_mib(), "plan_per_s": num / (times["scan_s"] + times["survey_s"])}


def fill(folder: Path, num: int) -> dict[str, float]:
    """Fill a store with all that the run would put there."""
    from codecbench.contracts.metric import Measurement
    from codecbench.plugins import load_plugins
    from codecbench.runner.job import open_job
    from codecbench.runner.utterances import FILE_NAME, blocks
    from codecbench.store.packing import PackedUtterance
    from codecbench.store.tokens import TokenStore

    config = _config(folder, num)
    job = open_job(config, load_plugins(config.plugin_files), folder / FILE_NAME)
    header = '{"format":1,"streams":[{"name":"codes","frame_rate_hz":10.0,"sizes":[16],"frames":1}]}'
    times: dict[str, float] = {}
    with _timed(times, "write"):
        for group, lane in job.lanes:
            tokens = TokenStore(group.token_folder)
            for block in blocks(job.table, 512):
                for planned in block:
                    for scorer in job.selection.per_utterance():
                        lane.scores.put(lane.key(planned, scorer), [Measurement("output_seconds", 0.1)])
                if lane.spec.streams:
                    packed = PackedUtterance("tokens", 1600, header, b"\x00")
                    tokens.append({group.token_key(planned): packed for planned in block})
            lane.scores.flush()
    return times


def resumed(folder: Path, num: int) -> dict[str, float]:
    """Plan a run of which the store holds everything, and write its records."""
    from codecbench.artifacts import write_artifacts
    from codecbench.plugins import load_plugins
    from codecbench.runner.describing import artifact_rows
    from codecbench.runner.job import open_job
    from codecbench.runner.records import RecordFolder, utterance_records
    from codecbench.runner.utterances import FILE_NAME

    config = _config(folder, num)
    host = load_plugins(config.plugin_files)
    times: dict[str, float] = {"start_mib": peak_mib()}
    with _timed(times, "scan"):
        job = open_job(config, host, folder / FILE_NAME)
    with _timed(times, "survey"):
        works = job.survey()
    assert not any(work.num_todo for work in works)
    times["survey_mib"] = peak_mib()
    with _timed(times, "records"):
        records = RecordFolder(folder)
        for _, lane in job.lanes:
            rows = utterance_records(lane, job.table, job.selection.per_utterance(), complete=True)
            assert records.write(lane.label, rows).num_records == num
    times["records_mib"] = peak_mib()
    with _timed(times, "artifacts"):
        write_artifacts(folder, artifact_rows(folder, job.table, job.groups))
    return times | {"peak_mib": peak_mib(), "plan_per_s": num / (times["scan_s"] + times["survey_s"])}


def whole(folder: Path, num: int) -> dict[str, float]:
    """Run everything once and again."""
    from codecbench.runner.run import run

    times: dict[str, float] = {"start_mib": peak_mib()}
    config = _config(folder, num)
    before = time.process_time()
    with _timed(times, "run"):
        run(config)
    items = 2 * num  # utterances times codecs
    times["driver_cpu_ms_per_item"] = 1000 * (time.process_time() - before) / items
    times["workers_cpu_ms_per_item"] = 1000 * _children_cpu_s() / items
    times["wall_ms_per_item"] = 1000 * times["run_s"] / items
    times["run_mib"] = peak_mib()
    with _timed(times, "again"):
        run(config)
    return times | {"peak_mib": peak_mib()}


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


PARTS: dict[str, Callable[[Path, int], dict[str, float]]] = {
    "fresh": fresh,
    "fill": fill,
    "resumed": resumed,
    "whole": whole,
}


def _in_process(part: str, folder: Path, num: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--part", part, "--folder", str(folder), "--num", str(num)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    result: dict[str, float] = json.loads(answer.splitlines()[-1])
    print(part, {name: round(value, 2) for name, value in result.items()}, flush=True)
    return result


def main() -> None:
    """Measure each part and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num", type=int, default=1_000_000)
    parser.add_argument("--run-num", type=int, default=20_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "scale_planning.json")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        print(json.dumps(PARTS[arguments.part](arguments.folder, arguments.num)))
        return
    from codecbench.hardware import describe_hardware, versions

    result: dict[str, Any] = {"num_utterances": arguments.num, "run_utterances": arguments.run_num}
    for name, parts, num in (
        ("plan", ("fresh", "fill", "resumed"), arguments.num),
        ("run", ("whole",), arguments.run_num),
    ):
        with tempfile.TemporaryDirectory(prefix=f"codecbench-{name}-") as folder:
            for part in parts if num else ():
                result[part] = _in_process(part, Path(folder), num)
    result |= {"hardware": describe_hardware(), "versions": versions()}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
