"""From what the user named to what the run consists of: corpus, codecs, tasks, scorers, recognisers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from codecbench.contracts.codec import OptionSpec, Role
from codecbench.contracts.corpus import Corpus
from codecbench.contracts.metric import Stage
from codecbench.errors import UsageError, unknown_name
from codecbench.loading import PreparedCodec, Settings, prepare
from codecbench.options import check_owners, resolve_options
from codecbench.registering import CodecEntry, Registry
from codecbench.runner.config import RunConfig
from codecbench.runner.scoring import PreparedRecognizer, PreparedScorer, prepare_recognizer, prepare_scorer
from codecbench.runner.utterances import Scan, UtteranceTable


@dataclass(frozen=True)
class Selection:
    """What a run consists of; ``unavailable`` codecs are told and left out."""

    corpus: Corpus
    codecs: tuple[PreparedCodec, ...]
    unavailable: tuple[PreparedCodec, ...]
    tasks: tuple[str, ...]
    scorers: tuple[PreparedScorer, ...]
    recognizers: tuple[PreparedRecognizer, ...]

    def at(self, stage: Stage) -> tuple[PreparedScorer, ...]:
        """The scorers of one stage."""
        return tuple(s for s in self.scorers if s.stage is stage)

    def per_utterance(self) -> tuple[PreparedScorer, ...]:
        """The scorers that score utterances as they come, unavailable ones among them."""
        return tuple(s for s in self.scorers if s.stage in (Stage.TOKENS, Stage.AUDIO))


def select(registry: Registry, config: RunConfig) -> Selection:
    """Resolve a configuration; raises UsageError for anything that does not exist."""
    check_settings(registry, config.settings)
    prepared = select_codecs(registry, config)
    tasks = _tasks(registry, config.tasks)
    recognizers = tuple(_recognizers(registry, config))
    scorers = tuple(_scorers(registry, config, tasks, recognizers))
    corpus = open_corpus(registry, config)
    available = tuple(p for p in prepared if p.unavailable is None)
    unavailable = tuple(p for p in prepared if p.unavailable is not None)
    return Selection(corpus, available, unavailable, tasks, scorers, recognizers)


def list_utterances(corpus: Corpus, config: RunConfig, path: Path) -> UtteranceTable:
    """Walk over the corpus once and write what is found to ``path``; raises UsageError for an empty one."""
    table = UtteranceTable.write(path, Scan(islice(corpus.utterances(), config.limit), config.shard))
    if not table.num_walked:
        raise UsageError(f"corpus '{corpus.name}' holds no utterances")
    return table


def check_settings(registry: Registry, settings: Settings) -> None:
    """Raise UsageError for a setting of an unknown owner or option, or a value of another type, used or not."""
    declared: dict[str, list[OptionSpec]] = {}
    for family in registry.codecs.values():
        for entry in family.entries.values():
            declared.setdefault(family.name, []).extend(entry.spec.options)
    for table in (registry.scorers, registry.recognizers, registry.corpora, registry.reports):
        for name, other in table.items():
            declared.setdefault(name, []).extend(other.spec.options)
    check_owners(settings, declared)
    for owner, given in settings.items():
        resolve_options(owner, declared[owner], given)


def select_codecs(registry: Registry, config: RunConfig) -> tuple[PreparedCodec, ...]:
    """Prepare the codecs asked for (else every default one), with the ceiling codec always among them."""
    names = list(config.codecs) or default_codecs(registry)
    prepared = [prepare(registry, name, config.settings, config.device) for name in names]
    if not any(p.spec.role is Role.CEILING for p in prepared):
        ceilings = [f.name for f in registry.codecs.values() if _first(f.entries).spec.role is Role.CEILING]
        prepared = [prepare(registry, name, config.settings, config.device) for name in ceilings[:1]] + prepared
    unique: dict[str, PreparedCodec] = {}
    for p in prepared:
        unique.setdefault(p.label, p)
    return tuple(unique.values())


def default_codecs(registry: Registry) -> list[str]:
    """Names of the variants that a run without ``--codecs`` covers."""
    entries = [entry for family in registry.codecs.values() for entry in family.entries.values()]
    return [entry.spec.full_name for entry in entries if entry.spec.default]


def open_corpus(registry: Registry, config: RunConfig) -> Corpus:
    """Open the corpus named or given by path; raises UsageError where nothing recognises it."""
    name = config.corpus or next((c.spec.name for c in registry.corpora.values() if c.spec.default), "")
    kind, colon, argument = name.partition(":")
    entry = registry.corpora.get(kind if colon else name)
    if entry is None:
        argument = name
        entry = next((c for c in registry.corpora.values() if c.matches is not None and c.matches(name)), None)
    if entry is None:
        raise unknown_name("corpus", name, registry.corpora)
    options = resolve_options(entry.spec.name, entry.spec.options, config.settings.get(entry.spec.name, {}))
    return entry.open(argument, options)


def _tasks(registry: Registry, names: Sequence[str]) -> tuple[str, ...]:
    for name in names:
        if name not in registry.tasks:
            raise unknown_name("task", name, registry.tasks)
    return tuple(names) or tuple(name for name, entry in registry.tasks.items() if entry.spec.default)


def _recognizers(registry: Registry, config: RunConfig) -> Iterable[PreparedRecognizer]:
    names = config.recognizers or tuple(r.spec.name for r in registry.recognizers.values() if r.spec.default)
    return [prepare_recognizer(registry, name, config.settings) for name in dict.fromkeys(names)]


def _scorers(
    registry: Registry, config: RunConfig, tasks: Sequence[str], recognizers: Sequence[PreparedRecognizer]
) -> Iterable[PreparedScorer]:
    names = dict.fromkeys(name for task in tasks for name in registry.tasks[task].spec.scorers)
    for name in names:
        if name not in registry.scorers:
            raise unknown_name("scorer", name, registry.scorers)
        if registry.scorers[name].spec.needs_recognizer:
            for recognizer in recognizers:
                yield prepare_scorer(registry, name, config.settings, recognizer)
        else:
            yield prepare_scorer(registry, name, config.settings, None)


def _first(entries: dict[str, CodecEntry]) -> CodecEntry:
    return next(iter(entries.values()))
