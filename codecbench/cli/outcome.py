"""What a finished run says at the end: the summary, what failed and what is flagged, where the files lie."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from codecbench.registering import Registry
    from codecbench.results import RunResults
    from codecbench.runner.run import RunOutcome

FLAGS_SHOWN = 8


def print_summaries(results: RunResults, registry: Registry) -> None:
    """Print what each default report has for the terminal."""
    for entry in registry.reports.values():
        if entry.terminal is not None and entry.spec.default:
            Console().print(entry.terminal(results))


def print_outcome(outcome: RunOutcome, registry: Registry) -> None:
    """Print the reports' summaries (which tell what was unavailable), failures, flags and the reports' paths."""
    print_summaries(outcome.results, registry)
    console, info = Console(), outcome.info
    for label, count in outcome.failures.items():
        console.print(f"[red]failed[/] {escape(label)}: {count} records; see the failures in {outcome.folder}")
    for flag in info.flags[:FLAGS_SHOWN]:
        console.print(f"[magenta]flag[/] {escape(f'{flag.codec} {flag.metric}: {flag.message}')}", highlight=False)
    if len(info.flags) > FLAGS_SHOWN:
        console.print(f"[magenta]flag[/] … and {len(info.flags) - FLAGS_SHOWN} more in run.json")
    for path in _main_files(outcome):
        console.print(f"[green]wrote[/] {escape(str(path))}", highlight=False, soft_wrap=True)


def _main_files(outcome: RunOutcome) -> list[Path]:
    pages = [p for p in outcome.reports if p.suffix == ".html"]
    folders = sorted({p.parent for p in outcome.reports if p.suffix != ".html"})
    return [*folders, *pages]
