"""What a run was: the resolved configuration and provenance, written to ``run.json`` beside the records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

FILE_NAME = "run.json"
SCHEMA_VERSION = 1
# Raised when a figure for the same codec and audio changes because the protocol does.
PROTOCOL_VERSION = "1"


@dataclass(frozen=True)
class CodecInfo:
    """One codec of the run. ``unavailable`` is the reason where it could not run; ``spec`` is its CodecSpec as JSON."""

    label: str
    role: str
    spec: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    identity: Mapping[str, Any] = field(default_factory=dict)
    unavailable: str = ""
    remedy: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class MetricInfo:
    """One metric of the run, with the scorer and stage it belongs to; ``spec`` fields as in MetricSpec."""

    name: str
    title: str
    unit: str
    direction: str
    version: str
    bounds: tuple[float | None, float | None]
    reducer: str
    headline: bool
    ceiling: float | None
    decimals: int
    scale: float
    description: str
    source: str
    scorer: str
    stage: str
    role: str = "quality"


@dataclass(frozen=True)
class CorpusInfo:
    """The corpus: name, size, what is known of its speakers and languages."""

    name: str
    num_utterances: int
    duration_s: float
    num_speakers: int
    languages: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Flag:
    """A plausibility gate that was tripped, or a note that a reader must see beside a number."""

    gate: str
    codec: str
    metric: str
    message: str


@dataclass(frozen=True)
class RunInfo:
    """Everything that a reader needs to judge and repeat the run; ``shard`` is I/N where it is one part of a corpus."""

    name: str
    command: tuple[str, ...]
    created_utc: str
    codecbench_version: str
    corpus: CorpusInfo
    codecs: tuple[CodecInfo, ...]
    metrics: tuple[MetricInfo, ...]
    tasks: tuple[str, ...]
    recognizers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    hardware: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    flags: tuple[Flag, ...] = ()
    complete: bool = False
    shard: str = ""
    protocol_version: str = PROTOCOL_VERSION
    schema_version: int = SCHEMA_VERSION

    @property
    def shard_note(self) -> str:
        """What every reader of one shard's figures has to know; empty for a whole run."""
        if not self.shard:
            return ""
        index, _, count = self.shard.partition("/")
        return (
            f"One shard only ({index} of {count}), not merged: every figure is of this part of the corpus, without "
            "whole-corpus values and timings; 'codecbench merge' joins the parts."
        )

    def save(self, folder: Path) -> None:
        """Write ``run.json`` whole into ``folder`` and rename it into place."""
        temporary = folder / f".{FILE_NAME}.tmp"
        temporary.write_text(json.dumps(asdict(self), indent=2, ensure_ascii=False, default=str) + "\n", "utf-8")
        temporary.replace(folder / FILE_NAME)

    def with_flags(self, flags: tuple[Flag, ...]) -> RunInfo:
        """Return a copy with ``flags``."""
        return replace(self, flags=flags)

    @classmethod
    def load(cls, folder: Path) -> RunInfo:
        """Read ``run.json``; raises FileNotFoundError or ValueError for another schema."""
        data = json.loads((folder / FILE_NAME).read_text("utf-8"))
        if data.get("schema_version") != SCHEMA_VERSION:
            raise ValueError(f"run.json has schema {data.get('schema_version')}, expected {SCHEMA_VERSION}")
        data["corpus"] = CorpusInfo(**_tuples(data["corpus"], "languages", "notes"))
        data["codecs"] = tuple(CodecInfo(**_tuples(c, "notes")) for c in data["codecs"])
        data["metrics"] = tuple(MetricInfo(**_tuples(m, "bounds")) for m in data["metrics"])
        data["flags"] = tuple(Flag(**f) for f in data["flags"])
        return cls(**_tuples(data, "command", "tasks"))


def _tuples(data: dict[str, Any], *names: str) -> dict[str, Any]:
    return {k: tuple(v) if k in names else v for k, v in data.items()}
