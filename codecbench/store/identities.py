"""What the folders of a store belong to: a readable ``identity.json`` beside the shards of each content hash."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from codecbench.store.places import StorePath

FILE_NAME = "identity.json"


class Kind(StrEnum):
    """What a folder holds: tokens of an encoder, scores or decoded audio of a decoder."""

    TOKENS = "tokens"
    SCORES = "scores"
    AUDIO = "audio"


@dataclass(frozen=True)
class Identity:
    """The codec that a folder belongs to; facts: everything that its content hash is made of."""

    codec: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StoreFolder:
    """One folder of a store: ``tokens/<hash>``, ``scores/<hash>`` or ``audio/<hash>``."""

    kind: Kind
    path: StorePath

    @property
    def identity(self) -> Identity | None:
        """What is written about it; None in stores of before there was such a file."""
        with contextlib.suppress(FileNotFoundError, ValueError, TypeError):
            return Identity(**json.loads((self.path / FILE_NAME).read()))
        return None

    def describe(self, identity: Identity) -> None:
        """Write ``identity.json`` where there is none; raises StoreError where the store cannot be written."""
        if FILE_NAME not in self.path.names():
            text = json.dumps(asdict(identity), indent=2, ensure_ascii=False, default=str) + "\n"
            (self.path / FILE_NAME).write(text.encode())


def store_folders(store: StorePath) -> Iterator[StoreFolder]:
    """Walk over the folders of a store, tokens first."""
    for kind in Kind:
        parent = store / kind
        for name in parent.names():
            if name != parent.name and not name.startswith("."):
                yield StoreFolder(kind, parent / name)
