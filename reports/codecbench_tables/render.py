"""Writing all tables of finished runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from codecbench.results import RunResults
from codecbench_tables.formats import to_latex, to_markdown
from codecbench_tables.frames import codebooks_frame, for_csv, metrics_frame, summary_frame
from codecbench_tables.model import summary_table


def write_tables(runs: Sequence[RunResults], folder: Path) -> tuple[Path, ...]:
    """Write the tables of each run, in folders of their own where there are several; return the files."""
    written: list[Path] = []
    for place, results in enumerate(runs):
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", results.info.name).strip("-") or "run"
        written += _write(results, folder / f"{place + 1}-{name}" if len(runs) > 1 else folder)
    return tuple(written)


def _write(results: RunResults, folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    table = summary_table(results)
    written = [_text(folder / "summary.md", to_markdown(table)), _text(folder / "summary.tex", to_latex(table))]
    written += _frame(summary_frame(table), folder, "summary")
    written += _frame(metrics_frame(results), folder, "metrics")
    codebooks = codebooks_frame(results)
    return written + (_frame(codebooks, folder, "codebooks") if len(codebooks) else [])


def _text(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _frame(frame: pd.DataFrame, folder: Path, name: str) -> list[Path]:
    csv, parquet = folder / f"{name}.csv", folder / f"{name}.parquet"
    for_csv(frame).to_csv(csv, index=False)
    frame.to_parquet(parquet, index=False)
    return [csv, parquet]
