"""Scorers of a run: which ones, what identifies their values, and how one is made in a process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from codecbench.contracts.metric import Measurement, MetricSpec, ScorerContext, ScorerSpec, Stage, Status
from codecbench.contracts.recognizer import Recognizer, RecognizerContext
from codecbench.errors import CodecbenchError, PluginError, Unavailable, UsageError, unknown_name
from codecbench.loading import Settings
from codecbench.options import affecting, resolve_options
from codecbench.registering import RecognizerEntry, Registry
from codecbench.runner.messages import ScorerRef


def failed(spec: ScorerSpec, ref: ScorerRef, status: Status, reason: str) -> tuple[Measurement, ...]:
    """Return a measurement without a value for each metric of a scorer that could not be applied."""
    return tuple(Measurement(m.name, status=status, reason=reason, component=ref.recognizer) for m in spec.metrics)


@dataclass(frozen=True)
class PreparedScorer:
    """A scorer of the run with its identity, or the reason why it cannot be had."""

    ref: ScorerRef
    spec: ScorerSpec
    identity: Mapping[str, Any]
    unavailable: Unavailable | None = None

    @property
    def stage(self) -> Stage:
        """When it runs."""
        return self.spec.stage

    @property
    def metrics(self) -> Sequence[MetricSpec]:
        """Its metrics."""
        return self.spec.metrics

    @cached_property
    def versions(self) -> Mapping[str, str]:
        """Version of each metric."""
        return {metric.name: metric.version for metric in self.spec.metrics}

    @property
    def title(self) -> str:
        """Its name with that of its recogniser."""
        return self.ref.title

    def failed(self, status: Status, reason: str) -> tuple[Measurement, ...]:
        """Return a measurement without a value for each metric."""
        return failed(self.spec, self.ref, status, reason)


@dataclass(frozen=True)
class PreparedRecognizer:
    """A recogniser of the run with its identity, or the reason why it cannot be had."""

    name: str
    entry: RecognizerEntry
    options: Mapping[str, Any]
    identity: Mapping[str, Any]
    unavailable: Unavailable | None = None


def prepare_recognizer(registry: Registry, name: str, settings: Settings) -> PreparedRecognizer:
    """Find ``NAME`` or ``NAME:ARGUMENT`` with its options; raises UsageError for an unknown name or option."""
    plain, _, argument = name.partition(":")
    entry = registry.recognizers.get(plain)
    if entry is None:
        raise unknown_name("recogniser", plain, registry.recognizers)
    if argument and not entry.spec.argument:
        raise UsageError(f"recogniser '{plain}' takes nothing after a colon (got '{argument}')")
    given = {**settings.get(plain, {}), **({entry.spec.argument: argument} if argument else {})}
    options = resolve_options(plain, entry.spec.options, given)
    try:
        if entry.available is not None:
            entry.available(entry.spec, options)
        facts = entry.identity(entry.spec, options) if entry.identity is not None else {}
    except Unavailable as error:
        return PreparedRecognizer(name, entry, options, {}, error)
    chosen = affecting(entry.spec.options, options, {"encode", "decode"})
    identity = {"name": plain, "version": entry.spec.version, "options": chosen, **dict(facts)}
    return PreparedRecognizer(name, entry, options, identity)


def prepare_scorer(
    registry: Registry, name: str, settings: Settings, recognizer: PreparedRecognizer | None
) -> PreparedScorer:
    """Find a scorer with its options and identity; raises UsageError for an unknown name or option."""
    entry = registry.scorers.get(name)
    if entry is None:
        raise unknown_name("scorer", name, registry.scorers)
    spec = entry.spec
    options = resolve_options(name, spec.options, settings.get(name, {}))
    ref = ScorerRef(name, recognizer.name if recognizer else "")
    nobody = {"scorer": name, "recognizer": ref.recognizer, "unavailable": True}
    if recognizer is not None and recognizer.unavailable is not None:
        return PreparedScorer(ref, spec, nobody, recognizer.unavailable)
    try:
        if entry.available is not None:
            entry.available(options)
        facts = entry.identity(options) if entry.identity is not None else {}
    except Unavailable as error:
        return PreparedScorer(ref, spec, nobody, error)
    identity = {
        "scorer": name,
        "metrics": {metric.name: metric.version for metric in spec.metrics},
        "options": affecting(spec.options, options, {"encode", "decode"}),
        "recognizer": dict(recognizer.identity) if recognizer else None,
        **dict(facts),
    }
    return PreparedScorer(ref, spec, identity)


def make_recognizer(registry: Registry, name: str, settings: Settings, num_threads: int) -> Recognizer:
    """Load a recogniser on the CPU of a metric process."""
    prepared = prepare_recognizer(registry, name, settings)
    if prepared.unavailable is not None:
        raise prepared.unavailable
    context = RecognizerContext("cpu", num_threads, prepared.options)
    return prepared.entry.factory(prepared.entry.spec, context)


def make_scorer(registry: Registry, ref: ScorerRef, settings: Settings, num_threads: int) -> Any:
    """Make a scorer; raises Unavailable as it is and PluginError for anything else that goes wrong."""
    entry = registry.scorers[ref.name]
    options = resolve_options(ref.name, entry.spec.options, settings.get(ref.name, {}))
    try:
        if not ref.recognizer:
            return entry.factory(ScorerContext(options))
        recognizer = make_recognizer(registry, ref.recognizer, settings, num_threads)
        spec = registry.recognizers[ref.recognizer.partition(":")[0]].spec
        return entry.factory(ScorerContext(options, recognizer, ref.recognizer, spec))
    except CodecbenchError:
        raise
    except Exception as error:
        message = f"scorer '{ref.name}' cannot be made: {type(error).__name__}: {error}"
        raise PluginError(message, plugin=entry.plugin) from error
