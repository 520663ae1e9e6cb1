"""Speed of speech generation by a language model on codec tokens: frames, codes and audio seconds per second.

    python benchmarks/slm_generation.py                        # CPU: no cache, growing cache, static cache
    python benchmarks/slm_generation.py --device cuda --preset qwen-0.5b --batch-sizes 1,16,64

Weights are random (speed does not depend on them) and the end of speech is never drawn, so that every contestant makes
the same places. Contestants take turns; each figure is the least of ``--repeats`` rounds after a warm-up round. Writes
``benchmarks/results/slm_generation_<device>.json``.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from codecbench.hardware import describe_hardware, versions
from codecbench_slm.config import ModelConfig
from codecbench_slm.delay import num_positions
from codecbench_slm.generate import Generator
from codecbench_slm.memory import CacheKind
from codecbench_slm.model import SpeechLM, make_model
from codecbench_slm.sampling import Sampling
from codecbench_slm.sequences import Example, Layout

HERE = Path(__file__).resolve().parent
# The shipped small configuration, and the sizes of the paper's smaller backbone.
PRESETS = {
    "small": ModelConfig(layers=4, width=192, heads=4, feed_forward=768),
    "qwen-0.5b": ModelConfig(layers=24, width=896, heads=14, feed_forward=4864),
}
TEXT_IDS, PROMPT_IDS = 100, 60


@dataclass(frozen=True)
class Row:
    """One contestant: seconds for the whole batch, and what they amount to; ``ratio``: speed over that of no cache."""

    cache: str
    batch_size: int
    seconds: float
    places_per_s: float
    codes_per_s: float
    audio_s_per_s: float
    ratio: float | None = None


def endless(model: SpeechLM) -> SpeechLM:
    """Make the end of speech impossible: its row of the first head is far from any hidden state."""
    original = model.speech_logits

    def without_end(hidden: torch.Tensor) -> list[torch.Tensor]:
        first, *others = original(hidden)
        return [torch.cat([first[..., :-1], torch.full_like(first[..., -1:], -1e9)], -1), *others]

    model.speech_logits = without_end  # type: ignore[method-assign]
    return model


def seconds_of(model: SpeechLM, cache: CacheKind, batch_size: int, frames: int, seed: int) -> float:
    """Time one batch."""
    random = np.random.default_rng(0)
    sizes = model.codebook_sizes
    codes = np.zeros((len(sizes), 1), np.int64)
    texts = random.integers(2, TEXT_IDS, (batch_size, PROMPT_IDS))
    prompts = [Layout(sizes, 0).prompt(Example("u", text, codes, 1.0), "tts") for text in texts]
    ids = [f"u{n}" for n in range(batch_size)]
    start = time.perf_counter()
    made = Generator(model, 0, batch_size, cache).speech(prompts, ids, frames, Sampling(0.8, 50), seed)
    if model.control.weight.is_cuda:
        torch.cuda.synchronize()
    assert all(row.shape[1] >= frames and not ended for row, ended in made)
    return time.perf_counter() - start


def measure(
    model: SpeechLM, caches: list[CacheKind], batch_size: int, frames: int, rate_hz: float, repeats: int
) -> list[Row]:
    """Time the contestants in turns at one batch size."""
    best = dict.fromkeys(caches, float("inf"))
    for turn in range(repeats + 1):
        for cache in caches:
            taken = seconds_of(model, cache, batch_size, frames, turn)
            if turn:
                best[cache] = min(best[cache], taken)
    places = num_positions(frames, model.num_codebooks) * batch_size
    rows = [
        Row(
            cache,
            batch_size,
            seconds,
            places / seconds,
            frames * batch_size * model.num_codebooks / seconds,
            frames * batch_size / rate_hz / seconds,
        )
        for cache, seconds in best.items()
    ]
    plain = best.get("none")
    return [replace(row, ratio=plain / row.seconds if plain else None) for row in rows]


def main() -> None:
    """Measure, print the table and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--preset", choices=PRESETS, default="small")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--batch-sizes", default="1,8")
    parser.add_argument("--codebooks", default="1024,1024,1024,1024", help="sizes, first the semantic one")
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--frame-rate-hz", type=float, default=12.5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--caches", default="", help="by commas; all that the device has if not given")
    options = parser.parse_args()
    on_gpu = options.device.startswith("cuda")
    everything: list[CacheKind] = ["none", "dynamic", "static"]
    if on_gpu:
        everything.append("graph")
    caches: list[CacheKind] = options.caches.split(",") if options.caches else everything
    sizes = tuple(int(size) for size in options.codebooks.split(","))
    dtype = torch.bfloat16 if options.precision == "bf16" else torch.float32
    model = endless(make_model(PRESETS[options.preset], sizes, TEXT_IDS, 0, 0).to(options.device, dtype).eval())
    rows = []
    for batch_size in (int(size) for size in options.batch_sizes.split(",")):
        rows += measure(model, caches, batch_size, options.frames, options.frame_rate_hz, options.repeats)
    print(f"{'cache':8} {'batch':>5} {'seconds':>8} {'places/s':>9} {'codes/s':>9} {'audio-s/s':>9} {'ratio':>6}")
    for row in rows:
        ratio = f"{row.ratio:6.2f}" if row.ratio else "     –"
        print(
            f"{row.cache:8} {row.batch_size:5} {row.seconds:8.3f} {row.places_per_s:9.0f} {row.codes_per_s:9.0f} "
            f"{row.audio_s_per_s:9.2f} {ratio}"
        )
    target = HERE / "results" / f"slm_generation_{options.device.replace(':', '-')}.json"
    target.parent.mkdir(exist_ok=True)
    report = {
        "options": vars(options),
        "parameters": sum(p.numel() for p in model.parameters()),
        "threads": torch.get_num_threads(),
        "rows": [asdict(row) for row in rows],
        "hardware": describe_hardware(options.device),
        "versions": versions(),
    }
    target.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(target)


if __name__ == "__main__":
    main()
