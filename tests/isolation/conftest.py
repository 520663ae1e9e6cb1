"""Environments of made-up plugins, built once; nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from codecbench import Codec
from codecbench.cli.env import env_command
from codecbench.isolation import placing
from codecbench.loading import load, prepare
from codecbench.plugins import load_plugins
from tests.isolation.made_up import levelpacker, write_plugin, write_wheel

VERSIONS = {"levels_one": "1.0", "levels_two": "2.0"}


def build(plugin: Path, *arguments: str) -> str:
    """Run ``codecbench env build`` for a plugin file and return what it prints."""
    done = CliRunner().invoke(
        env_command, ["build", plugin.stem, "--plugin", str(plugin), *arguments], standalone_mode=False
    )
    if done.exception is not None:
        raise done.exception
    return done.output


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of wheels: two versions of one module that cannot live together."""
    folder = tmp_path_factory.mktemp("wheels")
    for version in VERSIONS.values():
        write_wheel(folder, "levelpacker", version, levelpacker(version))
    return folder


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> dict[str, Path]:
    """The plugin files by name, their environments built; ``cache`` is the folder that they lie in."""
    folder = tmp_path_factory.mktemp("isolated")
    pack = {"levels_one": "library.pack(levels)", "levels_two": "library.pack_levels(levels)"}
    files = {n: write_plugin(folder, n, "levelpacker", v, pack[n]) for n, v in VERSIONS.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CODECBENCH_CACHE", str(folder / "cache"))
        for file in files.values():
            build(file, "--wheels", str(wheels), "--inherit")
    return {**files, "cache": folder / "cache"}


@pytest.fixture
def environments(built: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Path]]:
    """The same, with the cache folder set for the test."""
    monkeypatch.setenv("CODECBENCH_CACHE", str(built["cache"]))
    yield built
    placing._idle.clear()


def open_levels(plugin: Path, **options: str) -> Codec:
    """Open the codec of a made-up plugin."""
    name = plugin.stem.replace("_", "-")
    return load(prepare(load_plugins([plugin]).registry, name, {name: options}))


@pytest.fixture(scope="session")
def opened(built: dict[str, Path]) -> Codec:
    """The codec of version 1, opened once; a process that died is started again by the next call."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CODECBENCH_CACHE", str(built["cache"]))
        return open_levels(built["levels_one"])


@pytest.fixture
def codec(opened: Codec, environments: dict[str, Path]) -> Codec:
    """The same, where its environment can be found again."""
    return opened
