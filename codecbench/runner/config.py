"""What the user asked for, typed; filled by the command line or by Python."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

from codecbench.errors import UsageError
from codecbench.runner.memory import can_watch, default_limit_bytes
from codecbench.store.places import StorePath

REQUEST_FILE = "request.json"


@dataclass(frozen=True)
class Shard:
    """One of ``count`` parts of a corpus, ``index`` from 1; an utterance's part follows from its id and ``count``."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``3/16``; raises UsageError for anything else."""
        index, _, count = text.partition("/")
        if not (index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
            raise UsageError(f"--shard must be I/N with I from 1 to N, for example 3/16; got '{text}'")
        return cls(int(index), int(count))

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def holds(self, utterance_id: str) -> bool:
        """Whether an utterance is of this part."""
        number = int.from_bytes(hashlib.blake2b(utterance_id.encode(), digest_size=8).digest(), "little")
        return number % self.count == self.index - 1


ENGINES = ("local", "ray")


@dataclass(frozen=True)
class RunConfig:
    """One run of the benchmark.

    codecs: names; empty means every default codec that is available here. tasks: names; empty means the default
    ones. recognizers: names; empty means the default one. settings: {owner: {option: text}}. workers: metric
    processes; 0 means one for each core. codec_threads: torch threads of a codec process on a CPU, fixed so
    that results do not depend on the machine's load. timeout_s: for one utterance in a codec or scorer.
    keep_audio: whether decoded audio is kept for listening; None keeps up to 30 minutes over all codecs together.
    shard: the part of the corpus that is done here, to be merged with the others; None for all.
    devices: one codec process for each, all of the kind of ``device``; empty for that one alone.
    store: a folder, or anything that fsspec knows (``s3://…``). memory_limit_bytes: of one worker process with what it
    starts; None means 80 % of the machine's memory, 0 no limit.
    engine: one of ENGINES. address: of the Ray cluster, empty for one on this machine that ends with the run.
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
    store: str | Path | None = None
    resume: bool = True
    keep_audio: bool | None = None
    strict: bool = False
    reports: tuple[str, ...] = ()
    plugin_files: tuple[Path, ...] = ()
    timeout_s: float = 600.0
    seed: int = 0
    command: tuple[str, ...] = ()
    shard: Shard | None = None
    devices: tuple[str, ...] = ()
    engine: str = "local"
    address: str = ""
    memory_limit_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"--limit must be 1 or more, not {self.limit}")
        if self.workers < 0:
            raise UsageError(f"--workers must be 0 (one for each core) or more, not {self.workers}")
        if str(self.store or "").startswith("memory:"):
            raise UsageError(f"--store {self.store} lives in one process, a run has several: give a folder or a URL")
        if self.memory_limit_bytes and not can_watch():
            raise UsageError("--memory-limit needs Linux: the memory of other processes is read from /proc")
        if self.engine not in ENGINES:
            raise UsageError(f"unknown engine '{self.engine}'; there are {', '.join(ENGINES)}")
        if self.address and self.engine != "ray":
            raise UsageError(f"--address {self.address} is for --engine ray; the engine is {self.engine}")

    @property
    def num_workers(self) -> int:
        """Metric processes."""
        return self.workers or available_cores()

    @property
    def store_folder(self) -> StorePath:
        """Where the content-addressed store lies: beside the records unless shared by ``--store``."""
        return StorePath.of(self.store or self.out / "store")

    @property
    def worker_memory_bytes(self) -> int:
        """Memory that one worker process may use, 0 for any amount."""
        return default_limit_bytes() if self.memory_limit_bytes is None else self.memory_limit_bytes


def save_request(config: RunConfig) -> None:
    """Write a configuration into its output folder, so that shards can be merged; paths are made absolute."""
    store = config.store if config.store is None or "://" in str(config.store) else Path(config.store).absolute()
    files = tuple(Path(file).absolute() for file in config.plugin_files)
    facts = asdict(replace(config, out=config.out.absolute(), store=store, plugin_files=files))
    (config.out / REQUEST_FILE).write_text(json.dumps(facts, indent=2, default=str) + "\n", "utf-8")


def load_request(folder: Path) -> RunConfig:
    """Read what ``save_request`` wrote; raises UsageError where there is none or it cannot be read."""
    try:
        facts = json.loads((folder / REQUEST_FILE).read_text("utf-8"))
        facts = {name: tuple(value) if isinstance(value, list) else value for name, value in facts.items()}
        facts["shard"] = facts["shard"] and Shard(**facts["shard"])
        facts["out"], facts["store"] = Path(facts["out"]), facts["store"]
        return RunConfig(**facts | {"plugin_files": tuple(map(Path, facts["plugin_files"]))})
    except FileNotFoundError as error:
        raise UsageError(
            f"{folder} holds no shard of a run (no {REQUEST_FILE}); give the --out of --shard I/N"
        ) from error
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{folder / REQUEST_FILE} cannot be read: {error}") from error


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
