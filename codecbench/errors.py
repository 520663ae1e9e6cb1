"""Errors that a user can act on: what happened, to whom, what was expected, what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CodecbenchError(Exception):
    """Base of every error raised for a reason that the user can mend; shown without a traceback."""

    exit_code = 1


class UsageError(CodecbenchError):
    """The request itself is wrong: an unknown name, a bad option value, a path that does not exist."""

    exit_code = 2


class PluginError(CodecbenchError):
    """A plugin broke its contract; ``plugin`` and ``distribution`` say which."""

    def __init__(self, message: str, *, plugin: str, distribution: str = "") -> None:
        origin = f"{plugin} ({distribution})" if distribution else plugin
        super().__init__(f"plugin {origin}: {message}")
        self.plugin = plugin
        self.distribution = distribution


class Unavailable(CodecbenchError):  # noqa: N818 - reads as the status that it becomes
    """Something that was asked for cannot be had here; ``remedy`` is the command or step that mends it."""

    exit_code = 3

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(f"{reason} ({remedy})" if remedy else reason)
        self.reason = reason
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[Unavailable], tuple[str, str]]:
        return type(self), (self.reason, self.remedy)


class BadInput(CodecbenchError):  # noqa: N818 - reads as the status that it becomes
    """One utterance cannot be used (missing, corrupt, empty, NaN); the run goes on without it."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """Build the error for an unknown name, with the nearest known one and where to list them."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    listing = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
    return UsageError(f"unknown {kind} '{name}'{hint} Known: {listing}" if names else f"unknown {kind} '{name}'")
