"""What the Ray engine costs against the local one on this machine, and how metric workers scale from 1 to 2.

    python benchmarks/ray_overhead.py [--utterances N] [--repeats N] [--out FILE]

Overhead: a synthetic corpus of short utterances through ``identity`` with one cheap scorer, so that little but the
engine is at work. The same work is done with two sizes of corpus: the slope is the cost of an utterance, the rest that
of starting. Scaling: PESQ and STOI of the same corpus with one and with two metric workers. Runs of the engines
alternate; the median of the repeats is taken. To be run on a quiet machine. Reports and timings are left out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import soundfile

from codecbench.cli.common import print_table
from codecbench.hardware import describe_hardware, versions
from codecbench.plugins import PluginHost, load_plugins
from codecbench.runner.config import RunConfig
from codecbench.runner.engines import make_engine
from codecbench.runner.job import open_job
from codecbench.runner.messages import WorkerSetup
from codecbench.runner.plan import plan_group
from codecbench.runner.progress import Quiet

ENGINES = ("local", "ray")
HEAVY = ("pesq", "stoi")
SECONDS_PER_UTTERANCE, RATE_HZ = 1.0, 16000


@dataclass(frozen=True)
class Line:
    """Seconds of a run = start_s + utterances × utterance_s."""

    start_s: float
    utterance_s: float


def write_corpus(folder: Path, size: int) -> Path:
    """Write ``size`` noisy tones of one second, and their manifest."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    time_s = np.arange(int(SECONDS_PER_UTTERANCE * RATE_HZ)) / RATE_HZ
    rows = []
    for index in range(size):
        tone = np.sin(2 * np.pi * (200 + index % 50) * time_s) * np.hanning(len(time_s))
        audio = 0.3 * tone + 0.01 * rng.standard_normal(len(time_s))
        soundfile.write(folder / f"{index}.wav", audio, RATE_HZ, subtype="PCM_16")
        rows.append(json.dumps({"id": str(index), "audio": f"{index}.wav"}))
    manifest = folder / "manifest.jsonl"
    manifest.write_text("\n".join(rows) + "\n", "utf-8")
    return manifest


def seconds(config: RunConfig, host: PluginHost, scorers: tuple[str, ...]) -> float:
    """Return the wall time in which an engine starts, applies ``scorers`` to everything of ``config``, and ends."""
    config.out.mkdir(parents=True)
    job = open_job(config, host, config.out / "utterances.parquet")
    chosen = [s for s in job.selection.per_utterance() if s.ref.name in scorers]
    tasks = [task for group in job.groups for task in plan_group(group, job.table, chosen)]
    if not tasks:
        raise SystemExit(f"nothing to measure: none of the scorers {scorers} is among those of {config.tasks}")
    setup = WorkerSetup((), {}, "cpu", 1, 0)
    start = time.perf_counter()
    with make_engine(config, setup, Quiet()) as engine:
        engine.run(iter(tasks))
    return time.perf_counter() - start


def overhead(config: RunConfig, host: PluginHost, size: int, repeats: int, scorer: str) -> dict[str, Line]:
    """Fit a line through a tenth of the corpus and all of it, for each engine, after a run that is not counted."""
    sizes = (max(16, size // 10), size)
    for engine in ENGINES:
        warm = replace(config, out=config.out / f"{engine}-warm", engine=engine, limit=1, workers=1)
        seconds(warm, host, (scorer,))
    taken: dict[tuple[str, int], list[float]] = {}
    for repeat in range(repeats):
        for count in sizes:
            for engine in ENGINES:
                out = config.out / f"{engine}-{count}-{repeat}"
                one = replace(config, out=out, engine=engine, limit=count, workers=1)
                taken.setdefault((engine, count), []).append(seconds(one, host, (scorer,)))
    lines = {}
    for engine in ENGINES:
        few, many = (statistics.median(taken[engine, count]) for count in sizes)
        slope = (many - few) / (sizes[1] - sizes[0])
        if slope <= 0:
            raise SystemExit(
                f"{sizes[1]} utterances took no longer than {sizes[0]}: measure while the machine is quiet"
            )
        lines[engine] = Line(few - slope * sizes[0], slope)
    return lines


def scaling(config: RunConfig, host: PluginHost, size: int, repeats: int) -> dict[str, list[float]]:
    """Return the seconds with one and with two metric workers, for each engine."""
    taken: dict[str, list[list[float]]] = {engine: [[], []] for engine in ENGINES}
    for repeat in range(repeats):
        for engine in ENGINES:
            for workers in (1, 2):
                out = config.out / f"scaling-{engine}-{workers}-{repeat}"
                one = replace(config, out=out, engine=engine, limit=size, workers=workers)
                taken[engine][workers - 1].append(seconds(one, host, HEAVY))
    return {engine: [statistics.median(runs) for runs in both] for engine, both in taken.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, default=1000)
    parser.add_argument("--scaling-utterances", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--scorer", default="waveform", help="The cheap scorer of the overhead.")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    host = load_plugins()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest = write_corpus(folder / "corpus", max(arguments.utterances, arguments.scaling_utterances))
        config = RunConfig(folder / "runs", ("identity",), str(manifest), ("reconstruction",), keep_audio=False)
        lines = overhead(config, host, arguments.utterances, arguments.repeats, arguments.scorer)
        scaled = scaling(config, host, arguments.scaling_utterances, arguments.repeats)
    rows = [(f"{e}: start", f"{line.start_s:.2f} s", "") for e, line in lines.items()]
    rows += [(f"{e}: each utterance", f"{1000 * line.utterance_s:.2f} ms", "") for e, line in lines.items()]
    more = lines["ray"].utterance_s - lines["local"].utterance_s
    rows.append(
        ("Ray above local", f"{1000 * more:.2f} ms", f"{lines['ray'].utterance_s / lines['local'].utterance_s:.2f} ×")
    )
    for engine, (one, two) in scaled.items():
        rows.append((f"{engine}: metric workers 1 → 2", f"{one:.1f} → {two:.1f} s", f"{one / two:.2f} × faster"))
    print_table("Engines", ("what", "time", "ratio"), rows)
    result = {
        "hardware": describe_hardware(),
        "versions": versions(),
        "utterances": arguments.utterances,
        "overhead": {engine: asdict(line) for engine, line in lines.items()},
        "scaling_utterances": arguments.scaling_utterances,
        "scaling_scorers": HEAVY,
        "scaling_s": scaled,
    }
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(result, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
