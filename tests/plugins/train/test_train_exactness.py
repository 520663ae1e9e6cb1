"""Exactness: killed and resumed equals uninterrupted, bit for bit; two ranks equal one."""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import training_runs
from safetensors.torch import load_file

pytestmark = pytest.mark.slow

STEPS = 24


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_runs.random_teacher(tmp_path_factory.mktemp("whisper"))


def _last(out: Path) -> Path:
    return max((out / "checkpoints").glob("step-*"))


def _kill_at_random(call: list[str], out: Path, seed: int) -> int:
    """Start a run, kill -9 it a random moment after its first checkpoint, and return the last whole checkpoint."""
    process = subprocess.Popen(
        call, env=training_runs.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 300
    while not list((out / "checkpoints").glob("step-*")):
        assert process.poll() is None, "the run ended before its first checkpoint"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(random.Random(seed).uniform(0.0, 1.5))
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    return int(_last(out).name.removeprefix("step-"))


def test_killed_and_resumed_is_bit_for_bit_the_uninterrupted_run(tmp_path: Path, teacher: Path) -> None:
    more = (
        f"steps={STEPS}", "log.save_every_steps=3", "log.validate_every_steps=5", "ema_decay=0.9",
        "data.augment.gain_db=6", "data.augment.speeds=[0.9, 1.0, 1.1]", "loss.adversarial_start_step=4",
        f'data.sources=[{{path="{training_runs.CORPUS}", dev_speakers=1}}]',
    )  # fmt: skip
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    training_runs.run(training_runs.command(whole, teacher, *more))
    reached = _kill_at_random(training_runs.command(killed, teacher, *more), killed, seed=int(time.time()))
    assert reached < STEPS
    training_runs.run(training_runs.command(killed, teacher, resume=True))
    for name in ("model", "average", "discriminators"):
        expected, found = (load_file(_last(out) / f"{name}.safetensors") for out in (whole, killed))
        assert expected.keys() == found.keys()
        different = [key for key in expected if not torch.equal(expected[key], found[key])]
        assert not different, f"killed after step {reached}: {name} differs in {different[:5]}"
    states = [torch.load(_last(out) / "state.pt", weights_only=True) for out in (whole, killed)]
    for network in ("generator", "discriminator"):
        moments = [s["optimizers"][network]["state"] for s in states]
        assert moments[0].keys() == moments[1].keys()
        assert all(torch.equal(moments[0][p][k], moments[1][p][k]) for p in moments[0] for k in moments[0][p])
    assert states[0]["progress"]["samples"] == states[1]["progress"]["samples"] == STEPS * 4
    assert states[0]["progress"]["best_step"] == states[1]["progress"]["best_step"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _run_ranks(call: list[str]) -> tuple[list[int], list[str]]:
    """Exit codes and outputs of two processes that make up one run."""
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    processes = [
        subprocess.Popen(
            call, env=training_runs.environment(**shared, RANK=str(r), LOCAL_RANK=str(r)), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for r in range(2)
    ]  # fmt: skip
    outputs = [p.communicate(timeout=600)[0] for p in processes]
    return [p.returncode for p in processes], outputs


def _two_ranks(call: list[str]) -> None:
    codes, outputs = _run_ranks(call)
    assert codes == [0, 0], "\n".join(outputs)
    assert "2 x cpu" in outputs[0]


def test_two_ranks_are_one_rank_in_float64(tmp_path: Path, teacher: Path) -> None:
    """Discriminators, moving-average codebooks with k-means start and restarts, codebook dropout, masked losses.

    Every second utterance is distilled: of two ranks one has a teacher's loss and the other none.
    """
    more = (f"steps={STEPS}", "precision=fp64", "ema_decay=0.9", "log.save_every_steps=12", "data.segment_s=2.56",
            "data.batch_size=2", "distillation.every=2")  # fmt: skip
    training_runs.run(training_runs.command(tmp_path / "one", teacher, *more))
    _two_ranks(training_runs.command(tmp_path / "two", teacher, *more))
    for name in ("model", "average", "discriminators"):
        one, two = (load_file(_last(tmp_path / out) / f"{name}.safetensors") for out in ("one", "two"))
        for key, value in one.items():
            torch.testing.assert_close(two[key], value, rtol=1e-6, atol=1e-8, msg=f"{name}: {key}")
    start = load_file(min((tmp_path / "one" / "checkpoints").glob("step-*")) / "model.safetensors")
    end = load_file(_last(tmp_path / "one") / "model.safetensors")
    assert any(float((end[k] - start[k]).abs().max()) > 1e-4 for k in end if end[k].is_floating_point())


_GRADIENTS = """
import sys, torch
import training_runs
from pathlib import Path
from codecbench_train import loop
out, teacher = Path(sys.argv[1]), Path(sys.argv[2])
torch.set_num_threads(1)
run = loop.set_up(training_runs.config(teacher, "data.segment_s=2.56"), out)
batches = next(loop.batches_of(run))
kept = loop.forward(run, 0, batches[0])
counts = loop.global_counts(run, batches)
loop.discriminator_step(run, 0, batches, kept, counts)
loop.generator_step(run, 0, batches, kept, counts, adversarial=True)
print(f"{loop.ranks()} x cpu")
if run.accelerator.is_main_process:
    named = list(run.model.named_parameters()) + [("d." + n, p) for n, p in run.discriminators.named_parameters()]
    torch.save({n: p.grad for n, p in named if p.grad is not None}, out)
run.accelerator.end_training()
"""


def test_two_ranks_have_the_gradients_of_one_in_float32(tmp_path: Path, teacher: Path) -> None:
    call = [sys.executable, "-c", _GRADIENTS]
    training_runs.run([*call, str(tmp_path / "one.pt"), str(teacher)])
    _two_ranks([*call, str(tmp_path / "two.pt"), str(teacher)])
    one, two = (torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("one", "two"))
    assert one.keys() == two.keys()
    assert len(one) > 50
    for name, gradient in one.items():
        scale = float(gradient.abs().max())
        torch.testing.assert_close(two[name], gradient, rtol=1e-3, atol=1e-4 * max(scale, 1e-6), msg=name)


_NO_MEMORY = """
import sys, torch
import training_runs
from pathlib import Path
from codecbench_train import loop
out, teacher, poor = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3].split(",")
torch.set_num_threads(1)
real = loop.forward
def limited(run, step, batch):
    if str(run.accelerator.process_index) in poor and step == 1 and len(batch) > 3:
        raise torch.OutOfMemoryError("out of memory")
    return real(run, step, batch)
loop.forward = limited
more = "data.batch_size=16", "steps=3", 'model.overrides=["quantizer.start_step=1"]'
try:
    loop.train(training_runs.config(teacher, *more), out, resume=False)
except Exception as error:
    print("STOPPED", type(error).__name__, error, flush=True)
"""


@pytest.mark.parametrize("poor", ["1", "0,1"])
def test_a_rank_without_memory_finds_out_by_itself_what_fits(tmp_path: Path, teacher: Path, poor: str) -> None:
    """One rank or both, in a step that starts codebooks, which ranks do together: nobody waits for the trial."""
    _, outputs = _run_ranks([sys.executable, "-c", _NO_MEMORY, str(tmp_path), str(teacher), poor])
    for rank in poor.split(","):
        assert "STOPPED TrainingStopped step 1: out of memory with 8 utterances" in outputs[int(rank)], outputs
        assert "3 fit: --set data.batch_size=6 (of all ranks together)" in outputs[int(rank)]
        assert "micro_batches=4" in outputs[int(rank)]
