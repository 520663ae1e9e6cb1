"""What lies behind the records: original audio, decoded audio and tokens of each utterance and codec.

The run writes the index (``artifacts.parquet``); reports ask ``RunResults.artifacts`` and never guess paths.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from codecbench.errors import CodecbenchError
from codecbench.store.tables import growing_table

if TYPE_CHECKING:
    from codecbench.contracts.encoded import Encoded
    from codecbench.store.places import StorePath
    from codecbench.store.tokens import TokenStore

FILE_NAME = "artifacts.parquet"
SCHEMA = pa.schema(
    [
        ("codec", pa.string()),
        ("utterance_id", pa.string()),
        ("text", pa.string()),
        ("reference", pa.string()),
        ("audio", pa.string()),
        ("token_folder", pa.string()),
        ("token_key", pa.string()),
        ("codebooks", pa.int64()),
        ("streams", pa.list_(pa.string())),
        ("audio_sha256", pa.string()),
    ]
)

_BLOCK = 4096
_PATHS = ("reference", "audio", "token_folder")


@dataclass(frozen=True)
class Artifact:
    """One utterance of one codec.

    reference, audio, token_folder: paths, relative to the run's folder where they lie in it; audio is empty where
    none was kept. codebooks, streams: what of the tokens the codec's name reads. audio_sha256: of the corpus' file,
    empty where it is not known.
    """

    codec: str
    utterance_id: str
    text: str | None
    reference: str
    audio: str
    token_folder: str
    token_key: str
    codebooks: int | None = None
    streams: tuple[str, ...] = ()
    audio_sha256: str = ""


def write_artifacts(folder: Path, artifacts: Iterable[Artifact]) -> None:
    """Write the index of a run whole; at any time some thousand rows are in memory."""
    walk = iter(artifacts)
    with growing_table(folder / FILE_NAME, SCHEMA) as table:
        while block := list(islice(walk, _BLOCK)):
            table.rows([vars(artifact) for artifact in block])


def relative(path: Path, folder: Path) -> str:
    """Return ``path`` as it is written into the index of the run in ``folder``."""
    parent, name = os.path.split(path)
    return os.path.join(_relative_folder(parent, folder), name)


def relative_store(path: StorePath, folder: Path) -> str:
    """Return a folder of the store as it is written into the index of the run in ``folder``; a URL stays one."""
    return relative(path.local, folder) if path.local is not None else str(path)


def _located(folder: Path, stated: str) -> str:
    return stated if "://" in stated else str((folder / stated).resolve())


@lru_cache(maxsize=256)
def _relative_folder(stated: str, folder: Path) -> str:
    path, folder = Path(stated).resolve(), folder.resolve()
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


class Artifacts:
    """The index of one run, looked up by codec label and utterance id; rows stay in columns until asked for."""

    def __init__(self, folder: Path, rows: Iterable[Artifact]) -> None:
        self._folder = folder
        self._table = pa.Table.from_pylist([vars(row) for row in rows], schema=SCHEMA)
        self._stores: dict[str, TokenStore] = {}

    @classmethod
    def load(cls, folder: Path) -> Artifacts:
        """Read the index of a run; one without it (made before there was one) has no artifacts.

        Raises CodecbenchError where it cannot be read.
        """
        path = folder / FILE_NAME
        found = cls(folder, ())
        if path.is_file():
            try:
                found._table = pq.read_table(path, schema=SCHEMA).combine_chunks()
            except (OSError, pa.ArrowException) as error:
                raise CodecbenchError(f"{path} cannot be read ({error}); run again to remake it") from error
        return found

    @cached_property
    def _places(self) -> dict[str, dict[str, int]]:
        """Row of each codec's utterances."""
        places: dict[str, dict[str, int]] = {}
        ids: dict[str, str] = {}  # each id once in memory, not once for each codec
        start = 0
        for batch in self._table.select(["codec", "utterance_id"]).to_batches(max_chunksize=_BLOCK):
            for place, (codec, name) in enumerate(zip(*(column.to_pylist() for column in batch), strict=True), start):
                places.setdefault(codec, {})[ids.setdefault(name, name)] = place
            start += len(batch)
        return places

    @cached_property
    def _by_utterance(self) -> dict[str, int]:
        return {utterance: place for places in self._places.values() for utterance, place in places.items()}

    def _row(self, place: int | None) -> Artifact | None:
        if place is None:
            return None
        row = {name: self._table[name][place].as_py() for name in SCHEMA.names}
        # An index from before a column there was has nulls in it.
        known = {name: value for name, value in row.items() if value is not None}
        return Artifact(**({"text": None} | known | {"streams": tuple(row["streams"] or ())}))

    def _of(self, utterance_id: str) -> Artifact | None:
        return self._row(self._by_utterance.get(utterance_id))

    @property
    def utterances(self) -> tuple[str, ...]:
        """Ids of all utterances, in corpus order."""
        return tuple(self._by_utterance)

    @property
    def rows(self) -> tuple[Artifact, ...]:
        """All rows, with absolute paths."""
        found = (self._row(place) for places in self._places.values() for place in places.values())
        return tuple(self._absolute(row) for row in found if row is not None)

    def _absolute(self, row: Artifact) -> Artifact:
        stated = {name: getattr(row, name) for name in _PATHS}
        located: dict[str, Any] = {name: _located(self._folder, path) for name, path in stated.items() if path}
        return replace(row, **located)

    def audio_sha256(self, utterance_id: str) -> str:
        """Digest of the corpus' audio file, empty where it is not known."""
        row = self._of(utterance_id)
        return row.audio_sha256 if row else ""

    def text(self, utterance_id: str) -> str | None:
        """Transcript as the corpus states it, or None."""
        row = self._of(utterance_id)
        return row.text if row else None

    def reference(self, utterance_id: str) -> Path | None:
        """Audio file of the corpus, or None where it is unknown or gone."""
        row = self._of(utterance_id)
        return self._existing(row.reference) if row else None

    def audio(self, codec: str, utterance_id: str) -> Path | None:
        """Decoded audio, or None where none was kept."""
        row = self._row(self._places.get(codec, {}).get(utterance_id))
        return self._existing(row.audio) if row else None

    def tokens(self, codec: str, utterance_id: str) -> Encoded | None:
        """Encoded form (B = 1) as the codec's name reads it, or None where the store holds none."""
        from codecbench.contracts.encoded import decoded_part
        from codecbench.store.tokens import TokenStore

        row = self._row(self._places.get(codec, {}).get(utterance_id))
        if row is None:
            return None
        if row.token_folder not in self._stores:
            self._stores[row.token_folder] = TokenStore(_located(self._folder, row.token_folder))
        encoded = self._stores[row.token_folder].get(row.token_key)
        return None if encoded is None else decoded_part(encoded, row.codebooks, row.streams)

    def _existing(self, stated: str) -> Path | None:
        path = self._folder / stated
        return path if stated and path.is_file() else None
