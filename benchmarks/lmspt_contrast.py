"""What contrast and a longer search for phases bring to the decoders that ship: a grid over both.

    python benchmarks/lmspt_contrast.py --data data/training/dev.jsonl --limit 10

The tokens of each utterance are decoded with each pair of ``contrast`` and ``phase_iterations`` of a decoder's spec.
Writes ``benchmarks/results/lmspt_contrast.json``: means over utterances. Weights of another training run, before they
ship: ``--variants mini-6.25hz --weights runs/X/weights/last.safetensors --out runs/X/contrast.json``.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from codecbench_lmspt.decoders import VocosDecoder
from codecbench_lmspt.files import shipped_weights
from codecbench_lmspt.model import LMSPT
from codecbench_reconstruction.models import DistillMosScorer
from codecbench_reconstruction.perceptual import pesq, stoi
from codecbench_train.corpus import spread
from codecbench_train.data.crops import read_crop
from codecbench_train.data.entries import list_source

RESULT = Path(__file__).resolve().parent / "results" / "lmspt_contrast.json"
VARIANTS = ("mini-25hz", "mini-12.5hz", "mini-6.25hz")
RATE_HZ = 16_000
MEASURES = ("pesq_wb", "stoi", "distillmos")


def rows(
    variant: str,
    weights: Path,
    originals: Sequence[np.ndarray],
    grid: Sequence[tuple[float, int]],
    mos: DistillMosScorer,
) -> Iterator[dict[str, object]]:
    """Yield the means of each pair of contrast and iterations."""
    model = LMSPT.from_pretrained(weights)
    assert isinstance(model.decoder, VocosDecoder)
    head, comb = model.decoder.head, model.decoder.comb
    assert comb is not None
    with torch.inference_mode():
        tokens = [model.encode(torch.from_numpy(audio)[None, None]) for audio in originals]
        for contrast, iterations in grid:
            comb.contrast, head.phase_iterations = contrast, iterations
            scores = []
            for audio, codes in zip(originals, tokens, strict=True):
                made = model.decode(codes)[0, 0, : len(audio)].numpy()
                scores.append((pesq(audio, made, "wb"), stoi(audio, made, extended=False), mos.predict(made)))
            means = dict(zip(MEASURES, np.mean(scores, axis=0).round(4).tolist(), strict=True))
            yield {"variant": variant, "contrast": contrast, "phase_iterations": iterations, **means}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a manifest")
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=6.0, help="out of the middle of each utterance")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    parser.add_argument("--contrast", nargs="+", type=float, default=[0.0, 0.2, 0.4, 0.7, 1.0])
    parser.add_argument("--iterations", nargs="+", type=int, default=[32, 64])
    parser.add_argument("--weights", type=Path, help="of the one variant asked for, instead of the shipped ones")
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    if arguments.weights and (len(arguments.variants) != 1 or arguments.out == RESULT):
        parser.error("--weights needs one of --variants, and an --out of its own")
    torch.set_num_threads(1)
    mos, found = DistillMosScorer(), []
    entries = spread(list_source(arguments.data).entries, arguments.limit)
    originals = [read_crop(entry, 0.5, arguments.seconds, RATE_HZ).audio for entry in entries]
    grid = list(itertools.product(arguments.contrast, arguments.iterations))
    for variant in arguments.variants:
        for row in rows(variant, arguments.weights or shipped_weights(variant), originals, grid, mos):
            print(json.dumps(row), flush=True)
            found.append(row)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(
        json.dumps({"utterances": len(originals), "seconds": arguments.seconds, "rows": found}, indent=1) + "\n",
        "utf-8",
    )


if __name__ == "__main__":
    main()
