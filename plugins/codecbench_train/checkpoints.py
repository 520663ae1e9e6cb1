"""Checkpoints: written whole, synced, renamed into place; only then are older ones removed.

``DIR/step-00001000/`` holds a ``*.safetensors`` for each module of the run (of a codec: ``model``, ``discriminators``
and, if any, ``average``) and ``state.pt`` (optimizers, counters, random states; read back with ``weights_only``).
"""

from __future__ import annotations

import errno
import json
import os
import pickle
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from codecbench.errors import CodecbenchError, UsageError


class CheckpointError(CodecbenchError):
    """A checkpoint cannot be written or read."""


@dataclass
class Progress:
    """What a run has done so far, apart from weights."""

    step: int = 0
    samples: int = 0
    audio_s: float = 0.0
    wall_s: float = 0.0
    skipped: int = 0
    best_step: int = -1
    best_score: float = float("inf")


@dataclass
class RunState:
    """Everything that a resumed run needs to continue exactly; modules and optimizers by the names that files carry."""

    modules: Mapping[str, nn.Module]
    optimizers: Mapping[str, torch.optim.Optimizer]
    progress: Progress = field(default_factory=Progress)


class Checkpoints:
    """The checkpoints of one run, in ``folder``."""

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder, self.keep = folder, max(1, keep)

    def steps(self) -> list[int]:
        """Steps of the whole checkpoints, oldest first."""
        return sorted(int(p.name.removeprefix("step-")) for p in self.folder.glob("step-*") if p.is_dir())

    def path(self, step: int) -> Path:
        """Folder of the checkpoint at ``step``."""
        return self.folder / f"step-{step:08d}"

    def save(self, state: RunState, name: str | None = None) -> Path:
        """Write ``state``; afterwards remove all but the newest ``keep`` and the best.

        Raises:
            CheckpointError: if it cannot be written (for example a full disk); the older ones stay as they were.
        """
        target = self.folder / name if name else self.path(state.progress.step)
        scratch = self.folder / f".tmp-{target.name}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            self._write(state, scratch)
            if target.exists():
                shutil.rmtree(target)
            scratch.rename(target)
            _sync(self.folder)
        except Exception as error:
            # safetensors reports a full disk as an error of its own, so every kind is caught here.
            shutil.rmtree(scratch, ignore_errors=True)
            last = self.steps()
            kept = f"the last good one is {self.path(last[-1])}" if last else "there is no earlier one"
            full = (isinstance(error, OSError) and error.errno == errno.ENOSPC) or "No space left" in str(error)
            what = "the disk is full" if full else str(error)
            raise CheckpointError(
                f"checkpoint at step {state.progress.step} could not be written to {self.folder}: {what}; {kept}. "
                "Free space and continue with --resume"
            ) from error
        if name is None:
            self._prune(state.progress.best_step)
        return target

    def _write(self, state: RunState, folder: Path) -> None:
        for name, module in state.modules.items():
            tensors = {key: value.detach().cpu().contiguous().clone() for key, value in module.state_dict().items()}
            save_file(tensors, folder / f"{name}.safetensors")
        rest = {
            "progress": vars(state.progress),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in state.optimizers.items()},
            "random": random_states(),
        }
        torch.save(rest, folder / "state.pt")
        (folder / "progress.json").write_text(json.dumps(vars(state.progress), indent=1), encoding="utf-8")
        for path in folder.iterdir():
            _sync(path)
        _sync(folder)

    def _prune(self, best_step: int) -> None:
        steps = self.steps()
        for step in steps[: -self.keep]:
            if step != best_step:
                shutil.rmtree(self.path(step), ignore_errors=True)
        for stale in self.folder.glob(".tmp-*"):
            shutil.rmtree(stale, ignore_errors=True)

    def load_last(self, state: RunState) -> Path | None:
        """Fill ``state`` from the newest checkpoint, or return None where there is none."""
        steps = self.steps()
        if not steps:
            return None
        load(self.path(steps[-1]), state)
        return self.path(steps[-1])


def load(folder: Path, state: RunState) -> None:
    """Fill ``state`` from one checkpoint. Raises ``CheckpointError`` where it is damaged or of another model."""
    try:
        for name, module in state.modules.items():
            module.load_state_dict(load_file(folder / f"{name}.safetensors"), strict=True)
        rest: dict[str, Any] = torch.load(folder / "state.pt", map_location="cpu", weights_only=True)
        for name, optimizer in state.optimizers.items():
            _restore(optimizer, rest["optimizers"][name])
        state.progress = Progress(**rest["progress"])
        restore_random_states(rest["random"])
    except (RuntimeError, KeyError, TypeError, ValueError, OSError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"checkpoint {folder} cannot be read into this run: {str(error)[:500]}") from error


def _restore(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Load an optimizer's moments, not its settings: those are the configuration's, which may have changed since."""
    settings = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
    optimizer.load_state_dict(saved)
    for group, setting in zip(optimizer.param_groups, settings, strict=True):
        group.update(setting)


def start_weights(source: Path) -> dict[str, Tensor]:
    """Weights to begin another run with: a checkpoint's (the average where there is one), or an exported file's.

    Raises ``UsageError`` for anything else.
    """
    files = [source] if source.is_file() else [source / f"{name}.safetensors" for name in ("average", "model")]
    path = next((file for file in files if file.is_file()), None)
    if path is None:
        raise UsageError(f"--start-from {source}: neither a weight file nor a checkpoint (no model.safetensors in it)")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise UsageError(f"--start-from {path}: not a safetensors file: {error}") from None


def random_states() -> dict[str, Tensor]:
    """States of torch's global generators; the trainer draws from keyed ones, a model of yours may not."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def restore_random_states(states: dict[str, Tensor]) -> None:
    """Undo ``random_states``."""
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
