"""Environments: built from what a plugin declares, offline from wheels, told where they are missing or do not fit."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from codecbench import CodecSpec, Unavailable, UsageError
from codecbench.cli.env import env_command
from codecbench.isolation.building import BuildError
from codecbench.isolation.environments import find_environment, list_environments, remove_environment
from codecbench.isolation.placing import placed
from codecbench.isolation.requirements import unmet
from codecbench.loading import PreparedCodec, prepare
from codecbench.plugins import load_plugins
from codecbench.registering import CodecEntry
from tests.isolation.conftest import build
from tests.isolation.made_up import write_plugin


def prepared(plugin: Path) -> PreparedCodec:
    return prepare(load_plugins([plugin]).registry, plugin.stem.replace("_", "-"), {})


def test_requirements_are_looked_up_without_an_import() -> None:
    assert unmet(("numpy", "pytest>=1", "weights of someone v1.3", "xml", "tomli; python_version < '3.11'")) == ()
    (missing, other) = unmet(("levelpacker==1.0", "numpy==0.1"))
    assert missing == "levelpacker==1.0 (not installed)"
    assert other.startswith("numpy==0.1 (here: ")
    assert "levelpacker" not in sys.modules


def test_a_codec_whose_requirements_are_met_runs_where_it_always_did() -> None:
    spec = CodecSpec("x", requirements=("numpy>=1",))
    entry = CodecEntry(spec, lambda spec, context: None, "x", origin="x")  # type: ignore[arg-type,return-value]
    assert placed(entry) is entry


def test_an_environment_is_described_and_listed(environments: dict[str, Path]) -> None:
    one, two = list_environments()
    assert (one.plugin, two.plugin) == ("levels_one", "levels_two")
    assert dict(one.packages) == {"levelpacker": "1.0"}
    assert dict(two.packages) == {"levelpacker": "2.0"}
    assert one.requirements == ("levelpacker==1.0",)
    listed = CliRunner().invoke(env_command, ["ls", "--json"], standalone_mode=False)
    assert [row["plugin"] for row in json.loads(listed.output)] == ["levels_one", "levels_two"]


def test_the_packages_of_the_environment_are_part_of_the_identity(environments: dict[str, Path]) -> None:
    one, two = prepared(environments["levels_one"]), prepared(environments["levels_two"])
    assert one.unavailable is two.unavailable is None
    assert one.encode_identity["environment"]["levelpacker"] == "1.0"
    assert two.encode_identity["environment"]["levelpacker"] == "2.0"
    assert one.encode_identity["library"] == "1.0"


def test_a_missing_environment_says_how_to_make_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODECBENCH_CACHE", str(tmp_path / "cache"))
    plugin = write_plugin(tmp_path, "levels_away", "levelpacker", "1.0")
    problem = prepared(plugin).unavailable
    assert problem is not None
    assert problem.reason == "needs levelpacker==1.0 (not installed)"
    assert problem.remedy == f"codecbench env build levels_away --plugin {plugin}"


def test_an_environment_built_for_other_requirements_is_not_used(environments: dict[str, Path], tmp_path: Path) -> None:
    newer = write_plugin(tmp_path, "levels_one", "levelpacker", "1.5")
    problem = prepared(newer).unavailable
    assert problem is not None
    assert "built without levelpacker==1.5" in problem.reason


def test_an_environment_whose_python_is_gone_counts_as_none(
    environments: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODECBENCH_CACHE", str(tmp_path))
    for name, text in {"half": None, "broken": "{", "list": "[]", "no-python": '{"plugin": "no-python"}'}.items():
        folder = tmp_path / "environments" / name
        folder.mkdir(parents=True)
        if text is not None:
            (folder / "environment.json").write_text(text)
    assert list_environments() == []
    remove_environment("half")
    assert not (tmp_path / "environments" / "half").exists()
    with pytest.raises(UsageError, match="unknown environment 'half'"):
        remove_environment("half")


@pytest.mark.parametrize("name", ["../outside", "/etc", "", ".hidden", "a/b"])
def test_a_name_cannot_leave_the_folder_of_environments(name: str) -> None:
    assert find_environment(name) is None
    with pytest.raises(UsageError, match="make the name of an environment"):
        remove_environment(name)


def test_what_cannot_be_built_says_why(tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODECBENCH_CACHE", str(tmp_path / "cache"))
    plugin = write_plugin(tmp_path, "levels_nine", "levelpacker", "9.0")
    with pytest.raises(UsageError, match="no such folder"):
        build(plugin, "--wheels", str(tmp_path / "absent"), "--inherit")
    with pytest.raises(BuildError, match=r"cannot install levelpacker==9\.0.*pip|python says"):
        build(plugin, "--wheels", str(wheels), "--inherit")
    assert isinstance(prepared(plugin).unavailable, Unavailable)
    with pytest.raises(BuildError, match="cannot be run"):
        build(plugin, "--wheels", str(wheels), "--inherit", "--python", "/no/such/python")
    with pytest.raises(UsageError, match="unknown plugin with codecs 'levels'"):
        CliRunner().invoke(env_command, ["build", "levels"], standalone_mode=False, catch_exceptions=False)
    with pytest.raises(UsageError, match="declares no requirements"):
        CliRunner().invoke(env_command, ["build", "basic"], standalone_mode=False, catch_exceptions=False)
