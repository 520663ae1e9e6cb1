"""VERSA (Shi et al., NAACL 2025): a run's audio as its lists, and its scores into a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codecbench.contracts.report import ReportSpec
from codecbench.hookspecs import hookimpl

if TYPE_CHECKING:
    from codecbench.registering import RegisterCommand, RegisterReport
    from codecbench.results import RunResults

SPEC = ReportSpec(
    name="versa",
    description="lists of originals, decoded audio and transcripts for VERSA's --gt, --pred and --text",
    default=False,
)


@hookimpl
def register_reports(register: RegisterReport) -> None:
    """Register the report ``versa``."""
    register(SPEC, _render)


@hookimpl
def register_commands(register: RegisterCommand) -> None:
    """Register ``codecbench versa-import``."""
    register("versa-import", "Take VERSA's scores of one codec into a run.", "codecbench_versa.cli:versa_import")


def _render(runs: Sequence[RunResults], folder: Path, options: Mapping[str, Any]) -> Sequence[Path]:
    from codecbench_versa.lists import write_lists

    return write_lists(runs, folder)
