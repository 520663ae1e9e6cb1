"""The paper's Table 3 at our scale: distillation by resynthesis, by features, and none, all else equal.

    python benchmarks/lmspt_ablation.py --data data/training/read-english.jsonl,weight=8 --data … \
        --data data/training/dev.jsonl,dev=true --steps 500 --out docs/results/lmspt

Trains ``mini-12.5hz`` three times from scratch by the shipped recipe (``--config cpu``), the same batches in the same
order, and scores each on held-out prompts: all codebooks, and the semantic one alone through the main and through the
auxiliary decoder. Each arm is one training: intervals cover utterances, not seeds. What was trained or scored is not
done again: a stopped run goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from codecbench.results import RunResults
from codecbench.stats.comparing import diff_runs

PRESET = "mini-12.5hz"
REFERENCE = "resynthesis"
ARMS: Mapping[str, tuple[str, ...]] = {
    REFERENCE: (),
    "feature": ("--config", "feature-distillation"),
    "none": ("--config", "no-distillation"),
}
MODES: Mapping[str, str] = {
    "": "all codebooks",
    "/semantic": "semantic codebook, main decoder",
    "/semantic-aux": "semantic codebook, auxiliary decoder",
}
METRICS = ("wer", "stoi", "pesq_wb")


@dataclass(frozen=True)
class Row:
    """One arm on one measure: its figure with its 95 % interval, and the paired difference to resynthesis with its."""

    arm: str
    decode: str
    metric: str
    component: str
    value: float
    low: float | None
    high: float | None
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    num_utterances: int


def train(arm: str, arguments: argparse.Namespace) -> Path:
    """Train one arm, or go on with it; returns its weights."""
    out: Path = arguments.work / arm
    done = arguments.work / f"{arm}.done"
    if done.is_file():
        return out / "weights" / "last.safetensors"
    launch = [sys.executable, "-m"]
    if arguments.processes > 1:
        launch += ["torch.distributed.run", "--standalone", "--nproc-per-node", str(arguments.processes), "-m"]
    command = [*launch, "codecbench", "train", "lmspt", "--out", str(out)]
    if (out / "checkpoints").is_dir():
        command += ["--resume"]
    else:
        command += ["--preset", PRESET, "--config", "cpu", *ARMS[arm], *(f"--data={data}" for data in arguments.data)]
        for setting in (f"steps={arguments.steps}", f"loss.semantic_fade_steps={arguments.steps}", *arguments.set):
            command += ["--set", setting]
    threads = max(1, (os.cpu_count() or 1) // arguments.processes)
    subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": str(threads)})
    done.touch()
    return out / "weights" / "last.safetensors"


def score(arm: str, weights: Path, arguments: argparse.Namespace) -> RunResults:
    """Score one arm on the held-out prompts."""
    folder = arguments.work / "scores" / arm
    command = [
        *(sys.executable, "-m", "codecbench", "run", "--corpus", arguments.corpus, "--out", str(folder)),
        *("--codecs", ",".join(f"lmspt:{PRESET}{mode}" for mode in MODES), "--recognizer", arguments.recognizer),
        *("--tasks", "reconstruction,intelligibility", "--store", str(arguments.work / "store")),
        *("--set", f"lmspt.weights={weights}", "--limit", str(arguments.limit)),
    ]
    done = subprocess.run(command, check=False)
    if done.returncode not in (0, 3):
        raise SystemExit(f"{arm}: codecbench run ended with {done.returncode}")
    return RunResults.load(folder)


def rows_of(runs: Mapping[str, RunResults]) -> Iterator[Row]:
    """Every arm on every decode and measure, beside resynthesis."""
    for arm, results in runs.items():
        changes = {} if arm == REFERENCE else {
            (change.codec, change.metric.name, change.component): change
            for change in diff_runs(runs[REFERENCE], results).changes
        }  # fmt: skip
        for mode, decode in MODES.items():
            for row in results.summary.rows:
                if row.codec != f"lmspt:{PRESET}{mode}" or row.metric not in METRICS or row.estimate is None:
                    continue
                change = changes.get((row.codec, row.metric, row.component))
                yield Row(
                    arm, decode, row.metric, row.component, row.estimate, row.ci_low, row.ci_high,
                    change.difference if change else None, change.interval.low if change else None,
                    change.interval.high if change else None, row.n_utterances,
                )  # fmt: skip


def as_markdown(rows: list[Row]) -> str:
    """The rows as a table, decodes together."""
    lines = ["| decode | measure | distillation | value | against resynthesis |", "|" + " --- |" * 5]
    for row in sorted(rows, key=lambda r: (list(MODES.values()).index(r.decode), METRICS.index(r.metric))):
        measure = row.metric + (f" ({row.component})" if row.component else "")
        against = "–"
        if row.difference is not None:
            against = f"{row.difference:+.3g}{_span(row.difference_low, row.difference_high)}"
        lines.append(
            f"| {row.decode} | {measure} | {row.arm} | {row.value:.3g}{_span(row.low, row.high)} | {against} |"
        )
    return "\n".join(lines) + "\n"


def _span(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" [{low:.3g}, {high:.3g}]"


def main() -> None:
    """Train and score the three arms, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", required=True, help="as for codecbench train")
    parser.add_argument("--set", action="append", default=[], help="as for codecbench train")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--processes", type=int, default=2, help="processes that train together")
    parser.add_argument("--corpus", default="asterisk-en")
    parser.add_argument("--limit", type=int, default=24)
    parser.add_argument("--recognizer", default="whisper-tiny.en")
    parser.add_argument("--work", type=Path, default=Path("runs/lmspt-ablation"))
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    weights = {arm: train(arm, arguments) for arm in ARMS}
    rows = list(rows_of({arm: score(arm, path, arguments) for arm, path in weights.items()}))
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "ablation.md").write_text(as_markdown(rows), "utf-8")
    setting = {"preset": PRESET, "steps": arguments.steps, "corpus": arguments.corpus, "limit": arguments.limit}
    table = json.dumps({**setting, "rows": [asdict(row) for row in rows]}, indent=1)
    (arguments.out / "ablation.json").write_text(table + "\n", "utf-8")
    print(as_markdown(rows))


if __name__ == "__main__":
    main()
