"""Content hashes: the same facts give the same key on every machine."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Sequence
from json.encoder import encode_basestring
from pathlib import Path
from typing import Any

_digests: dict[tuple[str, int, int], str] = {}
# Digests of this many files are remembered; a corpus of more is hashed once for each walk over it.
_REMEMBERED = 10_000
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def digest(facts: Any) -> str:
    """Return 32 hex digits of the BLAKE2b hash of ``facts`` as canonical JSON (paths and enums as text)."""
    return hashlib.blake2b(canonical(facts), digest_size=16).hexdigest()


def canonical(facts: Any) -> bytes:
    """Return ``facts`` as canonical JSON."""
    return _ENCODER.encode(facts).encode()


class KeyMaker:
    """Makes ``digest([*first, *rest])`` for many ``rest``: the first members are hashed once."""

    def __init__(self, first: Sequence[Any]) -> None:
        self._state = hashlib.blake2b(canonical(list(first))[:-1] + b",", digest_size=16)

    def key(self, rest: bytes) -> str:
        """Return the digest; ``rest`` is ``members(...)`` of the other members."""
        state = self._state.copy()
        state.update(rest)
        return state.hexdigest()


def members(*rest: str | None) -> bytes:
    """Return texts as the end of a canonical JSON list, for ``KeyMaker``."""
    return (",".join(["null" if text is None else encode_basestring(text) for text in rest]) + "]").encode()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hex; remembered within the process by path, size and time of change.

    Raises OSError where it cannot be read or is no regular file: reading a pipe or a device might never end.
    """
    path = path.resolve()
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise OSError(f"{path} is no regular file")
    key = (str(path), facts.st_size, facts.st_mtime_ns)
    if key not in _digests:
        if len(_digests) >= _REMEMBERED:
            _digests.clear()
        with path.open("rb") as stream:
            _digests[key] = hashlib.file_digest(stream, "sha256").hexdigest()
    return _digests[key]
