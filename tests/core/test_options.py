"""Typed options from --set, the environment and defaults."""

from __future__ import annotations

from pathlib import Path

import pytest

from codecbench import OptionSpec, UsageError
from codecbench.options import affecting, check_owners, parse_settings, resolve_options

DECLARED = (
    OptionSpec("weights", "folder", type="Path", env="TOY_WEIGHTS"),
    OptionSpec("chunk_s", "seconds", type="float", default=10.0, affects="nothing"),
    OptionSpec("dtype", "precision", default="float32", choices=("float32", "bfloat16"), affects="decode"),
    OptionSpec("fold", "fold weight norm", type="bool", default=True),
)


def test_given_beats_environment_beats_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_options("toy", DECLARED, {})["weights"] is None
    monkeypatch.setenv("TOY_WEIGHTS", "/from/environment")
    assert resolve_options("toy", DECLARED, {})["weights"] == Path("/from/environment")
    values = resolve_options("toy", DECLARED, {"weights": "/given", "chunk_s": "2.5", "fold": "no"})
    assert values == {"weights": Path("/given"), "chunk_s": 2.5, "dtype": "float32", "fold": False}


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"wieghts": "x"}, "did you mean 'weights'"),
        ({"chunk_s": "long"}, "type float"),
        ({"dtype": "int8"}, "choose from float32, bfloat16"),
        ({"fold": "perhaps"}, "type bool"),
    ],
)
def test_wrong_options_say_what_is_allowed(given: dict[str, str], part: str) -> None:
    with pytest.raises(UsageError, match=part):
        resolve_options("toy", DECLARED, given)


def test_settings_are_grouped_by_owner() -> None:
    assert parse_settings(["mimi.weights=/a=b", "mimi.dtype=float32", "opus.complexity=5"]) == {
        "mimi": {"weights": "/a=b", "dtype": "float32"},
        "opus": {"complexity": "5"},
    }
    for wrong in ("mimi", "mimi.weights", "weights=/x", ".weights=/x"):
        with pytest.raises(UsageError, match="OWNER"):
            parse_settings([wrong])


def test_an_unknown_owner_is_refused() -> None:
    with pytest.raises(UsageError, match="did you mean 'mimi'"):
        check_owners({"mimmi": {}}, ["mimi", "opus"])


def test_only_what_affects_the_output_is_identity() -> None:
    values = resolve_options("toy", DECLARED, {"chunk_s": "3"})
    assert affecting(DECLARED, values, {"encode"}) == {"fold": "True"}
    assert affecting(DECLARED, values, {"decode"}) == {"dtype": "float32"}
