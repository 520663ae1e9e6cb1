"""Which systems were recorded on which originals: comparisons hold within one page and on the same originals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from codecbench_recorded.manifest import Recordings


@dataclass(frozen=True)
class Page:
    """One source page: the ids of the originals that each system was recorded on, in the manifest's order."""

    name: str
    systems: Mapping[str, tuple[str, ...]]

    def common_ids(self, systems: Iterable[str] | None = None) -> tuple[str, ...]:
        """Return the ids that all of ``systems`` (by default every system of the page) were recorded on."""
        chosen = list(self.systems if systems is None else systems)
        if not chosen:
            return ()
        others = [set(self.systems[name]) for name in chosen[1:]]
        return tuple(i for i in self.systems[chosen[0]] if all(i in ids for ids in others))


def pages(recordings: Recordings) -> tuple[Page, ...]:
    """Return the pages of a manifest in the order of their first recording; a missing page is named ''."""
    found: dict[str, dict[str, list[str]]] = {}
    for entry in recordings.entries:
        found.setdefault(entry.page, {}).setdefault(entry.system, []).append(entry.utterance_id)
    return tuple(Page(name, {s: tuple(ids) for s, ids in systems.items()}) for name, systems in found.items())
