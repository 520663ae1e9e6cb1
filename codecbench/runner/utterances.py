"""The utterances of a run: their files hashed and measured once, kept in a table, walked block by block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from codecbench.audio.reading import stated_duration_s
from codecbench.contracts.audio import Utterance
from codecbench.errors import BadInput
from codecbench.hashing import file_sha256, members
from codecbench.runner.config import Shard
from codecbench.store.tables import growing_table

# Utterances that a walk over a corpus holds in memory and that the store is asked for at once.
BLOCK = 4096
T = TypeVar("T")
FILE_NAME = "utterances.parquet"
SCHEMA = pa.schema(
    [
        ("position", pa.int64()),
        ("id", pa.string()),
        ("audio", pa.string()),
        ("text", pa.string()),
        ("speaker", pa.string()),
        ("language", pa.string()),
        ("sha256", pa.string()),
        ("duration_s", pa.float64()),
        ("problem", pa.string()),
    ]
)
_FACTS = ("sha256", "text", "language", "duration_s")
_NUM_WALKED = "num_walked"


class Keyed(Protocol):
    """What store keys are made of."""

    @property
    def audio_sha256(self) -> str:
        """Digest of the audio file."""

    @property
    def audio_members(self) -> bytes:
        """What tokens depend on, as the end of a store key."""

    @property
    def score_members(self) -> bytes:
        """What scores depend on, as the end of a store key."""


class UtteranceFacts:
    """What the store is asked about an utterance by, and its length: a fifth of the cost of the utterance itself."""

    __slots__ = ("audio_members", "audio_sha256", "duration_s", "score_members")

    def __init__(self, audio_sha256: str, text: str | None, language: str | None, duration_s: float) -> None:
        self.audio_sha256, self.duration_s = audio_sha256, duration_s
        self.audio_members = members(audio_sha256)
        self.score_members = members(audio_sha256, text, language)


@dataclass(frozen=True)
class PlannedUtterance:
    """An utterance with the facts of its file; duration is 0 where the file cannot be read.

    position: its place in the whole corpus, from 0.
    """

    utterance: Utterance
    audio_sha256: str
    duration_s: float
    position: int = 0

    @cached_property
    def audio_members(self) -> bytes:
        """What its tokens depend on, as the end of a store key."""
        return members(self.audio_sha256)

    @cached_property
    def score_members(self) -> bytes:
        """What its scores depend on, as the end of a store key."""
        u = self.utterance
        return members(self.audio_sha256, u.text, u.language)


class UtteranceTable:
    """Utterances in corpus order in a Parquet file; each walk reads it anew, a block at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def write(cls, path: Path, utterances: Scan | Iterable[PlannedUtterance], num_walked: int = 0) -> UtteranceTable:
        """Write utterances as they come; ``num_walked``: size of the whole corpus where ``utterances`` is no scan."""
        with growing_table(path, SCHEMA) as table:
            for block in blocks(utterances):
                table.rows([_row(planned) for planned in block])
            table.note(_NUM_WALKED, str(utterances.num_walked if isinstance(utterances, Scan) else num_walked))
        return cls(path)

    def __len__(self) -> int:
        return int(pq.read_metadata(self.path).num_rows)

    def __iter__(self) -> Iterator[PlannedUtterance]:
        return self.walk()

    def walk(self, chosen: np.ndarray | None = None) -> Iterator[PlannedUtterance]:
        """Walk over all utterances, or over those of the mask ``chosen`` [utterances]."""
        with pq.ParquetFile(self.path) as file:
            start = 0
            for group in range(file.num_row_groups):
                end = start + file.metadata.row_group(group).num_rows
                wanted = None if chosen is None else chosen[start:end]
                start = end
                if wanted is None or wanted.any():
                    table = file.read_row_group(group)
                    yield from _planned(table if wanted is None else table.filter(pa.array(wanted)))

    def facts(self) -> Iterator[UtteranceFacts]:
        """Walk over all utterances for what store keys need of them."""
        with pq.ParquetFile(self.path) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=list(_FACTS))
                yield from map(UtteranceFacts, *(table[name].to_pylist() for name in _FACTS))

    @property
    def num_walked(self) -> int:
        """Utterances of the whole corpus; more than are here in one shard's table."""
        return int(pq.read_metadata(self.path).metadata[_NUM_WALKED.encode()])

    @cached_property
    def durations_s(self) -> np.ndarray:
        """Seconds of each utterance, float64 [utterances]; 0 where the file cannot be read."""
        found: np.ndarray = pq.read_table(self.path, columns=["duration_s"])["duration_s"].to_numpy()
        return found

    @property
    def num_speakers(self) -> int:
        """Speakers that the corpus names."""
        return int(pc.count_distinct(pq.read_table(self.path, columns=["speaker"])["speaker"]).as_py())

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages that the corpus names, sorted."""
        found = pq.read_table(self.path, columns=["language"])["language"].unique().to_pylist()
        return tuple(sorted(language for language in found if language))

    def at(self, places: Sequence[int]) -> list[PlannedUtterance]:
        """Return the utterances at ``places`` of this table, in its order."""
        chosen = np.zeros(len(self), bool)
        chosen[list(places)] = True
        return list(self.walk(chosen))


def blocks(utterances: Iterable[T], size: int = BLOCK) -> Iterator[list[T]]:
    """Walk over utterances (or their facts) in lists of ``size``."""
    walk = iter(utterances)
    while block := list(islice(walk, size)):
        yield block


def _row(planned: PlannedUtterance) -> dict[str, object]:
    u = planned.utterance
    return {
        "position": planned.position,
        "id": u.id,
        "audio": str(u.audio),
        "text": u.text,
        "speaker": u.speaker or None,
        "language": u.language or None,
        "sha256": planned.audio_sha256,
        "duration_s": planned.duration_s,
        "problem": u.problem,
    }


def _planned(table: pa.Table) -> Iterator[PlannedUtterance]:
    columns = (table[name].to_pylist() for name in SCHEMA.names)
    for position, name, audio, text, speaker, language, sha256, duration_s, problem in zip(*columns, strict=True):
        utterance = Utterance(
            name, Path(audio), text, speaker, language, duration_s=duration_s or None, problem=problem
        )
        yield PlannedUtterance(utterance, sha256, duration_s, position)


@dataclass
class Scan:
    """Hashes and measures each utterance's file; duplicates of an id become problems, told in the records.

    shard: only its utterances are looked at. num_walked: utterances of the whole corpus so far.
    Memory: eight bytes of each id are remembered.
    """

    utterances: Iterable[Utterance]
    shard: Shard | None = None
    num_walked: int = 0

    def __iter__(self) -> Iterator[PlannedUtterance]:
        seen: set[int] = set()
        repeats: dict[str, int] = {}
        self.num_walked = 0
        for utterance in self.utterances:
            utterance = _storable(utterance)
            if hash(utterance.id) in seen:
                utterance = _renamed(utterance, seen, repeats)
            seen.add(hash(utterance.id))
            if self.shard is None or self.shard.holds(utterance.id):
                yield _measured(utterance, self.num_walked)
            self.num_walked += 1


def scan(utterances: Iterable[Utterance]) -> Iterator[PlannedUtterance]:
    """Hash and measure each utterance's file; duplicates of an id become problems, told in the records."""
    return iter(Scan(utterances))


def _measured(utterance: Utterance, position: int) -> PlannedUtterance:
    if not utterance.audio.is_absolute():  # what comes after may be done from another folder
        utterance = replace(utterance, audio=utterance.audio.absolute())
    try:
        if utterance.problem:
            raise OSError(utterance.problem)
        duration = utterance.duration_s or stated_duration_s(utterance.audio)
        sha256 = utterance.sha256 or file_sha256(utterance.audio)
    except (OSError, BadInput):
        # The codec process meets the same fault and records it under this utterance.
        return PlannedUtterance(utterance, f"unreadable:{utterance.audio}:{utterance.problem}", 0.0, position)
    return PlannedUtterance(utterance, sha256, duration, position)


def _renamed(utterance: Utterance, seen: set[int], repeats: dict[str, int]) -> Utterance:
    """Give a repeated id a number that is free."""
    name, number = utterance.id, repeats.get(utterance.id, 1) + 1
    while hash(f"{name}#{number}") in seen:
        number += 1
    repeats[name] = number
    problem = f"the id '{name}' occurs more than once in the corpus"
    return replace(utterance, id=f"{name}#{number}", problem=utterance.problem or problem)


def _storable(utterance: Utterance) -> Utterance:
    """Replace what no file or record can hold (lone surrogates) and say so."""
    u = utterance
    try:
        f"{u.id}{u.text}{u.speaker}{u.language}{u.audio}".encode()
        return utterance
    except UnicodeEncodeError:
        texts = {"id": u.id, "text": u.text, "speaker": u.speaker, "language": u.language}
        clean = {name: text and _replaced(text) for name, text in texts.items()}
        problem = "its id, path or text is not valid Unicode"
        return replace(utterance, audio=Path(_replaced(str(utterance.audio))), problem=problem, **clean)  # type: ignore[arg-type]


def _replaced(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
