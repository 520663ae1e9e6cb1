"""Making the environment of a plugin: with uv where it is there, else venv and pip; offline from a wheel folder."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from codecbench.errors import CodecbenchError, UsageError
from codecbench.isolation.environments import Environment, environment_folder, save_environment
from codecbench.isolation.placing import PluginOrigin
from codecbench.isolation.process import WorkerProcess
from codecbench.isolation.requirements import packages

# What the worker's side of codecbench itself imports.
BASE = ("numpy>=1.26", "pluggy>=1.5", "torch>=2.4")
_TOOLS = frozenset({"pip", "setuptools", "wheel"})


class BuildError(CodecbenchError):
    """An environment could not be made; the text ends with what the installer said."""


@dataclass(frozen=True)
class BuildPlan:
    """How to make an environment.

    requirements: of the plugin's codecs, as they state them. wheels: a folder to install from without any index.
    inherit: let codecbench's own packages be seen where the environment has none of its own (torch is large).
    python: the interpreter to use; codecbench's own where none is given.
    """

    origin: PluginOrigin
    requirements: tuple[str, ...]
    wheels: Path | None = None
    inherit: bool = False
    python: str = ""

    @property
    def packages(self) -> tuple[str, ...]:
        """What has to be installed."""
        own = tuple(str(requirement) for requirement in packages(self.requirements))
        return own if self.inherit else (*BASE, *own)


def build_environment(plan: BuildPlan) -> Environment:
    """Make the environment of a plugin afresh, and start the plugin's codecs in it once to see that they load.

    Raises UsageError for a wheel folder that does not exist and BuildError where an installer fails.
    """
    if plan.wheels is not None and not plan.wheels.is_dir():
        raise UsageError(f"--wheels {plan.wheels}: no such folder")
    folder = environment_folder(plan.origin.plugin)
    if folder.exists():
        shutil.rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # uv does not see inherited packages and would install them again.
    uv = None if plan.inherit else shutil.which("uv")
    _create(plan, folder, uv)
    if plan.inherit:
        _inherit(folder)
    if plan.packages:
        _install(plan, folder, uv)
    environment = _described(plan, folder)
    WorkerProcess(environment, plan.origin).stop()
    save_environment(environment)
    return environment


def _create(plan: BuildPlan, folder: Path, uv: str | None) -> None:
    python = plan.python or sys.executable
    if uv:
        _call([uv, "venv", "--quiet", "--python", python, str(folder)], "make the environment")
    else:
        # An environment that inherits has our pip.
        bare = ["--without-pip"] if plan.inherit and importlib.util.find_spec("pip") else []
        _call([python, "-m", "venv", *bare, str(folder)], "make the environment")


def _inherit(folder: Path) -> None:
    """Add our package folders behind the environment's own, whose versions so come first."""
    ours = dict.fromkeys(sysconfig.get_paths()[kind] for kind in ("purelib", "platlib"))
    (_site_packages(folder) / "inherited.pth").write_text("".join(f"{path}\n" for path in ours), "utf-8")


def _install(plan: BuildPlan, folder: Path, uv: str | None) -> None:
    python = str(folder / "bin" / "python")
    offline = ["--no-index", "--find-links", str(plan.wheels)] if plan.wheels else []
    if uv:
        command = [uv, "pip", "install", "--quiet", "--python", python]
    else:
        command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _call([*command, *offline, *plan.packages], f"install {', '.join(plan.packages)}")


def _call(command: Sequence[str], purpose: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise BuildError(f"cannot {purpose}: {command[0]} cannot be run: {error}") from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise BuildError(f"cannot {purpose}: {Path(command[0]).name} says:\n{said}")


def _described(plan: BuildPlan, folder: Path) -> Environment:
    site = _site_packages(folder)
    own = {d.name: d.version for d in metadata.distributions(path=[str(site)]) if d.name not in _TOOLS}
    return Environment(
        plugin=plan.origin.plugin,
        folder=folder,
        requirements=tuple(str(requirement) for requirement in packages(plan.requirements)),
        python=_python_version(folder),
        inherits=plan.inherit,
        packages=dict(sorted(own.items())),
    )


def _python_version(folder: Path) -> str:
    lines = (folder / "pyvenv.cfg").read_text("utf-8").splitlines()
    facts = {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}
    return facts.get("version") or facts.get("version_info", "")


def _site_packages(folder: Path) -> Path:
    return next((folder / "lib").glob("python3*")) / "site-packages"
