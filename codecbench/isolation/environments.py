"""The environments that were built: one folder for each plugin, below the cache."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from codecbench.cache import cache_folder
from codecbench.errors import UsageError, unknown_name

_DESCRIPTION = "environment.json"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True)
class Environment:
    """One environment.

    plugin: whose it is. requirements: what it was built for. python: version of its interpreter. inherits: whether
    it sees codecbench's own packages where it has none of its own. packages: versions by name, of its own packages.
    """

    plugin: str
    folder: Path
    requirements: tuple[str, ...]
    python: str
    inherits: bool
    packages: Mapping[str, str] = field(default_factory=dict)

    @property
    def interpreter(self) -> Path:
        """Its Python."""
        return self.folder / "bin" / "python"


def environments_folder() -> Path:
    """Return where environments lie: ``environments`` below the cache folder."""
    return cache_folder().resolve() / "environments"


def environment_folder(plugin: str) -> Path:
    """Return where the environment of ``plugin`` lies or would lie; raises UsageError for an unusable name."""
    if not _NAME.fullmatch(plugin):
        raise UsageError(f"plugin '{plugin}': letters, digits, '.', '_' and '-' make the name of an environment")
    return environments_folder() / plugin


def find_environment(plugin: str) -> Environment | None:
    """Return the environment of ``plugin``, or None where there is none or its building did not end."""
    if not _NAME.fullmatch(plugin):
        return None
    return _load(environment_folder(plugin))


def list_environments() -> list[Environment]:
    """Return all environments, by name."""
    folder = environments_folder()
    found = [_load(path) for path in sorted(folder.iterdir())] if folder.is_dir() else []
    return [environment for environment in found if environment is not None]


def save_environment(environment: Environment) -> None:
    """Write the description: the last step of building, so that its presence says that building ended."""
    facts = asdict(environment) | {"packages": dict(environment.packages)}
    del facts["folder"]
    (environment.folder / _DESCRIPTION).write_text(json.dumps(facts, indent=2) + "\n", "utf-8")


def remove_environment(plugin: str) -> None:
    """Delete an environment, finished or not; raises UsageError where there is none."""
    folder = environment_folder(plugin)
    if not folder.is_dir():
        raise unknown_name("environment", plugin, [environment.plugin for environment in list_environments()])
    shutil.rmtree(folder)


def _load(folder: Path) -> Environment | None:
    """Read a description; one that cannot be read is one that has to be built again."""
    try:
        facts = json.loads((folder / _DESCRIPTION).read_text("utf-8"))
        environment = Environment(
            plugin=str(facts["plugin"]),
            folder=folder,
            requirements=tuple(str(r) for r in facts["requirements"]),
            python=str(facts["python"]),
            inherits=bool(facts["inherits"]),
            packages={str(name): str(version) for name, version in facts["packages"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return environment if environment.interpreter.exists() else None
