"""TOML to frozen dataclasses and back, strictly: unknown keys and wrong types are errors that name the key."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from codecbench.errors import UsageError, unknown_name

T = TypeVar("T")


def read_tables(path: Path) -> dict[str, Any]:
    """Read a TOML file. Raises ``UsageError`` where it is missing or malformed."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"no configuration file {path}") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: not a TOML file: {error}") from None


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with the values of ``over``, table by table; lists are replaced whole."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def settings_tables(settings: Iterable[str]) -> dict[str, Any]:
    """``a.b=VALUE`` strings as nested tables; VALUE is TOML (``0.5``, ``[1, 2]``, ``true``) or else a bare string."""
    tables: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"--set {setting}: write KEY=VALUE, for example --set data.batch_size=32")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        nested: Any = value
        for part in reversed(name.strip().split(".")):
            nested = {part: nested}
        tables = merge(tables, nested)
    return tables


def build(cls: type[T], table: Mapping[str, Any], where: str = "") -> T:
    """Fill the dataclass ``cls`` from nested tables. Raises ``UsageError`` naming the key that does not fit."""
    hints = get_type_hints(cls)
    for key in table:
        if key not in hints:
            raise unknown_name("setting", f"{where}{key}", [f"{where}{name}" for name in hints])
    return cls(**{key: _convert(hints[key], value, f"{where}{key}") for key, value in table.items()})


def _convert(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise UsageError(f"{where}: expected a table, not {value!r}")
        return build(hint, value, f"{where}.")  # type: ignore[arg-type]
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise UsageError(f"{where} = {value!r}: choose from {', '.join(map(repr, get_args(hint)))}")
        return value
    if get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise UsageError(f"{where}: expected a list, not {value!r}")
        return tuple(_convert(get_args(hint)[0], item, f"{where}[{n}]") for n, item in enumerate(value))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise UsageError(f"{where} = {value!r}: expected {hint.__name__}")
    return value


def dump(config: Any) -> str:
    """A dataclass as TOML that ``build`` reads back to an equal one."""
    return "\n".join(_lines(config, "")) + "\n"


def _lines(config: Any, where: str) -> list[str]:
    plain, tables = [], []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            tables += ["", f"[{where}{field.name}]", *_lines(value, f"{where}{field.name}.")]
        elif isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
            for item in value:
                tables += ["", f"[[{where}{field.name}]]", *_lines(item, f"{where}{field.name}.")]
        else:
            # JSON's strings, numbers, booleans and flat lists are valid TOML.
            plain.append(f"{field.name} = {json.dumps(value, ensure_ascii=False)}")
    return plain + tables
