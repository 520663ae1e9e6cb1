"""Tables of finished runs: CSV, Markdown, LaTeX (booktabs) and Parquet, and the summary in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codecbench.contracts.report import ReportSpec
from codecbench.hookspecs import hookimpl

if TYPE_CHECKING:
    from codecbench.registering import RegisterReport
    from codecbench.results import RunResults

SPEC = ReportSpec(
    name="tables",
    description="summary, all metrics and codebooks as CSV, Markdown, LaTeX and Parquet",
)


@hookimpl
def register_reports(register: RegisterReport) -> None:
    """Register the report ``tables``."""
    register(SPEC, _render, terminal=_terminal)


def _render(runs: Sequence[RunResults], folder: Path, options: Mapping[str, Any]) -> Sequence[Path]:
    from codecbench_tables.render import write_tables

    return write_tables(runs, folder)


def _terminal(results: RunResults) -> Any:
    from rich.console import Group

    from codecbench_tables.terminal import notes, summary_table

    return Group(summary_table(results), *notes(results))
