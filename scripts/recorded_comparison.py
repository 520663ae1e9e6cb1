"""Score the recorded outputs of real codecs, page by page, and keep the tables and plots.

    python scripts/recorded_comparison.py --manifest ../shared/pairs/manifest.jsonl --root ../shared \
        --out docs/results/recorded

Each source page chose its own clips, so each gets a table of its own, on the originals that all of its systems share;
where a page's systems share none, the largest sets of systems that share originals are compared instead. Codecs that
can be run stand beside them, on the same originals. The audio is not kept.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from codecbench_recorded.manifest import read_recordings
from codecbench_recorded.pages import Page, pages

TASKS = "reconstruction,intelligibility,token_rate"
KEPT = ("tables/summary.md", "tables/summary.tex", "tables/metrics.csv")
# Shared originals looked for, from many systems to few: below the last, nothing can be compared.
ENOUGH_ORIGINALS = (20, 10, 2)
# LM-SPT's teacher was Whisper base: the other one does not flatter it.
RECOGNIZERS = ("whisper-base", "whisper-tiny.en")
BESIDE = ("lmspt:mini-25hz", "lmspt:mini-12.5hz")


@dataclass(frozen=True)
class Comparison:
    """Systems of one page and the originals that they all recorded."""

    page: str
    systems: tuple[str, ...]
    num_originals: int
    number: int

    @property
    def slug(self) -> str:
        """Name of the folder of its results."""
        page = re.sub(r"[^a-z0-9]+", "-", self.page.split("/")[-1].lower()).strip("-")
        return f"{page}-{self.number}"


def comparisons(page: Page) -> Iterator[Comparison]:
    """Yield the comparisons of a page: sets of systems that cover it, each on the originals that it shares."""
    left, number = list(page.systems), 0
    for enough in ENOUGH_ORIGINALS:
        while left and (chosen := _largest(page, left, enough)) is not None:
            number += 1
            yield Comparison(page.name, chosen, len(page.common_ids(chosen)), number)
            left = [system for system in left if system not in chosen]
    if left:
        print(f"{page.name}: not compared, they share no two originals with another: {', '.join(left)}", flush=True)


def _largest(page: Page, left: list[str], enough: int) -> tuple[str, ...] | None:
    """Return the largest set of systems, with at least one not compared yet, that shares ``enough`` originals."""
    everything = list(page.systems)
    for size in range(len(everything), 1, -1):
        fitting = [
            chosen
            for chosen in combinations(everything, size)
            if set(chosen) & set(left) and len(page.common_ids(chosen)) >= enough
        ]
        if fitting:
            return max(fitting, key=lambda chosen: (len(set(chosen) & set(left)), len(page.common_ids(chosen))))
    return None


def run(comparison: Comparison, arguments: argparse.Namespace) -> Path:
    """Run codecbench over one comparison and the codecs beside it; what an earlier call scored is not scored again."""
    manifest, root, work = arguments.manifest, arguments.root, arguments.work
    folder: Path = work / comparison.slug
    command = [
        *(sys.executable, "-m", "codecbench", "run", "--corpus", f"pairs:{manifest}", "--tasks", TASKS),
        *("--codecs", ",".join([*arguments.beside, *(f"recorded:{system}" for system in comparison.systems)])),
        *("--recognizer", ",".join(arguments.recognizers)),
        *("--out", str(folder), "--store", str(work / "store")),
        *("--set", f"recorded.manifest={manifest}", "--set", f"recorded.root={root}", "--set", f"pairs.root={root}"),
        *("--set", f"pairs.page={comparison.page}", "--set", f"pairs.systems={','.join(comparison.systems)}"),
    ]
    done = subprocess.run(command, check=False)
    if done.returncode not in (0, 3):
        raise SystemExit(f"{comparison.slug}: codecbench run ended with {done.returncode}")
    return folder


def keep(folder: Path, out: Path) -> None:
    """Copy tables and plots of one comparison, but those by token rate: recordings have none."""
    out.mkdir(parents=True, exist_ok=True)
    for name in KEPT:
        shutil.copy(folder / name, out / Path(name).name)
    for plot in sorted((folder / "plots").glob("*.png")):
        if plot.name.startswith(("bars-", "rate-")) and "-by-token_rate" not in plot.name:
            shutil.copy(plot, out / plot.name)


def main() -> None:
    """Run every comparison and write the index."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--beside", nargs="*", default=list(BESIDE), help="codecs to run on the same originals")
    parser.add_argument("--recognizers", nargs="+", default=list(RECOGNIZERS))
    parser.add_argument("--pages", nargs="*", help="parts of the names of pages to run; the others' tables stay")
    parser.add_argument("--work", type=Path, default=Path("runs/recorded"))
    arguments = parser.parse_args()
    chosen = [c for page in pages(read_recordings(arguments.manifest, arguments.root)) for c in comparisons(page)]
    parts = arguments.pages or [""]
    asked = [c for c in chosen if any(part in c.page for part in parts)]
    if not asked:
        raise SystemExit(f"--pages: none is named so; there are {', '.join(sorted({c.page for c in chosen}))}")
    index = []
    for comparison in chosen:
        kept = arguments.out / comparison.slug
        if comparison in asked:
            print(f"{comparison.slug}: {', '.join(comparison.systems)}", flush=True)
            keep(run(comparison, arguments), kept)
        elif not kept.is_dir():
            print(f"{comparison.slug}: left out, {arguments.out} has no table of it yet", flush=True)
            continue
        table = (kept / "summary.md").read_text("utf-8")
        recorded = f"{comparison.num_originals} originals, {len(comparison.systems)} recorded systems"
        where = f"Tables and plots: [{comparison.slug}]({comparison.slug}/)"
        index.append(f"## {comparison.page}: {recorded}\n\n{table}\n{where}\n")
    (arguments.out / "tables.md").write_text("\n".join(index), "utf-8")


if __name__ == "__main__":
    main()
