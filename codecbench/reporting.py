"""Making reports from finished runs: the gates' flags, then every report asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codecbench.errors import Unavailable, UsageError, unknown_name
from codecbench.options import resolve_options
from codecbench.registering import Registry, ReportEntry
from codecbench.runinfo import FILE_NAME

if TYPE_CHECKING:
    from codecbench.results import RunResults


def check_run_folder(folder: Path) -> Path:
    """Return ``folder`` where it holds a finished run; raises UsageError otherwise."""
    if not (folder / FILE_NAME).is_file():
        raise UsageError(f"{folder} holds no run (no {FILE_NAME}); give the --out folder of 'codecbench run'")
    return folder


def check_reports(registry: Registry, names: Sequence[str]) -> None:
    """Raise UsageError for the name of a report that does not exist."""
    for name in names:
        if name not in registry.reports:
            raise unknown_name("report", name, registry.reports)


def write_reports(
    registry: Registry,
    folders: Sequence[Path],
    out: Path,
    names: Sequence[str] = (),
    settings: Mapping[str, Mapping[str, str]] | None = None,
    tell: Callable[[str], None] = lambda text: None,
    *,
    reuse: bool = False,
) -> tuple[tuple[Path, ...], tuple[RunResults, ...]]:
    """Flag each run and write its reports (the default ones where none is named); return files and results.

    A default report that cannot be made here is told and left out; one that was asked for raises Unavailable.
    ``reuse`` leaves a report alone whose files were made from the same runs, options and code.
    """
    from codecbench.results import RunResults
    from codecbench.stats.gates import plausibility_flags

    check_reports(registry, names)
    chosen = names or [name for name, entry in registry.reports.items() if entry.spec.default]
    runs = [RunResults.load(check_run_folder(folder)) for folder in folders]
    flagged = []
    for run, folder in zip(runs, folders, strict=True):
        run = run.with_info(run.info.with_flags(tuple(plausibility_flags(run))))
        run.info.save(folder)
        if run.info.shard:
            tell(f"warning: {folder}: {run.info.shard_note}")
        flagged.append(run)
    written: list[Path] = []
    for name in chosen:
        entry = registry.reports[name]
        options = resolve_options(name, entry.spec.options, (settings or {}).get(name, {}))
        try:
            written += _render(entry, flagged, out / name, options, reuse)
        except Unavailable as error:
            if name in names:
                raise
            tell(f"report '{name}' left out: {error}")
    return tuple(written), tuple(flagged)


def _render(
    entry: ReportEntry, runs: Sequence[RunResults], folder: Path, options: Mapping[str, Any], reuse: bool
) -> list[Path]:
    from codecbench.report_stamps import STAMP_NAME, Stamp, read_stamp, report_digest

    wanted = report_digest(runs, entry.render, options)
    made = read_stamp(folder) if reuse else None
    if made is not None and made.digest == wanted:
        return [folder / name for name in made.files]
    (folder / STAMP_NAME).unlink(missing_ok=True)
    written = list(entry.render(runs, folder, options))
    if all(path.is_relative_to(folder) for path in written):
        Stamp(wanted, tuple(str(path.relative_to(folder)) for path in written)).save(folder)
    return written
