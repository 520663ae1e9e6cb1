#!/usr/bin/env python3
"""Put the weights of a training run into the package, and what the model card shows of the run beside it.

    python scripts/ship_lmspt_weights.py runs/mini-12.5hz [--which best|last|raw] [--docs docs/results/lmspt]

Writes `plugins/codecbench_lmspt/weights/PRESET.safetensors` (fp16, with the licence that the preset states) and, in the
folder for documents, `PRESET.toml` (the resolved recipe) and `PRESET-losses.png` (losses and dev scores by step); with
`--stage NAME`, for weights that were trained in several stages, `PRESET-NAME.toml` and `PRESET-NAME-losses.png`.
"""

from __future__ import annotations

import argparse
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file

from codecbench_lmspt import weights
from codecbench_lmspt.files import shipped_weights
from codecbench_lmspt.model import LMSPT

ROOT = Path(__file__).resolve().parent.parent
LARGEST_BYTES = 25_500_000
SHOWN = (
    "mel", "magnitude", "pitch", "distillation", "semantic_mel", "semantic_magnitude", "discriminator", "adversarial",
    "feature_matching",
)  # fmt: skip


@dataclass
class Curves:
    """Values by training step: ``train[name]`` means between log lines, ``dev[name]`` of the dev set."""

    train: dict[str, dict[int, float]] = field(default_factory=dict)
    dev: dict[str, dict[int, float]] = field(default_factory=dict)


def read_log(text: str) -> Curves:
    """The curves in a ``train.log``; of steps that were done again after a stop, the last values count."""
    curves = Curves()
    for line in text.splitlines():
        if found := re.match(r"step (\d+)/\d+  (.*?)  \|", line):
            _note(curves.train, int(found[1]), found[2].split("  "))
        elif found := re.match(r"step (\d+)  dev: (.*)", line):
            _note(curves.dev, int(found[1]), found[2].split("  "))
    return curves


def _note(into: dict[str, dict[int, float]], step: int, pairs: list[str]) -> None:
    for pair in pairs:
        if found := re.match(r"(\S.*?) ([-+.\de]+)( \(|$)", pair):
            into.setdefault(found[1], {})[step] = float(found[2])


def draw(curves: Curves, path: Path) -> None:
    """Draw every training loss that is not a quantizer's, and the dev set's mel distance."""
    from matplotlib.figure import Figure

    panels = [(name, curves.train[name], "training") for name in SHOWN if name in curves.train]
    panels += [("mel distance, nepers", curves.dev["mel distance"], "dev")] if "mel distance" in curves.dev else []
    columns = 3
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(3.4 * columns, 2.4 * rows), layout="constrained")
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, (name, values, part) in zip(grid, panels, strict=False):
        steps = sorted(values)
        axes.plot(steps, [values[step] for step in steps], color="#2a6f97" if part == "training" else "#c44536")
        axes.set_title(f"{name} ({part})", fontsize="medium")
        axes.set_xlabel("optimizer step")
        axes.grid(alpha=0.3)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def ship(run: Path, which: str) -> Path:
    """Write the weights into the package; returns their path. Raises ``SystemExit`` where they are too large.

    ``raw``: those of the last checkpoint themselves instead of their moving average.
    """
    model = LMSPT.from_pretrained(run / "weights" / f"{'last' if which == 'raw' else which}.safetensors", fold=False)
    if which == "raw":
        checkpoint = max((run / "checkpoints").glob("step-*"))
        model.load_state_dict(load_file(checkpoint / "model.safetensors"), strict=False)
    path = weights.save(model, shipped_weights(model.spec.name), torch.float16, model.spec.card.licence_weights)
    if path.stat().st_size > LARGEST_BYTES:
        raise SystemExit(f"{path.name} has {path.stat().st_size} bytes, more than the {LARGEST_BYTES} that may ship")
    return path


def main() -> None:
    """Ship the weights and document the run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--which", choices=("best", "last", "raw"), default="best")
    parser.add_argument("--stage", default="", help="which part of a recipe in stages this run was")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs" / "results" / "lmspt")
    arguments = parser.parse_args()
    path = ship(arguments.run, arguments.which)
    name = "-".join(part for part in (path.stem, arguments.stage) if part)
    draw(read_log((arguments.run / "train.log").read_text("utf-8")), arguments.docs / f"{name}-losses.png")
    shutil.copyfile(arguments.run / "config.toml", arguments.docs / f"{name}.toml")
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
