"""What harmonics are worth: envelopes of original speech with and without the best comb, no model and no quantizer.

    python benchmarks/lmspt_harmonics.py --data data/training/dev.jsonl --limit 8

Four ways to keep less than the magnitudes of an utterance (windows of 40 ms, hop 10 ms), each made audible by the
phases that LM-SPT's ``mini`` decoders find: all magnitudes; their energies in mel bands over two frames; the same with
the harmonics of the most salient pitch put in, as deep in each of eight bands as fits best; and these without keeping
the energies of the bands. Writes ``benchmarks/results/lmspt_harmonics.json``: means over utterances.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from codecbench_lmspt.convnext import LogSpectrogram
from codecbench_lmspt.flow import Flow
from codecbench_lmspt.harmonics import DEPTH_BANDS, ENVELOPE_BANDS, HarmonicComb, comb_templates, envelope
from codecbench_lmspt.inverse_stft import InverseStft
from codecbench_lmspt.linear_path import mel_hats
from codecbench_reconstruction.models import DistillMosScorer
from codecbench_reconstruction.perceptual import pesq, stoi
from codecbench_train.corpus import spread
from codecbench_train.data.crops import read_crop
from codecbench_train.data.entries import list_source

RESULT = Path(__file__).resolve().parent / "results" / "lmspt_harmonics.json"
RATE_HZ, FFT, HOP, BINS, CANDIDATES, BANDS, FRAMES = 16_000, 640, 160, 321, 192, 40, 2


class Kept:
    """Turns an utterance into the log-magnitudes of each contestant."""

    def __init__(self) -> None:
        self.comb = HarmonicComb(1, BINS, CANDIDATES, RATE_HZ)
        self.templates = comb_templates(BINS, CANDIDATES, RATE_HZ)
        self.bands, self.depths = mel_hats(BINS, BANDS, RATE_HZ), mel_hats(BINS, DEPTH_BANDS, RATE_HZ)
        self.fine = mel_hats(BINS, ENVELOPE_BANDS, RATE_HZ)

    def smooth(self, levels: Tensor) -> Tensor:
        """Energies in mel bands, averaged over two frames and interpolated."""
        energy = (2 * levels).exp() @ (self.bands / self.bands.sum(dim=0))
        blocks = (0.5 * energy.log()).unflatten(0, (-1, FRAMES)).mean(dim=1)
        return F.interpolate(blocks.T[None], scale_factor=FRAMES, mode="linear")[0].T @ self.bands.T

    def __call__(self, levels: Tensor) -> dict[str, Tensor]:
        """``levels[F, BINS]``: natural logarithms of magnitudes, relative to a full-scale sine."""
        smooth = self.smooth(levels)
        comb = self.templates[self.comb.salience(levels).argmax(dim=-1)]
        rest = levels - smooth
        rest = rest - envelope(rest, self.fine)
        depth = ((rest * comb) @ self.depths / ((comb * comb) @ self.depths).clamp_min(1e-6)).clamp(0, 1.2)
        shaped = smooth + (depth @ self.depths.T) * comb
        kept = self.comb.level(shaped, smooth)
        return {"magnitudes": levels, "bands": smooth, "bands and harmonics": kept, "harmonics, energies free": shaped}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a manifest")
    parser.add_argument("--limit", type=int, default=8)
    arguments = parser.parse_args()
    features, head = LogSpectrogram(FFT, HOP), InverseStft(BINS, FFT, HOP, phase_iterations=16, period=8).eval()
    head.out.weight.data.copy_(torch.eye(BINS))
    head.out.bias.data.zero_()
    kept, mos, scores = Kept(), DistillMosScorer(), defaultdict(list)
    for entry in spread(list_source(arguments.data).entries, arguments.limit):
        audio = torch.from_numpy(read_crop(entry, 0.0, 30.0, RATE_HZ).audio)
        audio = audio[: len(audio) // (FRAMES * HOP) * FRAMES * HOP]
        with torch.inference_mode():
            levels = features.log_magnitude(features(audio[None, None], Flow()))[0].T
            for name, chosen in kept(levels).items():
                made = head((chosen + np.log(head.full_scale)).T[None], Flow())[0, 0]
                pair = audio.numpy(), made.numpy()
                scores[name].append((pesq(*pair, "wb"), stoi(*pair, extended=False), mos.predict(pair[1])))
    rows = {
        name: dict(zip(("pesq_wb", "stoi", "distillmos"), np.mean(values, axis=0).round(3).tolist(), strict=True))
        for name, values in scores.items()
    }
    RESULT.write_text(json.dumps({"utterances": arguments.limit, "rows": rows}, indent=1) + "\n", "utf-8")
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
