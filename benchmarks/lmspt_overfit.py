"""Overfit: can the model, the losses and the loop learn ten utterances by heart?

    python benchmarks/lmspt_overfit.py --steps 3000 --out runs/overfit

Trains ``mini-12.5hz`` on ten utterances of the built-in corpus and scores the result on those same ten with
codecbench: mel distance, PESQ, STOI, WER of the offline recogniser beside the WER of the originals. Not a measure of
quality: a model that fails here has a fault, one that passes has learnt ten utterances. Can be stopped and resumed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import torch

from codecbench_lmspt import LMSPT
from codecbench_train.data.entries import list_source
from codecbench_train.losses.mel import mel_distance
from codecbench_train.validation import dev_batches

HERE = Path(__file__).resolve().parent
CORPUS = HERE.parent / "plugins" / "codecbench_corpora" / "data" / "builtin" / "manifest.jsonl"
UTTERANCES = 10


def ten_utterances(out: Path) -> Path:
    """A manifest of ten utterances with text, absolute paths aside: audio is linked next to it."""
    rows = [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines() if line.strip()]
    step = len(rows) // UTTERANCES
    chosen = [row for row in rows if row.get("text")][::step][:UTTERANCES]
    folder = out / "ten"
    folder.mkdir(parents=True, exist_ok=True)
    for row in chosen:
        target = folder / Path(row["audio"]).name
        if not target.exists():
            target.write_bytes((CORPUS.parent / row["audio"]).read_bytes())
    manifest = folder / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in chosen), encoding="utf-8")
    return manifest


def train(manifest: Path, out: Path, steps: int, settings: list[str]) -> None:
    """Train, or go on."""
    call = [sys.executable, "-m", "codecbench", "train", "--out", str(out)]
    if (out / "checkpoints").is_dir():
        call += ["--resume"]
    else:
        call += ["lmspt", "--preset", "mini-12.5hz", "--config", "cpu", "--data", str(manifest)]
    sets = [f"steps={steps}", "data.batch_size=10", "log.save_every_steps=100", *settings]
    subprocess.run([*call, *(part for s in sets for part in ("--set", s))], check=True)


def memorised(weights: Path, manifest: Path) -> float:
    """Mean mel distance in nepers over the first seconds of the ten utterances."""
    model = LMSPT.from_pretrained(weights)
    total, count = 0.0, 0
    for batch in dev_batches(list_source(manifest).entries, 6.0, model.sample_rate_hz):
        audio = model.decode(model.encode(batch.audio, batch.num_samples), batch.num_samples)
        audio = torch.nn.functional.pad(audio, (0, batch.audio.shape[-1] - audio.shape[-1]))
        total, count = total + float(mel_distance(audio, batch.audio, model.sample_rate_hz).sum()), count + len(batch)
    return total / count


def main() -> None:
    """Train and score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--tasks", default="reconstruction,intelligibility")
    arguments = parser.parse_args()
    manifest = ten_utterances(arguments.out)
    train(manifest, arguments.out, arguments.steps, arguments.settings)
    weights = arguments.out / "weights" / "last.safetensors"
    print(
        f"mel distance on the ten utterances after {arguments.steps} steps: {memorised(weights, manifest):.3f} nepers"
    )
    call = [sys.executable, "-m", "codecbench", "run", "--codecs", "lmspt:mini-12.5hz,lmspt:mini-12.5hz/semantic-aux"]
    call += ["--set", f"lmspt.weights={weights}", "--corpus", str(manifest), "--tasks", arguments.tasks]
    subprocess.run([*call, "--out", str(arguments.out / "scores")], check=False)


if __name__ == "__main__":
    main()
