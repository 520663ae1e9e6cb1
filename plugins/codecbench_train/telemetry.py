"""What a run shows: losses, codebook health, throughput; as log lines, a progress bar and TensorBoard."""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from codecbench_train.objective import Term
from codecbench_train.ranks import ranks, sum_over_ranks

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class BookHealth:
    """Use of one codebook since the last log line: perplexity, its share of log2(size), and entries never chosen."""

    perplexity: float
    normalised_entropy: float
    unused: int


def book_health(counts: Tensor) -> BookHealth:
    """Health of one codebook from how often each entry was chosen, ``counts[N]``."""
    p = counts.double() / counts.sum().clamp_min(1)
    entropy = abs(float((p * p.clamp_min(1e-300).log()).sum()))
    return BookHealth(math.exp(entropy), entropy / math.log(len(counts)), int((counts == 0).sum()))


@dataclass
class Meter:
    """Sums since the last log line; nothing in it waits for the device until it is read."""

    losses: dict[str, Tensor] = field(default_factory=dict)
    norms: dict[str, Tensor] = field(default_factory=dict)
    usage: list[Tensor] = field(default_factory=list)
    steps: int = 0
    wait_s: float = 0.0
    audio_s: float = 0.0
    flops: float = 0.0
    started: float = field(default_factory=time.perf_counter)

    def add_terms(self, terms: Iterable[Term]) -> None:
        """Add one micro-batch's shares of the losses."""
        for term in terms:
            value = term.value.detach()
            self.losses[term.name] = self.losses[term.name] + value if term.name in self.losses else value

    def add_norm(self, name: str, norm: Tensor) -> None:
        """Add one step's gradient norm before clipping."""
        self.norms[name] = self.norms.get(name, torch.zeros_like(norm)) + norm

    def add_usage(self, counts: Sequence[Tensor]) -> None:
        """Add one micro-batch's codebook histograms."""
        held = [c.detach() for c in counts]
        self.usage = [a + b for a, b in zip(self.usage, held, strict=True)] if self.usage else held

    def read(self) -> Report:
        """Totals over all ranks as plain numbers. Every rank must call it."""
        losses: dict[str, float] = {}
        if self.losses:
            stacked = sum_over_ranks(torch.stack([v.double() for v in self.losses.values()])) / max(self.steps, 1)
            losses = dict(zip(self.losses, stacked.tolist(), strict=True))
        books = [book_health(sum_over_ranks(counts)) for counts in self.usage]
        elapsed = time.perf_counter() - self.started
        return Report(
            losses=losses,
            norms={name: float(norm) / max(self.steps, 1) for name, norm in self.norms.items()},
            books=books,
            steps_per_s=self.steps / elapsed,
            audio_s_per_device_s=self.audio_s / ranks() / elapsed,
            data_wait_share=self.wait_s / elapsed,
            peak_memory_gib=peak_memory_gib(),
            flops_per_s=self.flops / elapsed,
        )


@dataclass(frozen=True)
class Report:
    """What one log line says. Throughput is per device; ``data_wait_share`` is rank 0's."""

    losses: Mapping[str, float]
    norms: Mapping[str, float]
    books: Sequence[BookHealth]
    steps_per_s: float
    audio_s_per_device_s: float
    data_wait_share: float
    peak_memory_gib: float
    flops_per_s: float

    def scalars(self, peak_flops_per_s: float) -> dict[str, float]:
        """Every number under its TensorBoard name."""
        values = {f"loss/{name}": value for name, value in self.losses.items()}
        values |= {f"gradient_norm/{name}": value for name, value in self.norms.items()}
        for k, book in enumerate(self.books):
            values[f"codebook_perplexity/{k}"] = book.perplexity
            values[f"codebook_normalised_entropy/{k}"] = book.normalised_entropy
            values[f"codebook_unused/{k}"] = book.unused
        return values | {
            "speed/steps_per_s": self.steps_per_s,
            "speed/audio_s_per_device_s": self.audio_s_per_device_s,
            "speed/data_wait_share": self.data_wait_share,
            "speed/peak_memory_gib": self.peak_memory_gib,
            "speed/model_flop_use": self.flops_per_s / peak_flops_per_s if peak_flops_per_s else 0.0,
        }


def peak_memory_gib() -> float:
    """Peak memory of the GPU, or of this process where there is none."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() / 2**30
    # ru_maxrss is in KiB on Linux, in bytes on macOS.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)


def measured_matmul_flops(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations per second of a large matrix product here: what model-FLOP use is a share of."""
    size = 8192 if device.type == "cuda" else 1024
    a = torch.randn(size, size, device=device, dtype=dtype)
    best = 0.0
    for _ in range(4):
        start = time.perf_counter()
        a @ a
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = max(best, 2 * size**3 / (time.perf_counter() - start))
    return best


class Display:
    """Log lines and, on a terminal, a progress bar with the time left; rank 0 only."""

    def __init__(self, out: Path, steps: int, first_step: int, tensorboard: bool, peak_flops_per_s: float) -> None:
        from rich.console import Console

        self.console: Console = Console(highlight=False, soft_wrap=True)
        self.log = (out / "train.log").open("a", encoding="utf-8")
        self.steps, self.peak = steps, peak_flops_per_s
        self.writer = self._writer(out / "tensorboard", first_step) if tensorboard else None
        self.bar: Any = None
        if self.console.is_terminal:
            self._start_bar(first_step)

    @staticmethod
    def _writer(folder: Path, first_step: int) -> Any:
        from torch.utils.tensorboard import SummaryWriter

        # Events after the checkpoint that a run resumes from are hidden: they happen again.
        return SummaryWriter(str(folder), purge_step=first_step)

    def _start_bar(self, first_step: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        self.bar = Progress(*columns, console=self.console)
        self.bar.start()
        self.task = self.bar.add_task("train", total=self.steps, completed=first_step, note="")

    def say(self, text: str) -> None:
        """Print one line and keep it in ``train.log``."""
        self.console.print(text, markup=False)
        self.log.write(text + "\n")
        self.log.flush()

    def tick(self, step: int) -> None:
        """Move the progress bar."""
        if self.bar is not None:
            self.bar.update(self.task, completed=step)

    def report(self, step: int, report: Report, rates: Mapping[str, float]) -> None:
        """Show one log line."""
        losses = "  ".join(f"{name} {value:.4g}" for name, value in report.losses.items())
        left = (self.steps - step) / max(report.steps_per_s, 1e-9)
        books = " ".join(f"{book.normalised_entropy:.2f}" for book in report.books)
        self.say(
            f"step {step}/{self.steps}  {losses}  |  entropy {books}  |  {report.audio_s_per_device_s:.1f} audio-s/s  "
            f"data wait {report.data_wait_share:.1%}  peak {report.peak_memory_gib:.2f} GiB  "
            f"FLOP use {report.flops_per_s / self.peak if self.peak else 0:.0%}  left {_clock(left)}"
        )
        self.scalars(step, report.scalars(self.peak) | {f"rate/{name}": rate for name, rate in rates.items()})

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write numbers to TensorBoard."""
        if self.writer is not None:
            for name, value in values.items():
                self.writer.add_scalar(name, value, step)
            self.writer.flush()

    def audio(self, step: int, name: str, wave: Tensor, rate_hz: int) -> None:
        """Write one utterance ``[T]`` and the picture of its log spectrogram to TensorBoard."""
        if self.writer is not None:
            wave = wave.detach().float().cpu().clamp(-1, 1)
            self.writer.add_audio(name, wave[None], step, sample_rate=rate_hz)
            self.writer.add_image(f"{name}/spectrogram", spectrogram_picture(wave), step, dataformats="HW")

    def close(self) -> None:
        """Stop the bar and write everything out."""
        if self.bar is not None:
            self.bar.stop()
        if self.writer is not None:
            self.writer.close()
        self.log.close()


def spectrogram_picture(wave: Tensor) -> Tensor:
    """Log-magnitude STFT of ``wave[T]`` as an 8-bit picture ``[257, frames]``, low frequencies below, 80 dB."""
    magnitude = torch.stft(wave, 512, 128, window=torch.hann_window(512), return_complex=True).abs()
    decibels = 20 * magnitude.clamp_min(1e-5).log10()
    scaled = (decibels - decibels.max() + 80).clamp(0, 80) / 80
    return (scaled.flip(0) * 255).to(torch.uint8)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
