"""What a finished run says at the end: the summary, what failed and what is flagged, where the files lie."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from codecbench.cli.common import one_line
from codecbench.contracts.metric import Status

if TYPE_CHECKING:
    from codecbench.registering import Registry
    from codecbench.results import RunResults
    from codecbench.runner.run import RunOutcome

FLAGS_SHOWN = 8
UTTERANCES_SHOWN = 12
_BY_THE_CODEC = frozenset({Status.BACKEND_ERROR, Status.NAN_OUTPUT, Status.LENGTH_MISMATCH})


def print_summaries(results: RunResults, registry: Registry) -> None:
    """Print what each default report has for the terminal."""
    for entry in registry.reports.values():
        if entry.terminal is not None and entry.spec.default:
            Console().print(entry.terminal(results))


def print_outcome(outcome: RunOutcome, registry: Registry) -> None:
    """Print the reports' summaries (which tell what was unavailable), failures, flags and the reports' paths."""
    print_summaries(outcome.results, registry)
    console, info = Console(), outcome.info
    for style, text in (*_bad_inputs(outcome.results), *_failures(outcome.results)):
        console.print(f"[red]{style}[/] {escape(text)}", highlight=False)
    for flag in info.flags[:FLAGS_SHOWN]:
        owner = " ".join(part for part in (flag.codec, flag.metric) if part)
        said = f"{owner}: {flag.message}" if owner else flag.message
        console.print(f"[magenta]flag[/] {escape(_visible(said))}", highlight=False)
    if len(info.flags) > FLAGS_SHOWN:
        console.print(f"[magenta]flag[/] … and {len(info.flags) - FLAGS_SHOWN} more in run.json")
    for path in _main_files(outcome):
        console.print(f"[green]wrote[/] {escape(str(path))}", highlight=False, soft_wrap=True)


def _bad_inputs(results: RunResults) -> Iterator[tuple[str, str]]:
    """Name the utterances that could not be read, each once whatever the number of codecs and metrics."""
    records = results.records
    bad = records[records["status"] == str(Status.BAD_INPUT)].drop_duplicates("utterance_id")
    for row in bad.head(UTTERANCES_SHOWN).itertuples():
        yield "bad input", _visible(f"{row.utterance_id}: {row.reason}")
    if len(bad) > UTTERANCES_SHOWN:
        yield "bad input", f"… and {len(bad) - UTTERANCES_SHOWN} more utterances; the page lists the failures"


def _failures(results: RunResults) -> Iterator[tuple[str, str]]:
    """Count for each codec the records that failed for another reason, with the first one's reason."""
    records = results.records
    failed = records[records["status"].isin([str(status) for status in _BY_THE_CODEC])]
    for label in results.codecs:
        own = failed[failed["codec"] == label]
        if not own.empty:
            counts = ", ".join(f"{count} {status}" for status, count in own["status"].value_counts().items() if count)
            first = own.iloc[0]
            named = " ".join(part for part in (first["metric"], first["utterance_id"]) if part)
            yield "failed", _visible(f"{label}: {counts}; first {named}: {first['reason']}")


def _visible(text: str) -> str:
    return one_line(text, "\ufffd")


def _main_files(outcome: RunOutcome) -> list[Path]:
    pages = [p for p in outcome.reports if p.suffix == ".html"]
    folders = sorted({p.parent for p in outcome.reports if p.suffix != ".html"})
    return [*folders, *pages]
