"""Reports of a run that has not changed are left alone; anything that they rest on has them drawn again."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from codecbench.contracts.codec import OptionSpec
from codecbench.contracts.report import ReportSpec
from codecbench.registering import Registry, ReportEntry
from codecbench.reporting import write_reports
from codecbench.results import RECORDS_FOLDER, RunResults
from codecbench.runinfo import RunInfo
from tests.factories import IDENTITY, FakeCodec, make_results, write_run


class Drawing:
    """A report that counts how often it was drawn."""

    def __init__(self) -> None:
        self.times = 0
        spec = ReportSpec("drawing", "a toy", options=(OptionSpec("size", "a number", type="int", default=1),))
        self.registry = Registry(reports={"drawing": ReportEntry(spec, self.render, "toy")})

    def render(self, runs: Sequence[RunResults], folder: Path, options: Mapping[str, Any]) -> list[Path]:
        self.times += 1
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "drawing.txt").write_text(f"{len(runs)} {options}", "utf-8")
        (folder / "table.parquet").write_bytes(b"what reports write is not what they rest on")
        return [folder / "drawing.txt"]

    def write(self, run: Path, reuse: bool = True, **settings: str) -> None:
        written, _ = write_reports(self.registry, [run], run, settings={"drawing": settings}, reuse=reuse)
        assert written == (run / "drawing" / "drawing.txt",)


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    return write_run(make_results([IDENTITY, FakeCodec("good", 0.8)], 12), tmp_path / "run")


def test_an_equal_run_is_not_drawn_again(run_folder: Path) -> None:
    drawing = Drawing()
    drawing.write(run_folder)
    info = RunInfo.load(run_folder)
    replace(info, created_utc="2031-01-01T00:00:00+00:00").save(run_folder)
    drawing.write(run_folder)
    assert drawing.times == 1


def test_what_a_report_rests_on_has_it_drawn_again(run_folder: Path) -> None:
    drawing = Drawing()
    drawing.write(run_folder)
    drawing.write(run_folder, size="2")
    assert drawing.times == 2, "an option changed"
    (run_folder / "drawing" / "drawing.txt").unlink()
    drawing.write(run_folder, size="2")
    assert drawing.times == 3, "a file was lost"
    replace(RunInfo.load(run_folder), seed=5).save(run_folder)
    drawing.write(run_folder, size="2")
    assert drawing.times == 4, "the description changed"
    shutil.rmtree(run_folder / RECORDS_FOLDER)
    write_run(make_results([IDENTITY, FakeCodec("good", 0.7)], 12), run_folder)
    drawing.write(run_folder, size="2")
    assert drawing.times == 5, "the records changed"


def test_asking_for_a_report_draws_it(run_folder: Path) -> None:
    drawing = Drawing()
    drawing.write(run_folder)
    drawing.write(run_folder, reuse=False)
    assert drawing.times == 2


def test_a_report_that_stopped_half_way_is_drawn_again(run_folder: Path) -> None:
    drawing = Drawing()
    drawing.write(run_folder)

    def stops(runs: Sequence[RunResults], folder: Path, options: Mapping[str, Any]) -> list[Path]:
        raise RuntimeError("no space left")

    broken = Registry(reports={"drawing": replace(drawing.registry.reports["drawing"], render=stops)})
    with pytest.raises(RuntimeError):
        write_reports(broken, [run_folder], run_folder)
    drawing.write(run_folder)
    assert drawing.times == 2
