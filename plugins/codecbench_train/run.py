"""A run and its making: every part, the state that checkpoints carry, and the stream of batches."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import torch
from accelerate import Accelerator

from codecbench.errors import UsageError
from codecbench_train import checkpoints
from codecbench_train.checkpoints import Checkpoints, Progress, RunState
from codecbench_train.config import COMPILED_DEVICES, TrainConfig
from codecbench_train.corpus import TrainingCorpus, open_corpus
from codecbench_train.data.loader import CropDataset, StepSampler, TrainingBatch, training_loader
from codecbench_train.discriminators import Discriminators
from codecbench_train.models import build_model
from codecbench_train.objective import Objective
from codecbench_train.optimizers import adamw
from codecbench_train.ranks import ranks
from codecbench_train.teacher import Teacher, load_teacher
from codecbench_train.telemetry import Meter
from codecbench_train.trainable import TrainableModule

DTYPES = {"fp32": torch.float32, "bf16": torch.float32, "fp64": torch.float64}


@dataclass
class Run:
    """One training run: its parts, made once, and its state, which checkpoints carry."""

    config: TrainConfig
    out: Path
    accelerator: Accelerator
    model: TrainableModule
    average: TrainableModule | None
    discriminators: Discriminators
    objective: Objective
    generator_optimizer: torch.optim.Optimizer
    discriminator_optimizer: torch.optim.Optimizer
    corpus: TrainingCorpus
    checkpoints: Checkpoints
    anew: tuple[str, ...] = ()
    progress: Progress = field(default_factory=Progress)
    meter: Meter = field(default_factory=Meter)

    @property
    def device(self) -> torch.device:
        """Where this rank computes."""
        return self.accelerator.device

    @property
    def best_model(self) -> TrainableModule:
        """What is validated and exported: the moving average where there is one."""
        return self.model if self.average is None else self.average

    def state(self) -> RunState:
        """What a checkpoint stores; filling it changes this run."""
        optimizers = {"generator": self.generator_optimizer, "discriminator": self.discriminator_optimizer}
        modules: dict[str, torch.nn.Module] = {"model": self.model, "discriminators": self.discriminators}
        if self.average is not None:
            modules["average"] = self.average
        return RunState(modules, optimizers, self.progress)

    def autocast(self) -> AbstractContextManager[object]:
        """bfloat16 for matrix products and convolutions where asked for."""
        if self.config.precision != "bf16":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)


def set_up(config: TrainConfig, out: Path, start_from: Path | None = None) -> Run:
    """Make every part of a run. Raises ``UsageError`` or ``Unavailable`` for what cannot be had."""
    # Told nothing, accelerate leaves several CPU ranks as strangers to each other.
    accelerator = Accelerator(cpu=not torch.accelerator.is_available())
    config.check(accelerator.num_processes)
    if accelerator.device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    corpus = open_corpus(config.data, config.seed)
    dtype, device = DTYPES[config.precision], accelerator.device
    model = build_model(config.model, config.seed)
    anew = () if start_from is None else take_weights(start_from, model)
    teacher = None
    if config.distillation.kind != "none":
        teacher = load_teacher(config.teacher.source, getattr(torch, config.teacher.dtype))
        teacher = teacher.to(dtype) if config.precision == "fp64" else teacher
    sizes = config.discriminators
    discriminators = Discriminators(
        sizes.periods, sizes.period_channels, sizes.stft_windows, sizes.stft_channels, sizes.magnitude_channels
    )
    discriminators.to(device, dtype)
    model.to(device, dtype)
    objective = Objective(config, model.sample_rate_hz, teacher).to(device)
    objective.mel.to(dtype)
    objective.semantic_mel.to(dtype)
    average = copy.deepcopy(model).requires_grad_(False) if config.ema_decay else None
    if config.compile == "on" or (config.compile == "auto" and device.type in COMPILED_DEVICES):
        compile_parts(model, discriminators, teacher)
    return Run(
        config, out, accelerator, model, average, discriminators, objective,
        generator_optimizer=adamw(model, config.generator, model.no_decay_parameter_names()),
        discriminator_optimizer=adamw(discriminators, config.discriminator),
        corpus=corpus,
        checkpoints=Checkpoints(out / "checkpoints", config.log.keep_checkpoints),
        anew=anew,
    )  # fmt: skip


def take_weights(source: Path, model: TrainableModule) -> tuple[str, ...]:
    """Begin with the weights in ``source``; returns the names of those that start anew. Raises ``UsageError``."""
    anew = model.take_weights(checkpoints.start_weights(source))
    if 2 * len(anew) > len(model.state_dict()):
        raise UsageError(f"--start-from {source}: of another model; {len(anew)} weights do not fit, first {anew[0]}")
    return tuple(anew)


def compile_parts(
    model: TrainableModule, discriminators: Discriminators, teacher: Teacher | None, backend: str = "inductor"
) -> None:
    """Have torch.compile translate what a step spends its time on; names of weights stay, copies are not compiled.

    Searches, draws and losses stay as they are: they branch on data and cost little.
    """
    for part in [*model.compilable_parts(), discriminators, *([teacher] if teacher else [])]:
        part.compile(backend=backend)


def batches_of(run: Run) -> Iterator[list[TrainingBatch]]:
    """The micro-batches of each optimizer step from the current one on."""
    data, rate = run.config.data, run.model.sample_rate_hz
    dataset = CropDataset(run.corpus.mixture, round(data.segment_s * rate), rate, run.config.seed, data.augment)
    sampler = StepSampler(
        data.batch_size, run.config.micro_batches, run.accelerator.process_index, ranks(), run.progress.step,
        run.config.steps,
    )  # fmt: skip
    loader = iter(training_loader(dataset, sampler, data.workers, pin=run.device.type == "cuda"))
    dtype = DTYPES[run.config.precision]
    while True:
        start, parts = time.perf_counter(), []
        for _ in range(run.config.micro_batches):
            batch = next(loader, None)
            if batch is None:
                return
            parts.append(batch.to(run.device, dtype))
        run.meter.wait_s += time.perf_counter() - start
        yield parts
