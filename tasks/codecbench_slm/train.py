"""The training loop of a speech language model, from top to bottom.

Everything random is keyed by seed and step, losses are divided by counts of the global batch and gradients are summed
over ranks: ranks, micro-batches and restarts change nothing. The budget is the same for every codec by construction:
which utterances come in which step does not depend on the codec.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from accelerate import Accelerator

from codecbench.errors import UsageError
from codecbench_slm.config import SlmConfig
from codecbench_slm.dataset import Dataset, Steps, dev_batches, open_dataset
from codecbench_slm.encoding import Workplace
from codecbench_slm.model import Nll, SpeechLM, make_model
from codecbench_slm.sequences import Batch
from codecbench_slm.trained import BACKBONE, BEST, CONFIG, FACTS, WEIGHTS, TrainingFacts, write_weights
from codecbench_train.checkpoints import Checkpoints, Progress, RunState
from codecbench_train.optimizers import adamw, clip, learning_rate, set_learning_rate
from codecbench_train.ranks import ranks, sum_gradients, sum_over_ranks
from codecbench_train.stopping import StopRequest, TrainingStopped
from codecbench_train.telemetry import Display
from codecbench_train.toml import dump

#: More codebooks than this make a line of losses that nobody reads.
SHOWN_BOOKS = 16


@dataclass
class Run:
    """One training run: its parts, made once, and its state, which checkpoints carry."""

    config: SlmConfig
    out: Path
    accelerator: Accelerator
    dataset: Dataset
    model: SpeechLM
    optimizer: torch.optim.Optimizer
    checkpoints: Checkpoints
    progress: Progress = field(default_factory=Progress)

    @property
    def device(self) -> torch.device:
        """Where this rank computes."""
        return self.accelerator.device

    @property
    def finished(self) -> bool:
        """Whether the last step was taken."""
        return self.progress.step >= self.config.steps

    def state(self) -> RunState:
        """What a checkpoint stores."""
        return RunState({"model": self.model}, {"optimizer": self.optimizer}, self.progress)

    def autocast(self) -> AbstractContextManager[object]:
        """bfloat16 for matrix products where asked for; weights and losses stay in float32."""
        bf16 = self.config.precision == "bf16"
        return torch.autocast(self.device.type, torch.bfloat16) if bf16 else nullcontext()


@dataclass(frozen=True)
class Losses:
    """Mean nats of a text id and of a code in each book; NaN where there was none."""

    text: float
    speech: tuple[float, ...]

    @property
    def score(self) -> float:
        """What training minimises."""
        return sum(part for part in (self.text, sum(self.speech) / len(self.speech)) if not math.isnan(part))

    @classmethod
    def of(cls, parts: Sequence[Nll]) -> Losses:
        """Means over everything in ``parts``."""
        text, count = sum(float(n.text) for n in parts), sum(int(n.text_count) for n in parts)
        speech = torch.stack([n.speech.detach().double().cpu() for n in parts]).sum(0)
        counts = torch.stack([n.speech_count.cpu() for n in parts]).sum(0)
        return cls(text / count if count else math.nan, tuple((speech / counts).tolist()))

    def __str__(self) -> str:
        books = " ".join(f"{value:.3f}" for value in self.speech[:SHOWN_BOOKS])
        if len(self.speech) > SHOWN_BOOKS:
            books += f" … (mean of {len(self.speech)}: {sum(self.speech) / len(self.speech):.3f})"
        return f"text {self.text:.3f}  speech {books} nats"


def train_step(run: Run, step: int, parts: Sequence[Batch]) -> list[Nll]:
    """One optimizer step. Raises ``TrainingStopped`` where the gradient is not finite."""
    config = run.config.optimizer
    set_learning_rate(run.optimizer, learning_rate(config, step, run.config.steps))
    run.model.train()
    run.optimizer.zero_grad(set_to_none=True)
    text_count, speech_count = _global_counts(run, parts)
    seen = []
    for batch in parts:
        with run.autocast():
            nll = run.model(batch.to(run.device))
        loss = nll.text / text_count + (nll.speech / speech_count).sum() / run.model.num_codebooks
        loss.backward()
        seen.append(Nll(nll.text.detach(), nll.text_count, nll.speech.detach(), nll.speech_count))
    sum_gradients(run.model.parameters())
    norm = clip(run.model, config)
    if not bool(torch.isfinite(norm)):
        raise TrainingStopped(
            f"step {step}: the gradient is not finite; lower optimizer.peak and continue with --resume"
        )
    run.optimizer.step()
    return seen


def _global_counts(run: Run, parts: Sequence[Batch]) -> tuple[torch.Tensor, torch.Tensor]:
    """Predictions of text and in each book over all ranks and micro-batches, at least 1."""
    sizes = torch.tensor(run.model.codebook_sizes)
    text, speech = torch.zeros(1), torch.zeros(len(sizes))
    for batch in parts:
        is_speech = batch.predicted & (batch.kind == 2)
        text += (batch.predicted & (batch.kind == 1)).sum()
        codes = batch.items[is_speech]
        speech += (codes < sizes).sum(0)
        speech[0] += (codes[:, 0] == sizes[0]).sum()  # the ends, which only the first book predicts
    counts = sum_over_ranks(torch.cat([text, speech]).to(run.device)).clamp_min(1)
    return counts[0], counts[1:]


def set_up(config: SlmConfig, out: Path, place: Workplace) -> Run:
    """Make every part of a run. Raises ``UsageError`` or ``Unavailable`` for what cannot be had."""
    accelerator = Accelerator(cpu=not torch.accelerator.is_available())
    config.check(accelerator.num_processes)
    with accelerator.main_process_first():
        dataset = open_dataset(place, config)
    model = make_model(
        config.model, dataset.speech.codebook_sizes, dataset.text.size, len(dataset.speakers), config.seed
    ).to(accelerator.device)
    optimizer = adamw(model, config.optimizer)
    return Run(
        config,
        out,
        accelerator,
        dataset,
        model,
        optimizer,
        Checkpoints(out / "checkpoints", config.log.keep_checkpoints),
    )


def train(config: SlmConfig, out: Path, place: Workplace, *, resume: bool, minutes: float | None = None) -> Run:
    """Train to the last step, or until a signal or ``minutes`` ask for a stop; then save.

    Raises:
        UsageError: where ``resume`` finds other data than the run began with.
        TrainingStopped, CheckpointError: as for codecs.
    """
    run = set_up(config, out, place)
    if resume:
        _require_same_data(run)
        state = run.state()
        run.checkpoints.load_last(state)
        run.progress = state.progress
    main = run.accelerator.is_main_process
    if main:
        _write_facts(run)
    display = Display(out, config.steps, run.progress.step, config.log.tensorboard, 0.0) if main else None
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        if display:
            display.say(_announcement(run))
        _loop(run, display, StopRequest(minutes))
    finally:
        # A request to stop is meant for training alone: what comes after it in this process stops as ever.
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if display:
            display.close()
    return run


def _loop(run: Run, display: Display | None, stop: StopRequest) -> None:
    config, steps = run.config, Steps(run.dataset, run.config, run.accelerator.process_index, ranks())
    dev = dev_batches(run.dataset, config, config.generation.batch_size)
    seen: list[Nll] = []
    clock = logged = time.perf_counter()
    while not run.finished:
        step = run.progress.step
        parts = steps.parts(step)
        seen += train_step(run, step, parts)
        audio_s = float(sum_over_ranks(torch.tensor(sum(p.audio_s for p in parts), device=run.device)))
        run.progress.step, run.progress.samples = step + 1, run.progress.samples + config.batch_size
        run.progress.audio_s, now = run.progress.audio_s + audio_s, time.perf_counter()
        run.progress.wall_s, clock = run.progress.wall_s + now - clock, now
        if display:
            display.tick(run.progress.step)
        log_now = _due(run, config.log.every_steps)
        if log_now:
            if display:
                _log(run, display, Losses.of(seen), len(seen) / len(parts) / (now - logged))
            seen, logged = [], now
        if dev and _due(run, config.log.validate_every_steps):
            _validate(run, dev, display)
        stopping = stop.agreed(run.device, may_ask_others=log_now)
        if stopping or _due(run, config.log.save_every_steps):
            _save(run)
        if stopping and not run.finished:
            if display:
                display.say(f"stopped at step {run.progress.step} as asked; continue with --resume")
            return
    _finish(run)


def _due(run: Run, every: int) -> bool:
    return every > 0 and (run.progress.step % every == 0 or run.finished)


def _log(run: Run, display: Display, losses: Losses, steps_per_s: float) -> None:
    step = run.progress.step
    left = (run.config.steps - step) / max(steps_per_s, 1e-9) / 60
    display.say(f"step {step}/{run.config.steps}  {losses}  |  {steps_per_s:.2f} steps/s  left {left:.1f} min")
    display.scalars(step, {"loss/text": losses.text} | {f"loss/book_{k}": v for k, v in enumerate(losses.speech)})


@torch.no_grad()
def _validate(run: Run, dev: Sequence[Batch], display: Display | None) -> None:
    """Measure the held-out loss (every rank the same) and keep the best weights."""
    run.model.eval()
    losses = Losses.of([run.model(batch.to(run.device)) for batch in dev])
    if losses.score < run.progress.best_score:
        run.progress.best_step, run.progress.best_score = run.progress.step, losses.score
        if display:
            write_weights(run.model, run.out / BEST)
    if display:
        display.say(f"step {run.progress.step}  dev {losses}  (best {run.progress.best_score:.3f})")
        display.scalars(run.progress.step, {"dev/text": losses.text, "dev/score": losses.score})


def _save(run: Run) -> None:
    if run.accelerator.is_main_process:
        run.checkpoints.save(run.state())
    run.accelerator.wait_for_everyone()


def _finish(run: Run) -> None:
    """Write the weights to be judged: the best on the held-out loss, or the last where nothing is held out."""
    if run.accelerator.is_main_process:
        _write_facts(run)
        if (run.out / BEST).is_file():
            (run.out / BEST).replace(run.out / WEIGHTS)
        elif run.progress.best_step < 0:
            write_weights(run.model, run.out / WEIGHTS)
    run.accelerator.wait_for_everyone()


def _write_facts(run: Run) -> None:
    run.out.mkdir(parents=True, exist_ok=True)
    (run.out / CONFIG).write_text(dump(run.config), encoding="utf-8")
    run.dataset.speech.save(run.out)
    run.dataset.text.save(run.out)
    run.model.backbone.config.save_pretrained(str(run.out / BACKBONE))
    _facts(run).save(run.out)


def _facts(run: Run) -> TrainingFacts:
    data, progress = run.dataset, run.progress
    size = sum(p.numel() for p in run.model.parameters())
    facts = TrainingFacts(
        data.identity, data.speakers, size, len(data.train), data.hours, data.text.eos_id, data.text.size
    )
    return replace(facts, steps=progress.step, audio_s=progress.audio_s, best_step=progress.best_step)


def _require_same_data(run: Run) -> None:
    if (run.out / FACTS).is_file() and TrainingFacts.load(run.out).dataset != run.dataset.identity:
        raise UsageError(
            f"--resume: the data of {run.out} have changed since the run began (utterances, texts, or the codec's "
            "tokens); put them back, or begin anew with another --out"
        )


def _announcement(run: Run) -> str:
    facts, speech = _facts(run), run.dataset.speech
    books = ", ".join(map(str, speech.codebook_sizes))
    return (
        f"{speech.codec}: {speech.frame_rate_hz:g} Hz, codebooks of {books}; {facts.parameters / 1e6:.2f} M, "
        f"{run.dataset.text.size} text ids; {facts.train_utterances} utterances, {facts.train_hours:.2f} h, "
        f"{len(run.dataset.dev)} for validation; {ranks()} x {run.device.type}, {run.config.precision}; "
        f"step {run.progress.step} of {run.config.steps}"
    )
