"""Reports: anything made from finished runs, from the records alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codecbench.contracts.codec import OptionSpec

if TYPE_CHECKING:
    from codecbench.results import RunResults


@dataclass(frozen=True)
class ReportSpec:
    """A kind of output; ``default`` ones are written at the end of every run."""

    name: str
    description: str
    default: bool = True
    options: tuple[OptionSpec, ...] = ()
    requirements: tuple[str, ...] = ()


# (runs, folder to write to, options) -> files written.
ReportRenderer = Callable[["Sequence[RunResults]", Path, Mapping[str, Any]], "Sequence[Path]"]
# results of one run -> something that rich can print at the end of it.
TerminalRenderer = Callable[["RunResults"], Any]
