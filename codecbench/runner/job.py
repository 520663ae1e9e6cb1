"""A run that is ready to begin: what the run itself, its dry run, one shard and the merging of shards share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from codecbench.contracts.codec import Role
from codecbench.plugins import PluginHost
from codecbench.runner.config import RunConfig
from codecbench.runner.costs import Costs
from codecbench.runner.plan import CodecGroup, Lane, group_codecs
from codecbench.runner.selection import Selection, list_utterances, select
from codecbench.runner.survey import GroupWork, survey
from codecbench.runner.utterances import UtteranceTable

# Decoded audio up to this length over all codecs together is kept unless --no-audio says otherwise.
KEEP_AUDIO_UP_TO_S = 30 * 60.0


@dataclass(frozen=True)
class Job:
    """What was asked for, resolved, with the corpus walked and the store opened."""

    config: RunConfig
    host: PluginHost
    selection: Selection
    table: UtteranceTable
    groups: tuple[CodecGroup, ...]
    costs: Costs

    @property
    def lanes(self) -> tuple[tuple[CodecGroup, Lane], ...]:
        """Every codec name of the run, in the order in which they were asked for."""
        found = {lane.label: (group, lane) for group in self.groups for lane in group.lanes}
        return tuple(found[prepared.label] for prepared in self.selection.codecs)

    @property
    def ceiling(self) -> str:
        """Label of the ceiling codec, empty where the run has none."""
        return next((p.label for p in self.selection.codecs if p.spec.role is Role.CEILING), "")

    def survey(self, *, retry: bool = True) -> tuple[GroupWork, ...]:
        """Count what the store lacks; ``retry``: what failed by a fault that may pass is lacking."""
        scorers = self.selection.per_utterance()
        return tuple(survey(group, self.table, scorers, retry=retry) for group in self.groups)


def open_job(config: RunConfig, host: PluginHost, table: Path | Callable[[Selection], UtteranceTable]) -> Job:
    """Resolve a configuration and walk its corpus into ``table``, or take the table that a function returns.

    Raises UsageError for anything that does not exist.
    """
    selection = select(host.registry, config)
    found = list_utterances(selection.corpus, config, table) if isinstance(table, Path) else table(selection)
    costs = Costs(config.store_folder, config.device)
    keep = _keeps_audio(config, selection, found)
    return Job(
        config,
        host,
        selection,
        found,
        group_codecs(selection.codecs, config.store_folder, config.seed, keep, costs),
        costs,
    )


def _keeps_audio(config: RunConfig, selection: Selection, table: UtteranceTable) -> bool:
    if config.keep_audio is not None:
        return config.keep_audio
    if config.store_folder.local is None:  # kept audio is opened by path
        return False
    if config.shard is not None:  # how long the whole is, no shard knows
        return False
    decoding = sum(not prepared.spec.encode_only for prepared in selection.codecs)
    return bool(decoding * table.durations_s.sum() <= KEEP_AUDIO_UP_TO_S)
