"""How evenly the LM-SPT weights that ship use their codebooks, over at least 50 frames for each entry.

    python benchmarks/lmspt_codebooks.py --data data/training/*.jsonl --out docs/results/lmspt/codebooks.json

Encodes training and dev speech and writes the normalised entropy of every codebook (the plug-in estimate over log2 of
the size: too low, never too high, for few frames) and the share of entries in use. Where the speech is too little, it
is encoded again with its start moved by a fraction of a frame, which cuts it into other frames: the passes are stated.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from codecbench.hardware import describe_hardware
from codecbench_lmspt import LMSPT
from codecbench_token_rate.entropy import plug_in_entropy_bits
from codecbench_train.data.crops import read_crop
from codecbench_train.data.entries import Entry, list_source

PRESETS = ("mini-12.5hz", "mini-25hz", "mini-6.25hz")
FRAMES_PER_ENTRY = 50
SEED = 0
#: Where in its first frame an utterance starts, pass by pass: as far from the earlier ones as can be.
OFFSETS = (0.0, 0.5, 0.25, 0.75)


def passes(entries: Sequence[Entry]) -> Iterator[tuple[Entry, float]]:
    """Every utterance in a random order (so that a part of them is a fair part), once for each offset."""
    order = list(entries)
    random.Random(SEED).shuffle(order)
    for offset in OFFSETS:
        yield from ((entry, offset) for entry in order)


def count(model: LMSPT, entries: Sequence[Entry]) -> tuple[list[np.ndarray], int, float, float]:
    """Counts of every entry of every codebook; frames, hours of speech and passes that they come from."""
    sizes = model.codebook_sizes
    counts = [np.zeros(size, np.int64) for size in sizes]
    frames, seconds, done = 0, 0.0, 0
    for entry, offset in passes(entries):
        audio = read_crop(entry, 0.0, 60.0, model.sample_rate_hz).audio[round(offset * model.hop_samples) :]
        done += 1
        if len(audio) < model.hop_samples:
            continue
        codes = model.encode(torch.from_numpy(np.ascontiguousarray(audio))[None, None])[0]
        for book, row in zip(counts, codes.numpy(), strict=True):
            book += np.bincount(row, minlength=len(book))
        frames, seconds = frames + codes.shape[1], seconds + len(audio) / model.sample_rate_hz
        if frames >= FRAMES_PER_ENTRY * max(sizes):
            break
    return counts, frames, seconds / 3600, done / len(entries)


def main() -> None:
    """Count and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="manifests")
    parser.add_argument("--presets", nargs="+", default=list(PRESETS), choices=PRESETS)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    entries = [entry for path in arguments.data for entry in list_source(path).entries]
    result: dict[str, object] = {"hardware": describe_hardware("cpu"), "frames_per_entry": FRAMES_PER_ENTRY}
    for preset in arguments.presets:
        model = LMSPT.from_pretrained(preset)
        counts, frames, hours, number = count(model, entries)
        entropy = [round(plug_in_entropy_bits(book) / float(np.log2(len(book))), 3) for book in counts]
        used = [round(float((book > 0).mean()), 3) for book in counts]
        result[preset] = {
            "entries": len(counts[0]), "frames": frames, "hours": round(hours, 2), "passes": round(number, 2),
            "normalised_entropy": entropy, "share_in_use": used,
        }  # fmt: skip
        print(preset, frames, "frames", entropy, flush=True)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
