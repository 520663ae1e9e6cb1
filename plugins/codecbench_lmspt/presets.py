"""Presets: TOML files read into :class:`~codecbench_lmspt.spec.ModelSpec`, strictly."""

from __future__ import annotations

import dataclasses
import tomllib
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from codecbench_lmspt.spec import ModelSpec

PRESET_DIR = Path(__file__).parent / "presets"


class PresetError(ValueError):
    """A preset that does not exist or does not say what a model needs."""


def preset_names() -> tuple[str, ...]:
    """The presets in the package, in alphabetical order."""
    return tuple(sorted(path.stem for path in PRESET_DIR.glob("*.toml")))


def load_preset(name_or_path: str | Path, overrides: Mapping[str, Any] | None = None) -> ModelSpec:
    """Read a preset by its name in the package or from a TOML file of your own.

    ``overrides`` maps dotted names to values (``{"encoders": 1, "quantizer.update": "gradient"}``); ``"none"`` removes
    an optional table (``{"aux_decoder": "none"}``). Raises :class:`PresetError`.
    """
    path = PRESET_DIR / f"{name_or_path}.toml"
    if not path.is_file():
        path = Path(name_or_path)
    if not path.is_file():
        raise PresetError(
            f"no LM-SPT preset {str(name_or_path)!r}: known are {', '.join(preset_names())}, or a TOML file"
        )
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise PresetError(f"{path.name}: not a TOML file: {error}") from None
    table.setdefault("name", path.stem)
    return spec_from_table(table, overrides or {})


def spec_from_table(table: Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> ModelSpec:
    """Build a spec from nested tables (a preset file's, or :func:`spec_to_table`'s). Raises :class:`PresetError`."""
    merged = _copy(table)
    for dotted, value in (overrides or {}).items():
        _set(merged, dotted.split("."), value)
    try:
        spec = _build(ModelSpec, merged, "preset")
    except (TypeError, ValueError, ArithmeticError) as error:  # the last of sizes that are 0 or beyond floats
        raise PresetError(str(error)) from None
    assert isinstance(spec, ModelSpec)
    return spec


def spec_to_table(spec: ModelSpec) -> dict[str, Any]:
    """The nested tables of a spec, without what is None: JSON- and TOML-ready, read back by :func:`spec_from_table`."""
    return _plain(dataclasses.asdict(spec))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _copy(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copy(value) if isinstance(value, Mapping) else value for key, value in table.items()}


def _set(table: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise PresetError(f"override {'.'.join(path)}: {part!r} is not a table")
    if value is None or value == "none":
        table.pop(path[-1], None)
    elif isinstance(value, Mapping):
        table[path[-1]] = _copy(value)
    else:
        table[path[-1]] = value


def _build(cls: type, table: Mapping[str, Any], where: str) -> Any:
    hints = get_type_hints(cls)
    unknown = sorted(set(table) - set(hints))
    if unknown:
        raise PresetError(f"{where}: unknown key {unknown[0]!r}; known are {', '.join(hints)}")
    values: dict[str, Any] = {}
    for item in dataclasses.fields(cls):
        hint = hints[item.name]
        if item.name in table:
            values[item.name] = _convert(hint, table[item.name], f"{where}.{item.name}")
        elif type(None) in get_args(hint):
            values[item.name] = None
        elif item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
            raise PresetError(f"{where}: {item.name} is missing")
    return cls(**values)


def _convert(hint: Any, value: Any, where: str) -> Any:
    if get_origin(hint) in (types.UnionType, Union):
        return _convert_union([h for h in get_args(hint) if h is not type(None)], value, where)
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise PresetError(f"{where}: {value!r} is not one of {', '.join(map(repr, get_args(hint)))}")
        return value
    if get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise PresetError(f"{where}: a list is expected, not {value!r}")
        return tuple(_convert(get_args(hint)[0], item, where) for item in value)
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise PresetError(f"{where}: a table is expected, not {value!r}")
        assert isinstance(hint, type)
        return _build(hint, value, where)
    return _scalar(hint, value, where)


def _scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise PresetError(f"{where}: {hint.__name__} is expected, not {value!r}")
    return value


def _convert_union(kinds: list[Any], value: Any, where: str) -> Any:
    if len(kinds) == 1:
        return _convert(kinds[0], value, where)
    if not isinstance(value, Mapping):
        raise PresetError(f"{where}: a table is expected, not {value!r}")
    by_kind = {get_args(get_type_hints(kind)["kind"])[0]: kind for kind in kinds}
    if value.get("kind") not in by_kind:
        raise PresetError(f"{where}.kind: {value.get('kind')!r} is not one of {', '.join(map(repr, by_kind))}")
    return _build(by_kind[value["kind"]], value, where)
