"""Speed and memory of LM-SPT training, part by part: data, generator, teacher, losses, discriminators, whole step.

    python benchmarks/lmspt_training.py                                        # mini-12.5hz on this CPU
    python benchmarks/lmspt_training.py --config cpu                           # with the CPU's settings
    python benchmarks/lmspt_training.py --preset paper-12.5hz --set teacher.source=offline:base

Anchor: the paper's 8 A100 for about 40 hours over 20 epochs of 960 h are about 60 audio-seconds per GPU-second.
Each part is timed apart on the same batch, the least of ``--repeats`` runs, so the parts need not add up to the step.
Data is the built-in corpus unless ``--data`` says otherwise. Results go to ``benchmarks/results/``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from codecbench.hardware import describe_hardware, versions
from codecbench_train import loop
from codecbench_train.cli import resolve
from codecbench_train.data.loader import TrainingBatch
from codecbench_train.discriminators import Sample, samples
from codecbench_train.loop import Run
from codecbench_train.losses.adversarial import discriminator_loss
from codecbench_train.telemetry import measured_matmul_flops

HERE = Path(__file__).resolve().parent
CORPUS = HERE.parent / "plugins" / "codecbench_corpora" / "data" / "builtin" / "manifest.jsonl"
ANCHOR_AUDIO_S_PER_DEVICE_S = 60.0


@dataclass(frozen=True)
class Part:
    """One part of a step: its time, audio-seconds per second of it alone, its share of the step, its peak memory."""

    name: str
    seconds: float
    audio_s_per_s: float
    share_of_step: float
    peak_memory_gib: float | None
    flop_use: float


class Timer:
    """Times calls on one device; memory is that of CUDA's allocator and None on a CPU."""

    def __init__(self, device: torch.device, repeats: int, audio_s: float, peak_flops: float) -> None:
        self.device, self.repeats, self.audio_s, self.peak_flops = device, repeats, audio_s, peak_flops
        self.found: list[tuple[str, float, float | None, float]] = []

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def measure(self, name: str, call: Callable[[], object]) -> None:
        """Run once to warm up and count operations, then ``repeats`` times."""
        with FlopCounterMode(display=False) as counter:
            call()
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        best = float("inf")
        for _ in range(self.repeats):
            start = self._now()
            call()
            best = min(best, self._now() - start)
        memory = torch.cuda.max_memory_allocated(self.device) / 2**30 if self.device.type == "cuda" else None
        self.found.append((name, best, memory, counter.get_total_flops() / best / self.peak_flops))

    def parts(self) -> list[Part]:
        """What was measured; the last entry is the whole step."""
        step = self.found[-1][1]
        return [Part(n, s, self.audio_s / s, s / step, memory, use) for n, s, memory, use in self.found]


def measure(run: Run, batch: TrainingBatch, timer: Timer) -> None:
    """Time every part of one optimizer step."""
    counts = loop.global_counts(run, [batch])
    objective, judges = run.objective, run.discriminators
    start = run.config.steps - 1  # past the adversarial start and the start of the codebooks

    def fake() -> torch.Tensor:
        return output.reconstruction.detach().clone().requires_grad_()

    def judged() -> tuple[Sample, Sample]:
        real, made = samples(batch.audio, output)
        made = made.detached()
        return real, Sample(made.audio.requires_grad_(), None if made.levels is None else made.levels.requires_grad_())

    def generator() -> None:
        made = loop.forward(run, start, batch)
        total = made.reconstruction.float().square().sum()
        if made.semantic_resynthesis is not None:
            total = total + made.semantic_resynthesis.float().square().sum()
        total.backward()

    def adversarial() -> None:
        real, made = judged()
        with run.autocast(), torch.no_grad():
            known = judges(real)
        with run.autocast():
            terms = objective.adversarial_terms(judges, made, known, counts)
        torch.stack([term.weight * term.value for term in terms]).sum().backward()

    def discriminators() -> None:
        real, made = samples(batch.audio, output)
        with run.autocast():
            loss = discriminator_loss(judges(real), judges(made.detached())).sum()
        loss.backward()

    timer.measure("data: read one batch (no workers)", lambda: next(loop.batches_of(run)))
    run.model.train()
    output = loop.forward(run, start, batch)
    timer.measure("generator: forward and backward", generator)
    timer.measure("mel loss: forward and backward", lambda: objective.mel(fake().float(), batch.audio).sum().backward())
    distill = objective.resynthesis
    if distill is not None:
        target = objective.teacher_target(batch)
        assert target is not None
        timer.measure("teacher: features of the originals", lambda: objective.teacher_target(batch))
        lengths, resynthesis = objective.at_teacher_rate(batch.num_samples), output.semantic_resynthesis
        assert resynthesis is not None
        audio = resynthesis[:, 0].detach().float()
        timer.measure(
            "teacher: distillation, forward and backward",
            lambda: distill(audio.clone().requires_grad_(), lengths, target).sum().backward(),
        )
    timer.measure("discriminators: their own step", discriminators)
    judges.requires_grad_(False)
    timer.measure("discriminators: for the generator", adversarial)
    judges.requires_grad_(True)
    timer.measure("whole step", lambda: loop.train_step(run, start, [batch]))


def table(parts: list[Part]) -> str:
    """The measured parts as text."""
    lines = [f"{'part':46s} {'ms':>9s} {'audio-s/s':>10s} {'of step':>8s} {'FLOP use':>9s} {'peak GiB':>9s}"]
    for p in parts:
        memory = "-" if p.peak_memory_gib is None else f"{p.peak_memory_gib:.2f}"
        rates = f"{p.audio_s_per_s:10.1f} {p.share_of_step:8.1%} {p.flop_use:9.1%}"
        lines.append(f"{p.name:46s} {p.seconds * 1e3:9.1f} {rates} {memory:>9s}")
    return "\n".join(lines)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="mini-12.5hz")
    parser.add_argument("--data", default=str(CORPUS))
    parser.add_argument("--config", action="append", default=[])
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=HERE / "results")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    config = resolve("lmspt", arguments.preset, [arguments.data], arguments.config, arguments.settings, None)
    run = loop.set_up(config, Path(tempfile.mkdtemp()))
    batch = next(loop.batches_of(run))[0]
    precision = torch.bfloat16 if config.precision == "bf16" else torch.float32
    audio_s = len(batch) * config.data.segment_s
    timer = Timer(run.device, arguments.repeats, audio_s, measured_matmul_flops(run.device, precision))
    measure(run, batch, timer)
    parts = timer.parts()
    print(f"{config.model.preset}, batch {len(batch)} x {config.data.segment_s:g} s, {config.precision}, {run.device}")
    print(table(parts))
    print(f"whole step against the anchor of {ANCHOR_AUDIO_S_PER_DEVICE_S:.0f}: "
          f"{parts[-1].audio_s_per_s / ANCHOR_AUDIO_S_PER_DEVICE_S:.2f}")  # fmt: skip
    arguments.out.mkdir(parents=True, exist_ok=True)
    target = arguments.out / f"lmspt_training_{run.device.type}.json"
    result = {
        "preset": config.model.preset, "configs": arguments.config, "settings": arguments.settings,
        "precision": config.precision, "threads": arguments.threads, "hardware": describe_hardware(str(run.device)),
        "versions": versions(), "parts": [asdict(part) for part in parts],
    }  # fmt: skip
    target.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(target)


if __name__ == "__main__":
    main()
