"""The registry: what plugins registered, by name, each entry with the plugin that it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from codecbench.contracts.codec import (
    AvailabilityCheck,
    CodecFactory,
    CodecSpec,
    IdentityCheck,
    VariantParser,
)
from codecbench.contracts.corpus import CorpusMatcher, CorpusOpener, CorpusSpec
from codecbench.contracts.metric import MetricSpec, ScorerFactory, ScorerSpec
from codecbench.contracts.recognizer import RecognizerFactory, RecognizerSpec
from codecbench.contracts.report import ReportRenderer, ReportSpec, TerminalRenderer
from codecbench.contracts.task import TaskSpec
from codecbench.errors import PluginError

T = TypeVar("T")


@dataclass(frozen=True)
class CodecEntry:
    """One registered variant of a codec with what makes and describes it; origin: where its plugin is imported from."""

    spec: CodecSpec
    factory: CodecFactory
    plugin: str
    available: AvailabilityCheck | None = None
    identity: IdentityCheck | None = None
    origin: str = ""


@dataclass
class CodecFamily:
    """All variants of one codec name; the first registered is what the bare name means."""

    name: str
    plugin: str
    entries: dict[str, CodecEntry] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    parse_variant: VariantParser | None = None
    variant_help: str = ""


@dataclass(frozen=True)
class ScorerEntry:
    """A registered scorer."""

    spec: ScorerSpec
    factory: ScorerFactory
    plugin: str
    available: Any = None
    identity: Any = None


@dataclass(frozen=True)
class RecognizerEntry:
    """A registered recogniser."""

    spec: RecognizerSpec
    factory: RecognizerFactory
    plugin: str
    available: Any = None
    identity: Any = None


@dataclass(frozen=True)
class CorpusEntry:
    """A registered corpus or corpus format."""

    spec: CorpusSpec
    open: CorpusOpener
    plugin: str
    matches: CorpusMatcher | None = None


@dataclass(frozen=True)
class ReportEntry:
    """A registered report."""

    spec: ReportSpec
    render: ReportRenderer
    plugin: str
    terminal: TerminalRenderer | None = None


@dataclass(frozen=True)
class TaskEntry:
    """A registered task."""

    spec: TaskSpec
    plugin: str


@dataclass(frozen=True)
class CommandEntry:
    """A registered subcommand, imported only when it is used."""

    name: str
    help: str
    target: str
    plugin: str


class RegisterCodec(Protocol):
    """Registers one codec variant; the first one of a family is what its bare name means."""

    def __call__(
        self,
        spec: CodecSpec,
        factory: CodecFactory,
        *,
        available: AvailabilityCheck | None = None,
        identity: IdentityCheck | None = None,
        aliases: Sequence[str] = (),
        parse_variant: VariantParser | None = None,
        variant_help: str = "",
    ) -> None:
        """``parse_variant`` makes specifications for variants that are not listed (``opus:13kbps``)."""


class RegisterTask(Protocol):
    """Registers a task."""

    def __call__(self, spec: TaskSpec) -> None:
        """Its scorers may come from any plugin."""


class RegisterScorer(Protocol):
    """Registers a scorer and so its metrics."""

    def __call__(
        self, spec: ScorerSpec, factory: ScorerFactory, *, available: Any = None, identity: Any = None
    ) -> None:
        """``available(options)`` raises Unavailable; ``identity(options)`` names weights and versions."""


class RegisterCorpus(Protocol):
    """Registers a corpus."""

    def __call__(self, spec: CorpusSpec, open: CorpusOpener, *, matches: CorpusMatcher | None = None) -> None:
        """``matches(argument)`` says whether a path is of this kind; formats are asked in order."""


class RegisterRecognizer(Protocol):
    """Registers a recogniser."""

    def __call__(
        self, spec: RecognizerSpec, factory: RecognizerFactory, *, available: Any = None, identity: Any = None
    ) -> None:
        """``available(spec, options)`` raises Unavailable; ``identity(spec, options)`` names the weights."""


class RegisterReport(Protocol):
    """Registers a report."""

    def __call__(self, spec: ReportSpec, render: ReportRenderer, *, terminal: TerminalRenderer | None = None) -> None:
        """``render(runs, folder, options)`` returns the files written; ``terminal(run)`` what rich prints."""


class RegisterCommand(Protocol):
    """Registers a subcommand."""

    def __call__(self, name: str, help: str, target: str) -> None:
        """``target`` is ``module:attribute`` of a click command."""


@dataclass
class Registry:
    """Everything registered, by name; a name belongs to one plugin."""

    codecs: dict[str, CodecFamily] = field(default_factory=dict)
    tasks: dict[str, TaskEntry] = field(default_factory=dict)
    scorers: dict[str, ScorerEntry] = field(default_factory=dict)
    metrics: dict[str, tuple[MetricSpec, str]] = field(default_factory=dict)
    corpora: dict[str, CorpusEntry] = field(default_factory=dict)
    recognizers: dict[str, RecognizerEntry] = field(default_factory=dict)
    reports: dict[str, ReportEntry] = field(default_factory=dict)
    commands: dict[str, CommandEntry] = field(default_factory=dict)

    def absorb(self, other: Registry, plugin: str) -> None:
        """Take over all that ``other`` (one plugin's registrations) holds, or nothing where a name is taken."""
        for kind in self.__dataclass_fields__:
            mine, theirs = getattr(self, kind), getattr(other, kind)
            for name in theirs:
                if name in mine:
                    raise PluginError(
                        f"registers the {_SINGULAR[kind]} '{name}', which {_owner(mine[name])} has already; "
                        "rename one of them or remove one plugin",
                        plugin=plugin,
                    )
        for kind in self.__dataclass_fields__:
            getattr(self, kind).update(getattr(other, kind))


_SINGULAR = {"codecs": "codec", "tasks": "task", "scorers": "scorer", "metrics": "metric", "corpora": "corpus",
             "recognizers": "recogniser", "reports": "report", "commands": "command"}  # fmt: skip


def _owner(entry: Any) -> str:
    return f"plugin '{entry.plugin if hasattr(entry, 'plugin') else entry[1]}'"


@dataclass
class PluginRegistrar:
    """The ``register`` callables handed to one plugin; fills a registry of its own, merged on success."""

    plugin: str
    origin: str = ""
    registry: Registry = field(default_factory=Registry)

    def codec(
        self,
        spec: CodecSpec,
        factory: CodecFactory,
        *,
        available: AvailabilityCheck | None = None,
        identity: IdentityCheck | None = None,
        aliases: Sequence[str] = (),
        parse_variant: VariantParser | None = None,
        variant_help: str = "",
    ) -> None:
        """Register one codec variant."""
        self._expect(spec, CodecSpec, "register_codecs")
        family = self.registry.codecs.setdefault(spec.name, CodecFamily(spec.name, self.plugin))
        if spec.variant in family.entries:
            self._fail(f"registers codec '{spec.full_name}' twice")
        family.entries[spec.variant] = CodecEntry(spec, factory, self.plugin, available, identity, self.origin)
        for alias in aliases:
            if family.aliases.setdefault(alias, spec.variant) != spec.variant:
                self._fail(f"uses the alias '{alias}' of codec '{spec.name}' for two variants")
        if parse_variant is not None:
            family.parse_variant, family.variant_help = parse_variant, variant_help

    def task(self, spec: TaskSpec) -> None:
        """Register a task."""
        self._expect(spec, TaskSpec, "register_tasks")
        self._add(self.registry.tasks, spec.name, TaskEntry(spec, self.plugin), "task")

    def scorer(self, spec: ScorerSpec, factory: ScorerFactory, *, available: Any = None, identity: Any = None) -> None:
        """Register a scorer with its metrics."""
        self._expect(spec, ScorerSpec, "register_metrics")
        entry = ScorerEntry(spec, factory, self.plugin, available, identity)
        self._add(self.registry.scorers, spec.name, entry, "scorer")
        for metric in spec.metrics:
            self._add(self.registry.metrics, metric.name, (metric, self.plugin), "metric")

    def corpus(self, spec: CorpusSpec, open: CorpusOpener, *, matches: CorpusMatcher | None = None) -> None:
        """Register a corpus."""
        self._expect(spec, CorpusSpec, "register_corpora")
        self._add(self.registry.corpora, spec.name, CorpusEntry(spec, open, self.plugin, matches), "corpus")

    def recognizer(
        self, spec: RecognizerSpec, factory: RecognizerFactory, *, available: Any = None, identity: Any = None
    ) -> None:
        """Register a recogniser."""
        self._expect(spec, RecognizerSpec, "register_recognizers")
        entry = RecognizerEntry(spec, factory, self.plugin, available, identity)
        self._add(self.registry.recognizers, spec.name, entry, "recogniser")

    def report(self, spec: ReportSpec, render: ReportRenderer, *, terminal: TerminalRenderer | None = None) -> None:
        """Register a report."""
        self._expect(spec, ReportSpec, "register_reports")
        self._add(self.registry.reports, spec.name, ReportEntry(spec, render, self.plugin, terminal), "report")

    def command(self, name: str, help: str, target: str) -> None:
        """Register a subcommand."""
        self._add(self.registry.commands, name, CommandEntry(name, help, target, self.plugin), "command")

    def callables(self) -> Mapping[str, Any]:
        """Return the ``register`` argument for each hook, by hook name."""
        return {
            "register_codecs": self.codec,
            "register_tasks": self.task,
            "register_metrics": self.scorer,
            "register_corpora": self.corpus,
            "register_recognizers": self.recognizer,
            "register_reports": self.report,
            "register_commands": self.command,
        }

    def _add(self, table: dict[str, T], name: str, entry: T, kind: str) -> None:
        if name in table:
            self._fail(f"registers the {kind} '{name}' twice")
        table[name] = entry

    def _expect(self, spec: object, wanted: type, hook: str) -> None:
        if not isinstance(spec, wanted):
            self._fail(f"{hook} must be given a {wanted.__name__} first, not {type(spec).__name__}")

    def _fail(self, message: str) -> None:
        raise PluginError(message, plugin=self.plugin)
