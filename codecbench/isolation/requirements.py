"""Requirements of a codec, as its specification lists them: which are packages, and which are not met here."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from importlib import metadata

from packaging.requirements import InvalidRequirement, Requirement


def packages(requirements: Iterable[str]) -> tuple[Requirement, ...]:
    """Return those that pip can install (PEP 508) and that apply here; the rest is told in words."""
    found = [requirement for text in requirements if (requirement := _parsed(text)) is not None]
    return tuple(r for r in found if r.marker is None or r.marker.evaluate())


def unmet(requirements: Iterable[str]) -> tuple[str, ...]:
    """Return what the running environment does not have, each with what it has instead; imports nothing."""
    return tuple(f"{r} ({reason})" for r in packages(requirements) if (reason := _lacking(r)))


def _parsed(text: str) -> Requirement | None:
    try:
        return Requirement(text)
    except InvalidRequirement:
        return None


def _lacking(requirement: Requirement) -> str:
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        # A module that no package manager brought has no version: it meets a requirement that names none.
        present = not requirement.specifier and importlib.util.find_spec(requirement.name.replace("-", "_")) is not None
        return "" if present else "not installed"
    return "" if requirement.specifier.contains(version, prereleases=True) else f"here: {version}"
