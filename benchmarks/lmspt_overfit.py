"""Overfit: can the model, the losses and the loop learn ten utterances by heart?

    python benchmarks/lmspt_overfit.py --out runs/overfit        # the same command again goes on where it was

Trains ``mini-12.5hz`` with one thread on the ten shortest English utterances of the built-in corpus, in stages. After
each stage it measures the mel distance over whole utterances and lets codecbench recognise the decoded speech beside
the originals; every figure goes to ``OUT/progress.json``. Ends with 0 where the goal is reached, with 1 where not. Not
a measure of quality: a model that fails here has a fault, one that passes has learnt ten utterances.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from codecbench.hardware import describe_hardware, versions
from codecbench.results import RunResults
from codecbench_lmspt import LMSPT
from codecbench_train.data.crops import read_crop
from codecbench_train.data.entries import list_source
from codecbench_train.losses.mel import mel_distance

HERE = Path(__file__).resolve().parent
CORPUS = HERE.parent / "plugins" / "codecbench_corpora" / "data" / "builtin" / "manifest.jsonl"
RESULT = HERE / "results" / "lmspt_overfit_cpu.json"
UTTERANCES = 10
GOAL_MEL_NEPERS, GOAL_WER_POINTS_ABOVE_ORIGINALS = 0.35, 5.0

#: What differs from the preset: whole utterances, two in each step; a small teacher; codebooks that start early and
#: follow fast, because the latents are the same few hundred all the time; the adversarial loss comes last.
RECIPE = (
    "steps=1200",
    "ema_decay=0.0",
    "data.batch_size=2",
    "data.segment_s=3.36",
    "teacher.source=offline:tiny.en",
    "generator.peak=1e-3",
    "generator.warmup_steps=50",
    "discriminator.warmup_steps=50",
    "loss.adversarial_start_step=900",
    "log.every_steps=50",
    "log.save_every_steps=200",
    "log.tensorboard=false",
    'model.overrides=["quantizer.start_step=150", "quantizer.ema_decay=0.95", "training.codebook_dropout=0.1"]',
)


@dataclass(frozen=True)
class Point:
    """What was measured after a stage. cpu_minutes: of training alone. WER: of the offline recogniser."""

    step: int
    cpu_minutes: float
    mel_distance_nepers: float
    wer_percent: float
    wer_percent_originals: float

    @property
    def reached(self) -> bool:
        """Whether the goal is reached."""
        intelligible = self.wer_percent <= self.wer_percent_originals + GOAL_WER_POINTS_ABOVE_ORIGINALS
        return intelligible and self.mel_distance_nepers <= GOAL_MEL_NEPERS


def ten_utterances(out: Path) -> Path:
    """A manifest of the ten shortest English utterances, their audio copied next to it."""
    rows = [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines() if line.strip()]
    english = sorted((row for row in rows if row["language"] == "en"), key=lambda row: row["seconds"])
    chosen = english[:UTTERANCES]
    folder = out / "ten"
    folder.mkdir(parents=True, exist_ok=True)
    for row in chosen:
        (folder / Path(row["audio"]).name).write_bytes((CORPUS.parent / row["audio"]).read_bytes())
    manifest = folder / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in chosen), encoding="utf-8")
    return manifest


def train(manifest: Path, out: Path, minutes: float, settings: list[str]) -> float:
    """Train for some minutes, or go on; returns CPU minutes."""
    call = [sys.executable, "-m", "codecbench", "train", "--out", str(out), "--minutes", str(minutes)]
    if any((out / "checkpoints").glob("step-*")):
        call += ["--resume"]
    else:
        call += ["lmspt", "--preset", "mini-12.5hz", "--config", "cpu", "--data", str(manifest)]
        call += [part for setting in [*RECIPE, *settings] for part in ("--set", setting)]
    before = _children_cpu_s()
    subprocess.run(call, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    return (_children_cpu_s() - before) / 60


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def steps_done(out: Path) -> int:
    """The step of the newest checkpoint."""
    return max((int(path.name.removeprefix("step-")) for path in (out / "checkpoints").glob("step-*")), default=0)


def steps_wanted(out: Path) -> int:
    """The length of the run, from its own configuration."""
    import tomllib

    return int(tomllib.loads((out / "config.toml").read_text(encoding="utf-8"))["steps"])


def mean_mel_distance(weights: Path, manifest: Path) -> float:
    """Mean mel distance in nepers over the whole of each utterance."""
    model, distances = LMSPT.from_pretrained(weights), []
    for entry in list_source(manifest).entries:
        crop = torch.from_numpy(read_crop(entry, 0.0, entry.duration_s, model.sample_rate_hz).audio)[None, None]
        decoded = model.decode(model.encode(crop))[..., : crop.shape[-1]]
        distances.append(float(mel_distance(decoded, crop, model.sample_rate_hz)))
    return sum(distances) / len(distances)


def scores(weights: Path, manifest: Path, folder: Path, codecs: str, tasks: str) -> dict[str, dict[str, float]]:
    """What codecbench finds on the ten utterances: codec label -> metric -> estimate."""
    call = [sys.executable, "-m", "codecbench", "run", "--codecs", codecs, "--set", f"lmspt.weights={weights}"]
    call += ["--corpus", str(manifest), "--tasks", tasks, "--out", str(folder), "--workers", "1"]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "scoring.log").open("wb") as log:
        subprocess.run(call, check=True, stdout=log, env=os.environ | {"OMP_NUM_THREADS": "1"})
    found: dict[str, dict[str, float]] = {}
    for row in RunResults.load(folder).summary.rows:
        if row.estimate is not None:
            found.setdefault(row.codec, {})[row.metric] = float(row.estimate)
    return found


def measure(out: Path, manifest: Path, cpu_minutes: float) -> Point:
    """Score the newest weights."""
    step, weights = steps_done(out), out / "weights" / "last.safetensors"
    found = scores(weights, manifest, out / "scores" / f"step-{step:06d}", "lmspt:mini-12.5hz", "intelligibility")
    wer, originals = found["lmspt:mini-12.5hz"]["wer"], found["identity"]["wer"]
    return Point(step, cpu_minutes, mean_mel_distance(weights, manifest), wer, originals)


def main() -> int:
    """Train and score in turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--stage-minutes", type=float, default=8.0)
    parser.add_argument("--set", action="append", default=[], dest="settings", help="A change to the recipe.")
    parser.add_argument("--results", type=Path, help=f"Where the result goes in the end, for example {RESULT.name}.")
    arguments = parser.parse_args()
    out = arguments.out
    manifest, progress = ten_utterances(out), out / "progress.json"
    points = [Point(**point) for point in json.loads(progress.read_text())["points"]] if progress.is_file() else []
    while not points or points[-1].step < steps_wanted(out):
        spent = train(manifest, out, arguments.stage_minutes, arguments.settings)
        points.append(measure(out, manifest, spent + (points[-1].cpu_minutes if points else 0.0)))
        print(points[-1], flush=True)
        progress.write_text(json.dumps(facts(points, arguments.settings), indent=1) + "\n", encoding="utf-8")
    codecs = "lmspt:mini-12.5hz,lmspt:mini-12.5hz/semantic-aux"
    tasks = "reconstruction,intelligibility"
    final = scores(out / "weights" / "last.safetensors", manifest, out / "scores" / "final", codecs, tasks)
    target = arguments.results or progress
    target.parent.mkdir(parents=True, exist_ok=True)
    result = facts(points, arguments.settings) | {"final": final}
    target.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"goal {'reached' if points[-1].reached else 'NOT reached'}: {points[-1]}")
    return 0 if points[-1].reached else 1


def facts(points: list[Point], settings: list[str]) -> dict[str, object]:
    """Everything that the figures need beside themselves."""
    return {
        "preset": "mini-12.5hz", "recipe": [*RECIPE, *settings], "threads": 1,
        "goal": {"mel_distance_nepers": GOAL_MEL_NEPERS, "wer_points_above_originals": GOAL_WER_POINTS_ABOVE_ORIGINALS},
        "reached": points[-1].reached, "points": [asdict(point) for point in points],
        "hardware": describe_hardware("cpu"), "versions": versions(),
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
