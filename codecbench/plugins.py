"""Discovery: every plugin, built-in or not, comes through the entry-point group ``codecbench``.

Plugins load one at a time; one that fails is contained, named, and fatal only where it was asked for.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pluggy

from codecbench import hookspecs
from codecbench.errors import PluginError, UsageError
from codecbench.registering import PluginRegistrar, Registry

GROUP = "codecbench"


@dataclass(frozen=True)
class LoadedPlugin:
    """One plugin as ``codecbench plugins`` shows it; ``error`` is None where it loaded."""

    name: str
    distribution: str
    version: str
    module: str
    hooks: tuple[str, ...] = ()
    error: str | None = None
    traceback: str = field(default="", repr=False)


@dataclass
class PluginHost:
    """The plugin manager with all that was registered and all that failed."""

    registry: Registry = field(default_factory=Registry)
    plugins: list[LoadedPlugin] = field(default_factory=list)
    manager: pluggy.PluginManager = field(default_factory=lambda: _new_manager())
    files: tuple[Path, ...] = ()

    def failed(self) -> list[LoadedPlugin]:
        """Return the plugins that did not load."""
        return [p for p in self.plugins if p.error is not None]

    def add(self, module: object, name: str, distribution: str = "", version: str = "", origin: str = "") -> None:
        """Register ``module`` as the plugin ``name``: all of its registrations, or none and an error.

        origin: what ``import_plugin`` would import it from in another process.

        Raises PluginError for a name taken, an unknown hook, a wrong argument or an exception in a hook.
        """
        _check_contract(module, name, distribution)
        self.manager.register(module, name)
        try:
            self._check_hooks(module, name)
            registrar = PluginRegistrar(name, origin)
            hooks = self._call_hooks(module, registrar)
            self.registry.absorb(registrar.registry, name)
        except Exception:
            self.manager.unregister(name=name)
            raise
        where = getattr(module, "__name__", type(module).__name__)
        self.plugins.append(LoadedPlugin(name, distribution, version, where, hooks))

    def remove(self, name: str) -> None:
        """Take plugin ``name`` and its registrations out again (tests)."""
        self.manager.unregister(name=name)
        self.plugins = [p for p in self.plugins if p.name != name]
        for table in vars(self.registry).values():
            for key in [k for k, e in table.items() if (e[1] if isinstance(e, tuple) else e.plugin) == name]:
                del table[key]

    def _check_hooks(self, module: object, name: str) -> None:
        try:
            self.manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise PluginError(f"implements an unknown hook: {error}", plugin=name) from error

    def _call_hooks(self, module: object, registrar: PluginRegistrar) -> tuple[str, ...]:
        others = [p for p in self.manager.get_plugins() if p is not module]
        called = []
        for hook, register in registrar.callables().items():
            caller = self.manager.subset_hook_caller(hook, others)
            if caller.get_hookimpls():
                caller(register=register)
                called.append(hook)
        return tuple(called)


def _new_manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


def _check_contract(module: object, name: str, distribution: str) -> None:
    wanted = getattr(module, "CODECBENCH_CONTRACT", hookspecs.CONTRACT_VERSION)
    ours = hookspecs.CONTRACT_VERSION
    if str(wanted).split(".")[0] != ours.split(".")[0]:
        raise PluginError(
            f"was written for plugin contract {wanted}; this codecbench has {ours}. "
            "Install a version of the plugin made for it",
            plugin=name,
            distribution=distribution,
        )


def load_plugins(files: Iterable[Path] = ()) -> PluginHost:
    """Load every installed plugin (failures contained), then ``files`` (failures fatal: they were asked for)."""
    host = PluginHost(files=tuple(Path(f).resolve() for f in files))
    only = {n for n in os.environ.get("CODECBENCH_PLUGINS", "").split(",") if n}
    for entry_point in sorted(metadata.entry_points(group=GROUP), key=lambda e: e.name):
        if not only or entry_point.name in only:
            _load_entry_point(host, entry_point)
    for file in host.files:
        host.add(_import_file(file), file.stem, distribution=str(file), origin=str(file))
    return host


def _load_entry_point(host: PluginHost, entry_point: metadata.EntryPoint) -> None:
    distribution = entry_point.dist.name if entry_point.dist else "?"
    version = entry_point.dist.version if entry_point.dist else "?"
    try:
        host.add(entry_point.load(), entry_point.name, distribution, version, entry_point.value)
    except Exception as error:  # a broken plugin must not take the suite down
        reason = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
        host.plugins.append(
            LoadedPlugin(
                entry_point.name,
                distribution,
                version,
                entry_point.value,
                error=reason,
                traceback=traceback.format_exc(),
            )
        )


def import_plugin(origin: str) -> object:
    """Import the hooks of a plugin: a ``.py`` file by its path, else ``module`` or ``module:attribute``.

    Raises UsageError for a file that does not exist and PluginError for one that fails to import.
    """
    if origin.endswith(".py"):
        return _import_file(Path(origin))
    return metadata.EntryPoint(name="", value=origin, group=GROUP).load()


def _import_file(file: Path) -> ModuleType:
    if not file.is_file():
        raise UsageError(f"--plugin {file}: no such file; give the path of a Python file with hook functions")
    spec = importlib.util.spec_from_file_location(f"codecbench_file_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise UsageError(f"--plugin {file}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise PluginError(f"fails to import: {type(error).__name__}: {error}", plugin=str(file)) from error
    return module
