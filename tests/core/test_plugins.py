"""Loading plugins: strict registration, contained failures, nothing heavy at import."""

from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from codecbench import CodecSpec, PluginError, TaskSpec, UsageError, hookimpl
from codecbench.plugins import PluginHost, load_plugins
from tests import toy_plugin

LIGHT = """
import sys
from codecbench.plugins import load_plugins
host = load_plugins()
assert not host.failed(), [(p.name, p.error) for p in host.failed()]
heavy = {"torch", "torchaudio", "transformers", "matplotlib", "pandas", "scipy", "pyarrow", "av", "jiwer"}
print(",".join(sorted(heavy & set(sys.modules))))
"""


def plugin(**hooks: Callable[[Any], None]) -> types.ModuleType:
    """Make a plugin module from hook functions."""
    module = types.ModuleType("made_in_a_test")
    for name, function in hooks.items():
        function.__name__ = name
        setattr(module, name, hookimpl(function))
    return module


def test_a_name_belongs_to_one_plugin() -> None:
    host = PluginHost()
    host.add(toy_plugin, "toy")
    again = plugin(register_codecs=lambda register: register(CodecSpec("toy"), lambda s, c: None))
    with pytest.raises(PluginError, match=r"codec 'toy'.*plugin 'toy'") as caught:
        host.add(again, "usurper")
    assert caught.value.plugin == "usurper"
    assert host.registry.codecs["toy"].plugin == "toy"


def test_a_plugin_registers_all_or_nothing() -> None:
    def register_codecs(register: Any) -> None:
        register(CodecSpec("half"), lambda s, c: None)
        raise RuntimeError("broken in the middle")

    host = PluginHost()
    with pytest.raises(RuntimeError):
        host.add(plugin(register_codecs=register_codecs), "half")
    assert "half" not in host.registry.codecs
    host.add(plugin(register_tasks=lambda register: register(TaskSpec("t", "t", ()))), "half")
    assert "t" in host.registry.tasks


def test_an_unknown_hook_is_refused() -> None:
    with pytest.raises(PluginError, match="unknown hook"):
        PluginHost().add(plugin(register_codec=lambda register: None), "typo")


def test_a_wrong_first_argument_names_hook_and_type() -> None:
    wrong = plugin(register_codecs=lambda register: register("mimi", None))
    with pytest.raises(PluginError, match="register_codecs must be given a CodecSpec first, not str"):
        PluginHost().add(wrong, "wrong")


def test_another_contract_version_is_refused() -> None:
    module = plugin(register_tasks=lambda register: None)
    module.CODECBENCH_CONTRACT = "2.0"  # type: ignore[attr-defined]
    with pytest.raises(PluginError, match=r"contract 2\.0"):
        PluginHost().add(module, "newer")


def test_removing_a_plugin_takes_its_registrations() -> None:
    host = PluginHost()
    host.add(toy_plugin, "toy")
    host.remove("toy")
    assert not host.registry.codecs
    assert not host.registry.metrics
    host.add(toy_plugin, "toy")


def test_a_broken_entry_point_is_contained_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = metadata.EntryPoint("broken", "module_that_does_not_exist", "codecbench")
    real = metadata.entry_points

    def with_broken(**query: Any) -> Any:
        return [*real(**query), broken]

    monkeypatch.setattr(metadata, "entry_points", with_broken)
    host = load_plugins()
    assert [p.name for p in host.failed()] == ["broken"]
    assert "module_that_does_not_exist" in (host.failed()[0].error or "")
    assert "identity" in host.registry.codecs


def test_a_broken_plugin_file_is_fatal(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("raise ValueError('no')", "utf-8")
    with pytest.raises(PluginError, match="ValueError: no"):
        load_plugins([file])
    with pytest.raises(UsageError, match="no such file"):
        load_plugins([tmp_path / "missing.py"])


def test_every_built_in_plugin_loads_and_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
