"""Content hashes: the same facts give the same key on every machine."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def digest(facts: Any) -> str:
    """Return 32 hex digits of the BLAKE2b hash of ``facts`` as canonical JSON (paths and enums as text)."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
