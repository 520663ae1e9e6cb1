"""Helpers of the tests of plans, shards and streams."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from codecbench.runner.survey import GroupWork


def todo(works: Iterable[GroupWork]) -> dict[str, dict[str, int]]:
    """What is to be done, by codec name: encodes (under the first name of a group), decodes, and scores by scorer."""
    found: dict[str, dict[str, int]] = {}
    for work in works:
        for place, lane in enumerate(work.lanes):
            counts = {"encode": work.encodes.items if place == 0 else 0, "decode": lane.decodes.items}
            counts |= {scorer.scorer.name: scorer.amount.items for scorer in lane.scorers}
            found[lane.label] = {name: count for name, count in counts.items() if count}
    return found


def files_below(folder: Path) -> dict[str, bytes]:
    """Content of every file."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def spent_audio_s(store: Path) -> dict[tuple[str, str], float]:
    """Seconds of audio that work was done on, by kind and name."""
    path = store / "costs.json"
    rows = json.loads(path.read_text()) if path.is_file() else []
    return {(row["work"], row["name"]): row["audio_s"] for row in rows}
