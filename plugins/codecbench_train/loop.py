"""The training loop, from top to bottom in one file; what it works on is made in ``run.py``.

Order of one optimizer step (as in the released LM-SPT code, with its slips mended, see docs/training.md):

1. forward pass of the generator;
2. discriminator step on the detached reconstruction;
3. generator losses against the updated, frozen discriminators; backward; step;
4. codebooks that learn without gradients move; the moving average of the weights follows.

With gradient accumulation the forward pass of 1 runs once without a graph and once more for 3, so that the result is
that of one large batch. Everything random is keyed by (seed, step, sample index), every loss is divided by counts of
the global batch and gradients are summed over ranks: ranks, micro-batches, workers and restarts change nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from traceback import clear_frames

import torch
from torch import Tensor

from codecbench_train.config import TrainConfig
from codecbench_train.data.loader import TrainingBatch
from codecbench_train.discriminators import samples
from codecbench_train.flops import StepFlops
from codecbench_train.losses.adversarial import discriminator_loss
from codecbench_train.objective import Counts, Term
from codecbench_train.optimizers import average_decay, clip, learning_rate, set_learning_rate, update_average
from codecbench_train.ranks import alone, gather_objects, ranks, sum_gradients, sum_over_ranks
from codecbench_train.run import DTYPES, Run, batches_of, set_up
from codecbench_train.scoring import CheckpointScorer
from codecbench_train.stopping import (
    StopRequest,
    TrainingStopped,
    is_out_of_memory,
    largest_that_fits,
    memory_advice,
)
from codecbench_train.telemetry import Display, Meter, measured_matmul_flops
from codecbench_train.toml import dump
from codecbench_train.trainable import TrainingOutput
from codecbench_train.validation import dev_batches, validate

# -- one step --------------------------------------------------------------------------------------------------------


def train_step(run: Run, step: int, batches: Sequence[TrainingBatch]) -> None:
    """One optimizer step of both networks. Raises ``TrainingStopped`` where a gradient is not finite."""
    config = run.config
    set_learning_rate(run.generator_optimizer, learning_rate(config.generator, step, config.steps))
    set_learning_rate(run.discriminator_optimizer, learning_rate(config.discriminator, step, config.steps))
    counts = global_counts(run, batches)
    run.model.train()
    adversarial = step >= config.loss.adversarial_start_step
    kept = forward(run, step, batches[0]) if len(batches) == 1 else None
    if adversarial:
        discriminator_step(run, step, batches, kept, counts)
    generator_step(run, step, batches, kept, counts, adversarial)
    run.model.update_codebooks(step=step, seed=config.seed)
    if run.average is not None:
        update_average(run.average, run.model, average_decay(config.ema_decay, step))


def global_counts(run: Run, batches: Sequence[TrainingBatch]) -> Counts:
    """Utterances and teacher frames of the global batch, known before any forward pass."""
    own = run.objective.count(batches, run.config.distillation.every)
    both = torch.tensor([own.distilled, own.teacher_frames], dtype=torch.float64, device=run.device)
    distilled, frames = sum_over_ranks(both).tolist()
    return Counts(run.config.data.batch_size, int(distilled), frames)


def forward(run: Run, step: int, batch: TrainingBatch) -> TrainingOutput:
    """The generator's forward pass."""
    with run.autocast():
        return run.model.training_forward(
            batch.audio, num_samples=batch.num_samples, step=step, sample_index=batch.sample_index,
            seed=run.config.seed, update_codebooks=False,
        )  # fmt: skip


def discriminator_step(
    run: Run, step: int, batches: Sequence[TrainingBatch], kept: TrainingOutput | None, counts: Counts
) -> None:
    """Train the discriminators on originals and detached reconstructions."""
    run.discriminator_optimizer.zero_grad(set_to_none=True)
    for batch in batches:
        with torch.no_grad():
            real, fake = samples(batch.audio, forward(run, step, batch) if kept is None else kept)
        with run.autocast():
            real_judged, fake_judged = run.discriminators(real), run.discriminators(fake.detached())
            loss = discriminator_loss(real_judged, fake_judged).sum() / counts.utterances
        loss.backward()
        run.meter.add_terms([Term("discriminator", loss, 1.0)])
    finish_step(run, step, batches, run.discriminators, run.discriminator_optimizer, "discriminator")


def generator_step(
    run: Run,
    step: int,
    batches: Sequence[TrainingBatch],
    kept: TrainingOutput | None,
    counts: Counts,
    adversarial: bool,
) -> None:
    """Train the generator against frozen discriminators."""
    run.generator_optimizer.zero_grad(set_to_none=True)
    run.discriminators.requires_grad_(False)
    for batch in batches:
        target = run.objective.teacher_target(batch, run.config.distillation.every)
        output = forward(run, step, batch) if kept is None else kept
        terms = run.objective.terms(output, batch, target, counts)
        terms += run.objective.fading_terms(output, batch, counts, step)
        if adversarial:
            with run.autocast():
                real, fake = samples(batch.audio, output)
                with torch.no_grad():
                    judged = run.discriminators(real)
                terms += run.objective.adversarial_terms(run.discriminators, fake, judged, counts)
        total: Tensor = torch.stack([term.weight * term.value for term in terms]).sum()
        total.backward()
        run.meter.add_terms(terms)
        run.meter.add_usage(output.usage.counts)
    run.discriminators.requires_grad_(True)
    finish_step(run, step, batches, run.model, run.generator_optimizer, "generator")


def finish_step(
    run: Run, step: int, batches: Sequence[TrainingBatch], module: torch.nn.Module, optimizer: torch.optim.Optimizer,
    name: str,
) -> None:  # fmt: skip
    """Sum gradients over ranks, clip, refuse what is not finite, step."""
    sum_gradients(module.parameters())
    settings = run.config.generator if name == "generator" else run.config.discriminator
    norm = clip(module, settings)
    run.meter.add_norm(name, norm)
    if not bool(torch.isfinite(norm)):
        stop_on_nan(run, step, batches, name)
    optimizer.step()


# -- the whole run ---------------------------------------------------------------------------------------------------


def train(
    config: TrainConfig, out: Path, *, resume: bool, minutes: float | None = None, start_from: Path | None = None
) -> Run:
    """Train to the last step, or until a signal or ``minutes`` ask for a stop; then save.

    Raises:
        TrainingStopped: for a loss that is not finite, no memory, or too much corrupt audio.
        CheckpointError: if a checkpoint cannot be written or read.
    """
    run = set_up(config, out, start_from)
    if resume:
        state = run.state()
        run.checkpoints.load_last(state)
        run.progress = state.progress
    main = run.accelerator.is_main_process
    if main:
        out.mkdir(parents=True, exist_ok=True)
        (out / "config.toml").write_text(dump(config), encoding="utf-8")
    peak = measured_matmul_flops(run.device, torch.bfloat16 if config.precision == "bf16" else DTYPES[config.precision])
    display = Display(out, config.steps, run.progress.step, config.log.tensorboard, peak) if main else None
    try:
        if display:
            announce(run, display)
        _loop(run, display, StopRequest(minutes))
    finally:
        if display:
            display.close()
    return run


def _loop(run: Run, display: Display | None, stop: StopRequest) -> None:
    config, dev = run.config, dev_batches(run.corpus.dev, run.config.data.dev_segment_s, run.model.sample_rate_hz)
    seconds, flops = config.data.segment_s * config.data.batch_size, StepFlops()
    scorer = CheckpointScorer(config, run.out) if config.scoring.every_steps and display else None
    run.meter, clock = Meter(), time.perf_counter()
    for batches in batches_of(run):
        step = run.progress.step
        try:
            with flops.counting(step >= config.loss.adversarial_start_step):
                train_step(run, step, batches)
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                stop_on_memory(run, step, batches, error)
            raise
        run.meter.steps, run.meter.audio_s = run.meter.steps + 1, run.meter.audio_s + seconds
        run.meter.flops += flops.per_step
        run.progress.step, run.progress.samples = step + 1, run.progress.samples + config.data.batch_size
        run.progress.skipped += sum(len(b.skipped) for b in batches)
        run.progress.audio_s, now = run.progress.audio_s + seconds, time.perf_counter()
        run.progress.wall_s, clock = run.progress.wall_s + now - clock, now
        log_now = due(run, config.log.every_steps)
        if display:
            display.tick(run.progress.step)
        if log_now:
            log(run, display)
        if dev and due(run, config.log.validate_every_steps):
            run_validation(run, dev, display)
        stopping = stop.agreed(run.device, may_ask_others=log_now)
        if stopping or due(run, config.log.save_every_steps):
            save(run)
        if display and scorer:
            if due(run, config.scoring.every_steps):
                scorer.wait()
            show_scores(run, display, scorer)
            if due(run, config.scoring.every_steps):
                scorer.start(export(run, f"step-{run.progress.step:08d}"), run.progress.step)
        if stopping:
            if display:
                display.say(f"stopped at step {run.progress.step} as asked; continue with --resume")
            break
    if display and scorer:
        scorer.wait()
        show_scores(run, display, scorer)


def due(run: Run, every: int) -> bool:
    """Whether something that happens every so many steps happens now; the last step counts."""
    return every > 0 and (run.progress.step % every == 0 or run.progress.step == run.config.steps)


def log(run: Run, display: Display | None) -> None:
    """Show what happened since the last log line; stop where too much audio was unreadable."""
    report = run.meter.read()
    config, step = run.config, run.progress.step
    rates = {
        "generator": learning_rate(config.generator, step - 1, config.steps),
        "discriminator": learning_rate(config.discriminator, step - 1, config.steps),
    }
    if display:
        display.report(step, report, rates)
    run.meter = Meter()
    skipped = float(sum_over_ranks(torch.tensor(float(run.progress.skipped), device=run.device)))
    drawn = run.progress.samples + skipped
    if skipped > config.data.max_corrupt_share * drawn:
        raise TrainingStopped(
            f"{skipped:.0f} of {drawn:.0f} utterances drawn so far could not be read, more than "
            f"data.max_corrupt_share = {config.data.max_corrupt_share:g}; mend the data or raise the limit"
        )


def run_validation(run: Run, dev: Sequence[TrainingBatch], display: Display | None) -> None:
    """Score the dev set, remember the best, export it. Rank 0 does the work, the others wait."""
    if run.accelerator.is_main_process:
        result = validate(run.best_model, run.objective, dev, run.config.log.audio_examples)
        if result.score < run.progress.best_score:
            run.progress.best_step, run.progress.best_score = run.progress.step, result.score
            export(run, "best")
        if display:
            step = run.progress.step
            display.say(
                f"step {step}  dev: mel distance {result.mel_distance:.4f}  mel {result.mel:.4f}  "
                f"distillation {result.distillation:.4f}  score {result.score:.3f} "
                f"(best {run.progress.best_score:.3f} at {run.progress.best_step})"
            )
            named = {"mel_distance": result.mel_distance, "mel": result.mel, "distillation": result.distillation}
            display.scalars(step, {f"dev/{k}": v for k, v in named.items()} | {"dev/score": result.score})
            for example in result.examples:
                display.audio(step, f"{example.id}/original", example.original, run.model.sample_rate_hz)
                display.audio(step, f"{example.id}/reconstruction", example.reconstruction, run.model.sample_rate_hz)
                if example.semantic is not None:
                    display.audio(step, f"{example.id}/semantic", example.semantic, example.semantic_rate_hz)
    run.progress.best_step, run.progress.best_score = gather_objects(
        (run.progress.best_step, run.progress.best_score)
    )[0]  # fmt: skip


def show_scores(run: Run, display: Display, scorer: CheckpointScorer) -> None:
    """Show the scores of a checkpoint once its scoring run has ended."""
    scores, trouble = scorer.collect()
    if trouble:
        display.say(trouble)
    if scores:
        (run.out / "weights" / f"step-{scores[0].step:08d}.safetensors").unlink(missing_ok=True)
        display.say(f"step {scores[0].step}  " + "  ".join(f"{s.metric} {s.value:.4g}" for s in scores))
        display.scalars(scores[0].step, {f"score/{s.metric}": s.value for s in scores})


def save(run: Run) -> None:
    """Save a checkpoint (rank 0), the weights for inference beside it."""
    if run.accelerator.is_main_process:
        run.checkpoints.save(run.state())
        export(run, "last")
    run.accelerator.wait_for_everyone()


def export(run: Run, name: str) -> Path:
    """Write the inference weights as fp16 safetensors to ``OUT/weights/NAME.safetensors``, whole or not at all."""
    folder = run.out / "weights"
    folder.mkdir(parents=True, exist_ok=True)
    scratch = run.best_model.save_pretrained(folder / f".tmp-{name}.safetensors", torch.float16)
    return scratch.rename(folder / f"{name}.safetensors")


def announce(run: Run, display: Display) -> None:
    """Say what is about to happen."""

    def millions(module: torch.nn.Module) -> str:
        return f"{sum(p.numel() for p in module.parameters()) / 1e6:.2f} M"

    display.say(
        f"{run.config.model.name}:{run.config.model.preset}, {millions(run.model)} parameters; discriminators "
        f"{millions(run.discriminators)}; {run.corpus.hours:.2f} h to train on, {len(run.corpus.dev)} dev utterances; "
        f"{ranks()} x {run.device.type}, {run.config.precision}; step {run.progress.step} of {run.config.steps}"
    )
    if run.anew:
        display.say(f"start anew, since they do not fit: {len(run.anew)} weights ({', '.join(run.anew[:5])})")
    if run.corpus.unreadable:
        display.say(f"left out as unreadable: {len(run.corpus.unreadable)} ({', '.join(run.corpus.unreadable[:5])})")


# -- stopping on trouble ----------------------------------------------------------------------------------------------


def stop_on_nan(run: Run, step: int, batches: Sequence[TrainingBatch], name: str) -> None:
    """Save the state as it is before the bad step and say which utterances were in it."""
    ids = [i for part in gather_objects([i for b in batches for i in b.ids]) for i in part]
    folder = run.out / "checkpoints" / f"failed-{step:08d}"
    if run.accelerator.is_main_process:
        run.checkpoints.save(run.state(), folder.name)
        (folder / "utterances.txt").write_text("\n".join(ids) + "\n", encoding="utf-8")
    raise TrainingStopped(
        f"step {step}: the {name}'s gradient is not finite; utterances: {', '.join(ids[:8])}"
        f"{', ...' if len(ids) > 8 else ''}. The state before the step and all ids are in {folder}. Look at those "
        f"utterances, or lower {name}.peak, then continue with --resume"
    )


def stop_on_memory(run: Run, step: int, batches: Sequence[TrainingBatch], error: BaseException) -> None:
    """Find out by trying how large a batch fits, and say so.

    The trial steps change weights, which are not saved. Each rank without memory tries by itself and talks to nobody.
    """
    size = len(batches[0])
    clear_frames(error.__traceback__)  # they hold the tensors of the step that failed
    run.generator_optimizer.zero_grad(set_to_none=True)
    run.discriminator_optimizer.zero_grad(set_to_none=True)

    def attempt(rows: int) -> None:
        run.discriminators.requires_grad_(True)  # the failure may have come while they were frozen
        part = TrainingBatch(
            batches[0].audio[:rows], batches[0].num_samples[:rows], batches[0].sample_index[:rows],
            batches[0].ids[:rows], (),
        )  # fmt: skip
        adversarial = step >= run.config.loss.adversarial_start_step
        counts = run.objective.count([part], run.config.distillation.every)
        output = forward(run, step, part)
        if adversarial:
            discriminator_step(run, step, [part], output, counts)
        generator_step(run, step, [part], output, counts, adversarial)

    with alone():
        fits = largest_that_fits(size, attempt)
    advice = memory_advice(fits, run.config.data.batch_size, ranks())
    raise TrainingStopped(f"step {step}: out of memory with {size} utterances at once on a device; {advice}") from error
