"""``codecbench diff`` and ``codecbench leaderboard``: runs against runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codecbench.cli.common import (
    host_with,
    json_option,
    one_line,
    plugin_option,
    print_json,
    print_table,
    set_option,
    split_names,
)
from codecbench.errors import UsageError

if TYPE_CHECKING:
    from codecbench.stats.comparing import Change, RunDiff

_GATE = re.compile(
    r"^\s*(?:(?P<codec>\S+)\s+)?(?P<metric>[\w.]+)\s*(?P<sign><|>)\s*(?P<limit>[-+]?[\d.]+(?:e[-+]?\d+)?)\s*$"
)


@dataclass(frozen=True)
class Gate:
    """A change that fails the comparison: of ``metric`` (and ``codec``) below or above ``limit``."""

    text: str
    codec: str
    metric: str
    below: bool
    limit: float

    @classmethod
    def parse(cls, text: str) -> Gate:
        """Read ``[CODEC ]METRIC<LIMIT`` or ``>``; raises UsageError for anything else."""
        found = _GATE.match(text)
        if found is None:
            raise UsageError(f"--fail-if '{text}': write METRIC<CHANGE or 'CODEC METRIC>CHANGE', as in pesq_wb<-0.05")
        try:
            limit = float(found["limit"])
        except ValueError as error:
            raise UsageError(f"--fail-if '{text}': '{found['limit']}' is not a number") from error
        return cls(text, found["codec"] or "", found["metric"], found["sign"] == "<", limit)

    def tripped(self, changes: Sequence[Change]) -> list[Change]:
        """Return the changes beyond the limit; raises UsageError where no change is of this metric and codec."""
        own = [c for c in changes if c.metric.name == self.metric and self.codec in ("", c.codec)]
        if not own:
            known = ", ".join(sorted({c.metric.name for c in changes}))
            raise UsageError(f"--fail-if '{self.text}': nothing to compare; compared were {known or 'no metrics'}")
        return [c for c in own if (c.difference < self.limit if self.below else c.difference > self.limit)]


@click.command("diff")
@click.argument("run_a", type=click.Path(path_type=Path))
@click.argument("run_b", type=click.Path(path_type=Path))
@click.option(
    "--fail-if", "gates", multiple=True, metavar="METRIC<CHANGE", help="Exit with 3 on such a change (B - A)."
)
@click.option("--all", "every", is_flag=True, help="Every metric, not only the headline ones.")
@click.option("--moved", type=click.IntRange(0), default=3, show_default=True, help="Utterances to name of a change.")
@json_option
def diff_command(run_a: Path, run_b: Path, gates: tuple[str, ...], every: bool, moved: int, as_json: bool) -> int:
    """Compare two runs: paired differences (B minus A) with 95 % intervals, and the utterances that moved most.

    A gate compares the difference itself, not the end of its interval.
    """
    from codecbench.reporting import check_run_folder
    from codecbench.results import RunResults
    from codecbench.stats.comparing import diff_runs

    parsed = [Gate.parse(text) for text in gates]
    before, after = (RunResults.load(check_run_folder(folder)) for folder in (run_a, run_b))
    diff = diff_runs(before, after)
    failed = [(gate, change) for gate in parsed for change in gate.tripped(diff.changes)]
    gated = {gate.metric for gate in parsed}
    shown = [c for c in diff.changes if every or c.metric.headline or c.metric.name in gated]
    if as_json:
        print_json({"changes": [_plain(c) for c in shown], "notes": diff.notes, "failed": [g.text for g, _ in failed]})
    else:
        _print(shown, diff, moved)
        for gate, change in failed:
            click.echo(
                f"failed: {gate.text}: {change.codec} {change.metric.name} by {change.difference:+.4g}", err=True
            )
    return 3 if failed else 0


def _plain(change: Change) -> dict[str, Any]:
    facts = asdict(change) | {"metric": change.metric.name, "difference": change.difference}
    return facts | {"improved": change.improved, "certain": change.is_certain}


def _print(changes: Sequence[Change], diff: RunDiff, moved: int) -> None:
    rows = [_row(change) for change in changes]
    print_table("B minus A", ("codec", "metric", "A", "B", "change", "95 % interval", "n", ""), rows)
    certain = sorted((c for c in changes if c.is_certain and c.moved), key=lambda c: c.p_value or 0.0)
    for change in certain if moved else ():
        utterances = ", ".join(f"{m.utterance_id} {m.before:.3g}→{m.after:.3g}" for m in change.moved[:moved])
        click.echo(one_line(f"moved most, {change.codec} {change.metric.name}: {utterances}"))
    for note in diff.notes:
        click.echo(one_line(note))
    click.echo("Intervals are for each difference alone; with many of them some leave out zero by chance.")


def _row(change: Change) -> tuple[str, ...]:
    d, interval = change.metric.decimals, change.interval
    ends = f"[{interval.low:+.{d}f}, {interval.high:+.{d}f}]" if interval.low is not None else "–"
    verdict = {True: "better", False: "worse", None: "changed"}[change.improved] if change.is_certain else ""
    name = f"{change.metric.title} ({change.component})" if change.component else change.metric.title
    figures = (f"{change.before:.{d}f}", f"{change.after:.{d}f}", f"{change.difference:+.{d}f}")
    return change.codec, name, *figures, ends, str(change.n_utterances), verdict


@click.command("leaderboard")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="Write the combined run and its reports here."
)
@click.option(
    "--reports", multiple=True, metavar="NAMES", help="Reports to write with --out; the default ones if not given."
)
@set_option
@plugin_option
@json_option
def leaderboard_command(
    folder: Path,
    out: Path | None,
    reports: tuple[str, ...],
    settings: tuple[str, ...],
    plugin_files: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Put all runs below a folder into one table; runs of other corpora, recognisers or protocols are refused."""
    from codecbench.cli.outcome import print_summaries
    from codecbench.combining import combine, find_runs, save_combined
    from codecbench.options import parse_settings
    from codecbench.reporting import write_reports
    from codecbench.results import RunResults

    registry = host_with(plugin_files).registry
    runs = [path for path in find_runs(folder) if out is None or not path.resolve().is_relative_to(out.resolve())]
    results = combine([RunResults.load(path) for path in runs])
    if as_json:
        print_json(results.summary.frame().to_dict("records"))
    else:
        print_summaries(results, registry)
    if out is not None:
        save_combined(results, out)
        tell = partial(click.echo, err=True)
        written, _ = write_reports(registry, [out], out, split_names(reports), parse_settings(settings), tell)
        for path in written:
            click.echo(path, err=as_json)
