"""From the configured sources to a mixture to train on and a ``dev`` set of other speakers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from codecbench.errors import UsageError
from codecbench_train.config import DataConfig, SourceConfig
from codecbench_train.data.entries import Entry, Listing, list_source
from codecbench_train.data.sampling import Mixture


@dataclass(frozen=True)
class TrainingCorpus:
    """What a run trains and validates on. ``unreadable``: ids that were left out already while listing."""

    mixture: Mixture
    dev: list[Entry]
    hours: float
    unreadable: list[str]


def open_corpus(config: DataConfig, seed: int) -> TrainingCorpus:
    """List every source, take the dev speakers out, and mix the rest.

    Raises:
        UsageError: if a source holds nothing, too much of it is unreadable, no utterance is left to train on, or a
            speaker of the dev set is also trained on.
    """
    training, weights, dev, unreadable = [], [], [], []
    for source in config.sources:
        listing = list_source(Path(source.path), root=Path(source.root) if source.root else None, split=source.split)
        _check_corrupt(source, listing, config.max_corrupt_share)
        unreadable += listing.unreadable
        if source.dev:
            dev += listing.entries
            continue
        held = dev_speakers(listing.entries, source.dev_speakers)
        dev += [e for e in listing.entries if e.speaker in held]
        kept = [e for e in listing.entries if e.speaker not in held and e.duration_s >= config.min_duration_s]
        if not kept:
            raise UsageError(f"training data {source.path}: nothing is left (dev speakers, min_duration_s)")
        training.append(kept)
        weights.append(source.weight)
    if not training:
        raise UsageError("no training data: every source given is for the dev set")
    _check_apart(training, dev)
    mixture = Mixture(training, weights, config.segment_s, seed)
    hours = sum(e.duration_s for entries in training for e in entries) / 3600
    return TrainingCorpus(mixture, spread(dev, config.dev_utterances), hours, unreadable)


def _check_corrupt(source: SourceConfig, listing: Listing, limit: float) -> None:
    total = len(listing.entries) + len(listing.unreadable)
    if len(listing.unreadable) > limit * total:
        raise UsageError(
            f"training data {source.path}: {len(listing.unreadable)} of {total} utterances cannot be read "
            f"({', '.join(listing.unreadable[:3])}, ...), more than data.max_corrupt_share = {limit:g}; mend it or "
            "raise the limit"
        )


def _check_apart(training: Sequence[Sequence[Entry]], dev: Sequence[Entry]) -> None:
    both = {e.speaker for entries in training for e in entries} & {e.speaker for e in dev} - {""}
    if both:
        raise UsageError(f"speakers in the dev set and in training: {', '.join(sorted(both)[:5])}")


def dev_speakers(entries: Sequence[Entry], count: int) -> frozenset[str]:
    """``count`` speakers chosen by a hash of their names: the same whatever else the source holds or in what order.

    Raises:
        UsageError: if the source does not have more speakers than that.
    """
    if count == 0:
        return frozenset()
    names = {e.speaker for e in entries} - {""}
    if len(names) <= count:
        raise UsageError(f"dev_speakers = {count}, but the source names only {len(names)} speakers")
    return frozenset(sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())[:count])


def spread(entries: Sequence[Entry], count: int) -> list[Entry]:
    """At most ``count`` entries, evenly spread over the list."""
    if len(entries) <= count:
        return list(entries)
    return [entries[i * len(entries) // count] for i in range(count)]
