"""Where a codec runs: in the process that asks for it, or, where its requirements are not met, in an environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from codecbench.contracts.codec import AvailabilityCheck, Codec, CodecContext, CodecSpec
from codecbench.errors import Unavailable
from codecbench.isolation.environments import Environment, find_environment
from codecbench.isolation.requirements import packages, unmet
from codecbench.registering import CodecEntry

if TYPE_CHECKING:
    from codecbench.isolation.process import WorkerProcess


# A process that answered a question waits here for the next one, or for the codec that it was asked about.
_idle: dict[PluginOrigin, tuple[Environment, WorkerProcess]] = {}


@dataclass(frozen=True)
class PluginOrigin:
    """Where a plugin's code lies: its name, and the file or the module that holds its hooks."""

    plugin: str
    origin: str

    @property
    def packages(self) -> tuple[str, ...]:
        """Top-level packages that the worker may take from the driver's path."""
        return () if self.is_file else (self.origin.partition(":")[0].partition(".")[0],)

    @property
    def is_file(self) -> bool:
        """Whether it is a file given by ``--plugin`` rather than an installed module."""
        return self.origin.endswith(".py")

    @property
    def build_command(self) -> str:
        """What makes its environment."""
        return f"codecbench env build {self.plugin}" + (f" --plugin {self.origin}" if self.is_file else "")


def placed(entry: CodecEntry) -> CodecEntry:
    """Return ``entry`` where its requirements are met here, else one whose codec runs in its plugin's environment."""
    lacking = unmet(entry.spec.requirements)
    if not lacking or not entry.origin:  # a plugin that came from neither file nor module cannot be imported elsewhere
        return entry
    place = Place(entry, lacking)
    return replace(entry, factory=place.open, available=place.available, identity=place.identity)


class Place:
    """What stands in for the functions of a codec entry whose requirements are not met here."""

    def __init__(self, entry: CodecEntry, lacking: tuple[str, ...]) -> None:
        self._entry, self._lacking = entry, lacking
        self.origin = PluginOrigin(entry.plugin, entry.origin)

    def available(self, spec: CodecSpec, options: Mapping[str, Any]) -> None:
        """Raise Unavailable where there is no fitting environment, or where the plugin says so in it."""
        self._check(spec, options)
        self._ask("available", spec, options)

    def identity(self, spec: CodecSpec, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what the plugin names in its environment, and the packages of that environment."""
        environment = self._check(spec, options)
        facts = {"python": environment.python, **dict(sorted(environment.packages.items()))}
        return {**self._ask("identity", spec, options), "environment": facts}

    def open(self, spec: CodecSpec, context: CodecContext) -> Codec:
        """Make the codec in its environment."""
        from codecbench.isolation.codec import IsolatedCodec

        return IsolatedCodec(spec, context, self)

    def start(self) -> WorkerProcess:
        """Return a worker process: one that waits, else a new one; raises Unavailable where it cannot be had."""
        from codecbench.isolation.process import WorkerProcess

        environment = self._environment()
        built, process = _idle.pop(self.origin, (None, None))
        if process is not None and process.alive and built == environment:
            return process
        return WorkerProcess(environment, self.origin)

    def _check(self, spec: CodecSpec, options: Mapping[str, Any]) -> Environment:
        if find_environment(self.origin.plugin) is None and self._entry.available is not None:
            self._refuse_in_its_words(self._entry.available, spec, options)
        environment = self._environment()
        wanted = {str(requirement) for requirement in packages(spec.requirements)}
        if not wanted <= set(environment.requirements):
            missing = ", ".join(sorted(wanted - set(environment.requirements)))
            raise Unavailable(f"its environment was built without {missing}", self.origin.build_command)
        return environment

    def _environment(self) -> Environment:
        environment = find_environment(self.origin.plugin)
        if environment is None:
            raise Unavailable(f"needs {', '.join(self._lacking)}", self.origin.build_command)
        return environment

    def _refuse_in_its_words(self, check: AvailabilityCheck, spec: CodecSpec, options: Mapping[str, Any]) -> None:
        """Let the plugin say what is missing, and add how to have it in an environment of its own."""
        build = self.origin.build_command
        try:
            check(spec, options)
        except Unavailable as error:
            remedy = f"{error.remedy}; or, in an environment of its own: {build}" if error.remedy else build
            raise Unavailable(error.reason, remedy) from error

    def _ask(self, call: str, spec: CodecSpec, options: Mapping[str, Any]) -> Any:
        from codecbench.isolation.process import QUESTION_S, IsolationError

        environment, process = self._environment(), self.start()
        try:
            return process.ask(call, limit_s=QUESTION_S, codec=spec.full_name, options=texts(options))
        except IsolationError as error:
            raise Unavailable(str(error), self.origin.build_command) from error
        finally:
            _idle[self.origin] = (environment, process)


def texts(options: Mapping[str, Any]) -> dict[str, str]:
    """Return resolved options as ``--set`` would give them; what is None is left to the default."""
    return {name: str(value) for name, value in options.items() if value is not None}
