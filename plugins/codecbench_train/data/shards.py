"""WebDataset tar shards as random-access data: one pass notes every member's offset, after that nothing is streamed.

The layout is that of Emilia (arXiv 2407.05361): ``KEY.json`` with duration, speaker and language beside ``KEY.mp3``.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

from codecbench.audio.suffixes import AUDIO_SUFFIXES
from codecbench.errors import UsageError
from codecbench_train.data.entries import Entry, Listing, duration_s
from codecbench_whisper.assets import cache_folder

_INDEX_VERSION = 1


def list_shards(paths: Sequence[Path]) -> Listing:
    """Entries of tar shards, from an index in the cache folder or made now.

    Raises:
        UsageError: if a shard is compressed or not a tar file: its members have no offset to seek to.
    """
    listing = Listing([])
    for path in paths:
        shard = _cached(path)
        listing.entries.extend(shard.entries)
        listing.unreadable.extend(shard.unreadable)
    return listing


def _cached(path: Path) -> Listing:
    stat = path.stat()
    key = f"{_INDEX_VERSION}|{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}"
    cache = cache_folder() / "tar-index" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.jsonl"
    if cache.is_file():
        rows = [json.loads(line) for line in cache.read_text(encoding="utf-8").splitlines()]
        return Listing([Entry(**row) for row in rows if "path" in row], [r["bad"] for r in rows if "bad" in r])
    listing = _index(path)
    _write_lines(cache, [*(asdict(e) for e in listing.entries), *({"bad": name} for name in listing.unreadable)])
    return listing


def _write_lines(target: Path, rows: Sequence[Any]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=target.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.writelines(json.dumps(row) + "\n" for row in rows)
    Path(name).replace(target)


def _index(path: Path) -> Listing:
    """One pass over a shard: members are grouped by key, and only JSON members are read."""
    listing, facts, audio = Listing([]), {}, []
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                name = PurePosixPath(member.name)
                if not member.isfile():
                    continue
                if name.suffix == ".json":
                    handle = tar.extractfile(member)
                    facts[str(name.with_suffix(""))] = json.loads(handle.read()) if handle else {}
                elif name.suffix.lower() in AUDIO_SUFFIXES:
                    audio.append((str(name.with_suffix("")), member.offset_data, member.size))
    except (tarfile.TarError, json.JSONDecodeError) as error:
        raise UsageError(
            f"shard {path}: not an uncompressed, whole tar file ({error}); unpack or fetch it again"
        ) from None
    with path.open("rb") as handle:
        for key, offset, size in audio:
            _append(listing, path, key, offset, size, facts.get(key, {}), handle)
    return listing


def _append(
    listing: Listing, path: Path, key: str, offset: int, size: int, facts: dict[str, Any], handle: io.BufferedReader
) -> None:
    seconds = facts.get("duration")
    if seconds is None:
        handle.seek(offset)
        seconds = duration_s(io.BytesIO(handle.read(size)))
    if not seconds:
        listing.unreadable.append(f"{path.name}:{key}")
        return
    listing.entries.append(
        Entry(
            id=f"{path.stem}/{facts.get('id') or key}",
            path=str(path),
            duration_s=float(seconds),
            speaker=str(facts.get("speaker") or ""),
            language=str(facts.get("language") or ""),
            offset=offset,
            size=size,
        )
    )
