"""Codec names: family[:variant][@codebooks][/mode]."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codecbench.errors import UsageError
from codecbench.names import CodecName, parse_name, resolve
from codecbench.plugins import PluginHost, load_plugins
from tests import toy_plugin

WORD = st.text("abcdefghijklmnopqrstuvwxyz0123456789-.", min_size=1).filter(lambda t: t[0] not in "-.")


@pytest.fixture(scope="module")
def host() -> PluginHost:
    host = PluginHost()
    host.add(toy_plugin, "toy")
    return host


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("mimi", CodecName("mimi")),
        ("mimi@8", CodecName("mimi", "", 8)),
        ("lmspt:25hz@4", CodecName("lmspt", "25hz", 4)),
        ("lmspt/semantic", CodecName("lmspt", "", None, "semantic")),
        ("lmspt:mini-12.5hz@1/semantic-aux", CodecName("lmspt", "mini-12.5hz", 1, "semantic-aux")),
        ("opus:6kbps", CodecName("opus", "6kbps")),
    ],
)
def test_names_of_the_design(text: str, name: CodecName) -> None:
    assert parse_name(text) == name
    assert str(name) == text


@given(WORD, st.none() | WORD, st.none() | st.integers(1, 99), st.none() | WORD.filter(lambda m: m != "full"))
def test_parsing_undoes_writing(family: str, variant: str | None, codebooks: int | None, mode: str | None) -> None:
    name = CodecName(family, variant or "", codebooks, mode or "full")
    assert parse_name(str(name)) == name


@pytest.mark.parametrize("text", ["", ":x", "a@", "a@0", "a@-1", "a@two", "a b", "a/"])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_name(text)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("tay", "did you mean 'toy'"),
        ("toy:other", "variant"),
        ("toy@3", "has 2 codebooks"),
        ("toy-ceiling@1", "cannot be cut"),
        ("toy/semantik", "decode mode"),
    ],
)
def test_names_that_stand_for_nothing_say_what_exists(host: PluginHost, text: str, part: str) -> None:
    with pytest.raises(UsageError, match=part):
        resolve(host.registry, text)


def test_all_codebooks_is_the_plain_name(host: PluginHost) -> None:
    assert resolve(host.registry, "toy@2").label == "toy"
    assert resolve(host.registry, "toy@1/half-rate").label == "toy@1/half-rate"


def test_a_plugin_file_is_loaded(tmp_path: Path) -> None:
    host = load_plugins([Path(toy_plugin.__file__)])
    assert "toy" in host.registry.codecs
