"""Content hashes: the same facts give the same key on every machine."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

_digests: dict[tuple[str, int, int], str] = {}


def digest(facts: Any) -> str:
    """Return 32 hex digits of the BLAKE2b hash of ``facts`` as canonical JSON (paths and enums as text)."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hex; remembered within the process by path, size and time of change."""
    path = path.resolve()
    facts = path.stat()
    key = (str(path), facts.st_size, facts.st_mtime_ns)
    if key not in _digests:
        with path.open("rb") as stream:
            _digests[key] = hashlib.file_digest(stream, "sha256").hexdigest()
    return _digests[key]
