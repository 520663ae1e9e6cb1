"""Where a step runs: translated by torch.compile, on a GPU, and on a device without enough memory."""

from __future__ import annotations

import re
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import training_runs
from accelerate.state import AcceleratorState
from test_train_loop import _one_batch, _run, _steps, _weights
from torch import Tensor

from codecbench_train import loop
from codecbench_train.config import TrainConfig
from codecbench_train.data.loader import TrainingBatch
from codecbench_train.loop import Run
from codecbench_train.run import compile_parts
from codecbench_train.stopping import TrainingStopped, largest_that_fits, memory_advice


@pytest.fixture(scope="session")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_runs.random_teacher(tmp_path_factory.mktemp("whisper"))


# -- torch.compile -----------------------------------------------------------------------------------------------------


def _step_with(config: TrainConfig, out: Path, backend: str | None) -> tuple[Run, dict[str, Tensor]]:
    run = _run(config, out)
    if backend:
        parts = run.model, run.discriminators, run.objective.resynthesis.teacher  # type: ignore[union-attr]
        compile_parts(*parts, backend=backend)
    _steps(run, 2, 1)
    return run, _weights(run)


@pytest.mark.slow
def test_a_traced_step_is_the_plain_step(tmp_path: Path, teacher: Path) -> None:
    """torch.compile's tracing without its code generation, in float64: the graphs compute what the modules say."""
    config = training_runs.config(teacher, "precision=fp64", 'model.overrides=["quantizer.start_step=0"]')
    _, plain = _step_with(config, tmp_path / "plain", None)
    run, traced = _step_with(config, tmp_path / "traced", "aot_eager")
    assert plain.keys() == traced.keys()
    for name, value in plain.items():
        torch.testing.assert_close(traced[name], value, rtol=1e-6, atol=1e-8, msg=name)
    model: Any = run.model
    assert all(part._compiled_call_impl is not None for part in model.compilable_parts())


@pytest.mark.parametrize(("setting", "expected"), [("auto", False), ("off", False), ("on", True)])
def test_compile_is_a_setting(
    tmp_path: Path, teacher: Path, monkeypatch: pytest.MonkeyPatch, setting: str, expected: bool
) -> None:
    called = []
    monkeypatch.setattr("codecbench_train.run.compile_parts", lambda *parts: called.append(parts))
    _run(training_runs.config(teacher, f"compile={setting}"), tmp_path)
    assert bool(called) == expected


@pytest.mark.gpu
@pytest.mark.parametrize("setting", ["off", "on"])
def test_a_step_on_the_gpu_is_the_step_on_the_cpu(
    tmp_path: Path, teacher: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    """Gradients of one float32 step with every loss, eager and compiled."""
    config = training_runs.config(teacher, f"compile={setting}", 'model.overrides=["quantizer.start_step=0"]')
    gradients = []
    for device in ("cuda", "cpu"):
        if device == "cpu":
            monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
            config = replace(config, compile="off")
        run = _run(config, tmp_path / device)
        assert run.device.type == device
        torch.set_float32_matmul_precision("highest")
        batches, counts = _one_batch(run)
        output = loop.forward(run, 0, batches[0])
        loop.discriminator_step(run, 0, batches, output, counts)
        loop.generator_step(run, 0, batches, output, counts, adversarial=True)
        gradients.append({n: p.grad.cpu() for n, p in run.model.named_parameters() if p.grad is not None})
        AcceleratorState._reset_state(reset_partial_state=True)
    assert gradients[0].keys() == gradients[1].keys()
    for name, expected in gradients[1].items():
        atol = 1e-2 * max(float(expected.abs().max()), 1e-5)
        torch.testing.assert_close(gradients[0][name], expected, rtol=1e-2, atol=atol, msg=name)


@pytest.mark.gpu
def test_a_real_lack_of_gpu_memory_names_a_batch_that_fits(tmp_path: Path, teacher: Path) -> None:
    run = _run(training_runs.config(teacher, "data.batch_size=512", "data.segment_s=5.12"), tmp_path)
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(run.device).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_allocated() + 2**30) / total)
    try:
        with pytest.raises(TrainingStopped, match=r"out of memory with 512 utterances.*; \d+ fit"):
            loop._loop(run, None, _NeverStop())
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


# -- lack of memory --------------------------------------------------------------------------------------------------


def test_out_of_memory_says_what_fits(tmp_path: Path, teacher: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = _run(training_runs.config(teacher), tmp_path)
    real = loop.forward

    def limited(run: Run, step: int, batch: TrainingBatch) -> Any:
        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(run, step, batch)

    monkeypatch.setattr(loop, "forward", limited)
    with pytest.raises(TrainingStopped, match=r"2 fit: --set data\.batch_size=2 .*micro_batches=2"):
        loop._loop(run, None, _NeverStop())


def test_out_of_memory_late_in_the_step_is_tried_again_too(
    tmp_path: Path, teacher: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the discriminators are frozen; and what the failed step held is let go before the first trial."""
    run = _run(training_runs.config(teacher), tmp_path)
    real, left = run.objective.terms, []

    def limited(output: Any, batch: TrainingBatch, *more: Any) -> Any:
        left.append(weakref.ref(output.reconstruction))
        if len(batch) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        assert left[0]() is None
        return real(output, batch, *more)

    monkeypatch.setattr(run.objective, "terms", limited)
    with pytest.raises(TrainingStopped, match=r"3 fit: --set data\.batch_size=3 .*micro_batches=2"):
        loop._loop(run, None, _NeverStop())


@pytest.mark.parametrize(
    ("fits", "batch_size", "ranks", "advice"),
    [
        (2, 8, 1, r"batch_size=2 .*micro_batches=4"),
        (3, 8, 1, r"batch_size=3 .*micro_batches=4"),
        (3, 20, 2, r"batch_size=6 .*micro_batches=5"),
        (0, 8, 1, "not even one fits"),
    ],
)
def test_memory_advice_can_be_followed(fits: int, batch_size: int, ranks: int, advice: str) -> None:
    text = memory_advice(fits, batch_size, ranks)
    assert re.search(advice, text), text
    found = re.search(r"micro_batches=(\d+)", text)
    if found:
        assert batch_size % (ranks * int(found[1])) == 0
        assert batch_size // (ranks * int(found[1])) <= fits


@pytest.mark.parametrize("limit", range(9))
def test_the_largest_size_is_found_by_bisection(limit: int) -> None:
    tried = []

    def attempt(size: int) -> None:
        tried.append(size)
        if size > limit:
            raise torch.OutOfMemoryError("out of memory")

    assert largest_that_fits(9, attempt) == min(limit, 8)
    assert len(tried) <= 4
    with pytest.raises(RuntimeError, match="something else"):
        largest_that_fits(9, lambda _: (_ for _ in ()).throw(RuntimeError("something else")))


class _NeverStop:
    def agreed(self, device: torch.device, may_ask_others: bool) -> bool:
        return False
