"""``codecbench env``: environments of plugins whose requirements cannot be installed beside ours."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from codecbench.cli.common import host_with, json_option, plugin_option, print_json, print_table

if TYPE_CHECKING:
    from codecbench.isolation.placing import PluginOrigin


@click.group("env")
def env_command() -> None:
    """Make, list and remove environments of plugins whose requirements cannot be installed beside ours."""


@env_command.command("build")
@click.argument("plugin")
@click.option(
    "--wheels", type=click.Path(path_type=Path), metavar="DIR", help="Install from this folder, without index."
)
@click.option("--inherit", is_flag=True, help="Let the packages of codecbench be seen behind its own (torch is large).")
@click.option(
    "--python", default="", metavar="PYTHON", help="Interpreter of 3.11 or newer; the running one if not given."
)
@plugin_option
def build_command(plugin: str, wheels: Path | None, inherit: bool, python: str, plugin_files: tuple[Path, ...]) -> int:
    """Make the environment of PLUGIN afresh, from the requirements that its codecs declare."""
    from codecbench.isolation.building import BuildPlan, build_environment

    origin, requirements = _declared(plugin, plugin_files)
    environment = build_environment(BuildPlan(origin, requirements, wheels, inherit, python))
    packages = ", ".join(f"{name} {version}" for name, version in environment.packages.items())
    click.echo(f"{environment.folder}: Python {environment.python}, {packages or 'no packages of its own'}")
    return 0


@env_command.command("ls")
@json_option
def list_command(as_json: bool) -> int:
    """List the environments that there are."""
    from codecbench.isolation.environments import list_environments

    found = list_environments()
    if as_json:
        print_json([asdict(environment) for environment in found])
        return 0
    rows = [
        (e.plugin, e.python, ", ".join(e.requirements), "yes" if e.inherits else "no", str(e.folder)) for e in found
    ]
    print_table("Environments", ("plugin", "python", "built for", "inherits", "folder"), rows)
    return 0


@env_command.command("rm")
@click.argument("plugin")
def remove_command(plugin: str) -> int:
    """Delete the environment of PLUGIN."""
    from codecbench.isolation.environments import remove_environment

    remove_environment(plugin)
    return 0


def _declared(plugin: str, files: tuple[Path, ...]) -> tuple[PluginOrigin, tuple[str, ...]]:
    """Return where a plugin lies and what its codecs require; raises UsageError where there is nothing to build."""
    from codecbench.errors import UsageError, unknown_name
    from codecbench.isolation.placing import PluginOrigin

    families = host_with(files).registry.codecs.values()
    entries = [entry for family in families for entry in family.entries.values()]
    mine = [entry for entry in entries if entry.plugin == plugin]
    if not mine:
        raise unknown_name("plugin with codecs", plugin, {entry.plugin for entry in entries})
    requirements = tuple(dict.fromkeys(text for entry in mine for text in entry.spec.requirements))
    if not requirements:
        raise UsageError(f"plugin '{plugin}' declares no requirements (CodecSpec.requirements): it runs as it is")
    return PluginOrigin(plugin, mine[0].origin), requirements
