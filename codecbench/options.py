"""Typed options: ``--set family.name=VALUE``, environment variables, defaults; checked against declarations."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from codecbench.contracts.codec import OptionSpec
from codecbench.errors import UsageError, unknown_name

_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


def _to_bool(text: str) -> bool:
    if text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    raise ValueError("expected true or false")


_CONVERTERS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": _to_bool,
    "Path": lambda text: Path(text).expanduser(),
}


def parse_settings(settings: Iterable[str]) -> dict[str, dict[str, str]]:
    """Parse ``owner.name=VALUE`` strings into {owner: {name: VALUE}}; raises UsageError for another form."""
    parsed: dict[str, dict[str, str]] = {}
    for setting in settings:
        left, equals, value = setting.partition("=")
        owner, dot, name = left.strip().rpartition(".")  # a name may hold a dot: whisper-tiny.en.beam
        if not equals or not dot or not owner or not name:
            raise UsageError(f"--set {setting}: write OWNER.OPTION=VALUE, for example --set mimi.weights=FOLDER")
        parsed.setdefault(owner, {})[name] = value
    return parsed


def check_owners(settings: Mapping[str, object], known: Iterable[str]) -> None:
    """Raise UsageError for a setting whose owner (codec, scorer, recogniser, corpus, report) is unknown."""
    names = set(known)
    for owner in settings:
        if owner not in names:
            raise unknown_name("owner of a --set option", owner, names)


def resolve_options(owner: str, declared: Sequence[OptionSpec], given: Mapping[str, str]) -> dict[str, Any]:
    """Return the value of every declared option of ``owner``: given, else environment, else default.

    Raises UsageError for an undeclared option, a value of another type or outside the choices.
    """
    by_name = {option.name: option for option in declared}
    for name in given:
        if name not in by_name:
            raise unknown_name(f"option of '{owner}'", name, by_name)
    return {name: _value(owner, option, given) for name, option in by_name.items()}


def _value(owner: str, option: OptionSpec, given: Mapping[str, str]) -> Any:
    text = given.get(option.name)
    if text is None and option.env:
        text = os.environ.get(option.env) or None
    if text is None:
        return option.default
    if option.choices and text not in option.choices:
        raise UsageError(f"{owner}.{option.name}={text}: choose from {', '.join(option.choices)}")
    try:
        return _CONVERTERS[option.type](text)
    except (ValueError, KeyError) as error:
        raise UsageError(f"{owner}.{option.name}={text}: expected a value of type {option.type}") from error


def affecting(declared: Sequence[OptionSpec], values: Mapping[str, Any], kinds: Iterable[str]) -> dict[str, str]:
    """Return as text the values of the options whose ``affects`` is among ``kinds``: their part of an identity."""
    wanted = set(kinds)
    return {o.name: str(values[o.name]) for o in declared if o.affects in wanted and values[o.name] is not None}
