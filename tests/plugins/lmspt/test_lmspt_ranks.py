"""Two ranks with half the batch each end with the codebooks of one rank with all of it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, multiprocessing
from torch import distributed as dist

from codecbench_lmspt import LMSPT, load_preset

STEPS, ROWS = 6, 4
# A tiny batch for many entries, so that restarts happen at every step.
OVERRIDES = {"quantizer.dead_code_share": 0.6, "quantizer.semantic_size": 64, "quantizer.start_step": 1}


def audio(step: int) -> Tensor:
    generator = torch.Generator().manual_seed(step)
    signal = 0.2 * torch.randn(ROWS, 1, 20_000, generator=generator, dtype=torch.float64)
    signal[:2, :, 2_000:] = 0  # digital silence: many equal latents, between which only rounding could choose
    return signal


def run(rows: slice, accumulate: int = 1) -> dict[str, Tensor]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = LMSPT(load_preset("tiny", OVERRIDES)).double()
    index, lengths = torch.arange(ROWS), torch.tensor([20_000, 9_000, 20_000, 14_000])
    restarts = 0
    for step in range(STEPS):
        micro = list(torch.arange(ROWS)[rows].chunk(accumulate))
        for part in micro:
            model.training_forward(
                audio(step)[part],
                num_samples=lengths[part],
                step=step,
                sample_index=index[part],
                seed=11,
                update_codebooks=False,
            )
        before = model.quantizer.rvq_first.books[0].codebook.weight.detach().clone()
        model.update_codebooks(step=step, seed=11)
        moved = (model.quantizer.rvq_first.books[0].codebook.weight - before).abs().amax(1)
        restarts += int((moved > 0.5).sum())
    return {**model.state_dict(), "restarts": torch.tensor(restarts)}


def worker(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    # Interleaved rows: rank 1 does not simply hold the end of the batch.
    torch.save(run(slice(rank, None, 2)), f"{folder}/rank{rank}.pt")
    dist.destroy_process_group()


def test_two_ranks_equal_one(tmp_path: Path) -> None:
    multiprocessing.start_processes(worker, (str(tmp_path),), nprocs=2, start_method="spawn")
    alone = run(slice(None))
    ranks = [torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]
    assert int(alone["restarts"]) > 0, "no restart happened: the test would not see a difference in the draws"
    for key, value in alone.items():
        assert torch.equal(ranks[0][key], ranks[1][key]), key
        torch.testing.assert_close(
            ranks[0][key], value, rtol=1e-9, atol=1e-11, msg=lambda text, key=key: f"{key}: {text}"
        )
