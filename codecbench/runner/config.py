"""What the user asked for, typed; filled by the command line or by Python."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from codecbench.errors import UsageError


@dataclass(frozen=True)
class RunConfig:
    """One run of the benchmark.

    codecs: names; empty means every default codec that is available here. tasks: names; empty means the default
    ones. recognizers: names; empty means the default one. settings: {owner: {option: text}}. workers: metric
    processes; 0 means one for each core. codec_threads: torch threads of a codec process on a CPU, fixed so
    that results do not depend on the machine's load. timeout_s: for one utterance in a codec or scorer.
    keep_audio: whether decoded audio is kept for listening; None keeps up to 30 minutes over all codecs together.
    """

    out: Path
    codecs: tuple[str, ...] = ()
    corpus: str = ""
    tasks: tuple[str, ...] = ()
    recognizers: tuple[str, ...] = ()
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    limit: int | None = None
    device: str = "cpu"
    workers: int = 0
    codec_threads: int = 1
    store: Path | None = None
    resume: bool = True
    keep_audio: bool | None = None
    strict: bool = False
    reports: tuple[str, ...] = ()
    plugin_files: tuple[Path, ...] = ()
    timeout_s: float = 600.0
    seed: int = 0
    command: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"--limit must be 1 or more, not {self.limit}")
        if self.workers < 0:
            raise UsageError(f"--workers must be 0 (one for each core) or more, not {self.workers}")

    @property
    def num_workers(self) -> int:
        """Metric processes."""
        return self.workers or available_cores()

    @property
    def store_folder(self) -> Path:
        """Where the content-addressed store lies: beside the records unless shared by ``--store``."""
        return self.store or self.out / "store"


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
