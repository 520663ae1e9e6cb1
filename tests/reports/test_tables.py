"""Tables parse back to the figures that they were made from, whatever the strings in them."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from codecbench.registering import PluginRegistrar
from codecbench.results import RunResults
from codecbench_tables import SPEC, register_reports
from codecbench_tables.formats import to_latex, to_markdown
from codecbench_tables.frames import codebooks_frame
from codecbench_tables.model import summary_table
from codecbench_tables.render import write_tables
from codecbench_tables.terminal import notes as terminal_notes
from codecbench_tables.terminal import summary_table as terminal_table
from codecbench_tables.text import clean, csv
from tests.factories import IDENTITY, RECOGNISER, FakeCodec, make_results, realistic_codecs
from tests.reports.hostile import HOSTILE

GOOD = FakeCodec("good@2", 0.8, 500.0, 25.0, 2)
SHAKY = FakeCodec("shaky", 0.9, 2000.0, failing=tuple((i, "nan_output") for i in range(6)))
LYRA = FakeCodec("lyra", 0.5, unavailable="its library is not installed")


@pytest.fixture(scope="module")
def results() -> RunResults:
    return make_results([IDENTITY, GOOD, FakeCodec("bad", 0.3, 800.0), SHAKY, LYRA], 60)


@pytest.fixture(scope="module")
def hostile() -> RunResults:
    made = make_results([IDENTITY, *(FakeCodec(text, 0.5, 1000.0) for text in HOSTILE)], 25, metrics=["pesq_wb", "wer"])
    codecs = tuple(replace(c, unavailable=c.label) if c.role == "codec" else c for c in made.info.codecs[:4])
    info = replace(made.info, codecs=codecs + made.info.codecs[4:])
    metrics = tuple(replace(m, title=HOSTILE[0] + HOSTILE[5], unit=HOSTILE[6]) for m in info.metrics)
    return made.with_info(replace(info, metrics=metrics, corpus=replace(info.corpus, name=HOSTILE[5])))


def printed(results: RunResults, width: int = 160) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    console.print(terminal_table(results))
    return console.file.getvalue()


def test_registered_as_a_default_report(tmp_path: Path, results: RunResults) -> None:
    registrar = PluginRegistrar("tables")
    register_reports(registrar.report)
    entry = registrar.registry.reports["tables"]
    assert entry.spec is SPEC
    assert SPEC.default
    files = entry.render([results], tmp_path, {})
    assert {f.name for f in files} == {
        "summary.md", "summary.tex", "summary.csv", "summary.parquet", "metrics.csv", "metrics.parquet",
        "codebooks.csv", "codebooks.parquet",
    }  # fmt: skip
    assert all(f.stat().st_size for f in files)


def test_csv_and_parquet_hold_the_figures_in_full(tmp_path: Path, results: RunResults) -> None:
    write_tables([results], tmp_path)
    for frame in (pd.read_csv(tmp_path / "summary.csv"), pd.read_parquet(tmp_path / "summary.parquet")):
        row = frame.set_index("codec").loc["good@2"]
        wer = results.summary.get("good@2", "wer", RECOGNISER)
        assert row[f"wer.{RECOGNISER}"] == pytest.approx(wer.estimate, rel=1e-12)
        assert row[f"wer.{RECOGNISER}.low"] == pytest.approx(wer.ci_low, rel=1e-12)
        assert (row["scored"], row["failed"], row["pesq_wb.group"]) == (60, 0, 1)
    long = pd.read_csv(tmp_path / "metrics.csv")
    assert len(long) == len(results.summary.rows)
    assert set(long["metric_direction"]) == {"higher", "lower", "neutral"}
    shaky = long.query("codec == 'shaky' and metric == 'pesq_wb'").iloc[0]
    assert (shaky["n_failed"], shaky["n_scored"]) == ("nan_output=6", 54)


def test_codebook_table_has_a_row_for_each_codebook(results: RunResults) -> None:
    frame = codebooks_frame(results)
    assert frame["codec"].tolist() == ["good@2", "good@2"]
    assert frame["codebook"].tolist() == ["0", "1"]
    assert frame.columns.tolist() == ["codec", "codebook", "codebook_use", "codebook_entropy"]
    assert np.isfinite(frame["codebook_use"]).all()


def test_codebooks_are_in_numerical_order() -> None:
    frame = codebooks_frame(make_results([FakeCodec("deep@12", 0.5, 1500.0, 12.5, 12)], 5))
    assert frame["codebook"].tolist() == [str(k) for k in range(12)]


def test_markdown_marks_best_ties_and_codecs_left_out(results: RunResults) -> None:
    text = to_markdown(summary_table(results))
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("|")}
    assert "PESQ-WB ↑" in rows["codec"]
    assert f"WER ↓ (%, {RECOGNISER})" in rows["codec"]
    estimate = results.summary.get("good@2", "pesq_wb").estimate
    assert f"**{estimate:.2f}** [" in rows["good@2"]
    assert "**" not in rows["identity"]
    assert "‡" in rows["shaky"]
    assert rows["shaky"].split("|")[-3:-1] == [" 54 ", " 6 "]
    assert "lyra is unavailable: its library is not installed" in text
    assert "failed on 6 of 60" in text
    for named in ("synthetic-speech", RECOGNISER, "Protocol 1", "95 % intervals", "do not extend to other speakers"):
        assert named in text


def test_ties_with_the_best_are_marked() -> None:
    twins = make_results([FakeCodec("one", 0.5), FakeCodec("two", 0.5), FakeCodec("far", 0.1)], 40, metrics=["stoi"])
    text = to_markdown(summary_table(twins))
    marks = {line.split("|")[1].strip(): "**" in line or "†" in line for line in text.splitlines()[4:7]}
    assert marks == {"one": True, "two": True, "far": False}
    assert sum("**" in line for line in text.splitlines()) == 1


def test_a_column_without_a_figure_becomes_a_note() -> None:
    text = to_markdown(summary_table(make_results([IDENTITY, FakeCodec("opus:6kbps", 0.5, 6000.0)], 25)))
    assert "Token rate (tokens/s)" not in text
    assert "- Token rate: no value for any codec (not\\_applicable)" in text


def test_what_a_rate_leaves_out_stands_below_the_table() -> None:
    results = make_results([IDENTITY, FakeCodec("vorbis:q2", 0.8, 14000.0, setup_bytes=3287)], 25)
    assert "- vorbis:q2: the bit rate leaves out a setup of 3287 bytes" in to_markdown(summary_table(results))
    assert any("3287 bytes" in note.plain for note in terminal_notes(results))


def test_nothing_is_marked_below_twenty_units() -> None:
    text = to_markdown(summary_table(make_results([GOOD, FakeCodec("bad", 0.2)], 12)))
    assert "**" not in text
    assert "not ranked" in text


def test_terminal_table_has_every_codec_and_fits(results: RunResults) -> None:
    text = printed(results)
    for label in results.codecs:
        assert label in text
    assert "54/6" in text
    assert "unavail." in text
    assert max(len(line) for line in text.splitlines()) <= 160
    assert any("lyra" in note.plain for note in terminal_notes(results))


@pytest.mark.parametrize("width", [80, 100])
def test_terminal_table_loses_nothing_on_a_narrow_screen(results: RunResults, width: int) -> None:
    lines = printed(results, width).splitlines()
    assert max(map(len, lines)) <= width
    assert "54/6" in " ".join(lines)
    for codec in results.info.codecs:
        counts = "unavail." if codec.unavailable else "/"
        row = next(line for line in lines if line.split() and codec.label.startswith(line.split()[0]))
        assert counts in row.split()[-1]
    caption = " ".join(" ".join(lines).split())  # folded, no word of it cut off
    assert f"{results.summary.settings.resamples} paired bootstrap resamples" in caption


def test_the_end_of_a_run_prints_table_and_notes(results: RunResults) -> None:
    registrar = PluginRegistrar("tables")
    register_reports(registrar.report)
    console = Console(width=160, file=io.StringIO())
    console.print(registrar.registry.reports["tables"].terminal(results))
    printed_text = console.file.getvalue()
    assert "good@2" in printed_text
    assert "failed on 6 of 60" in printed_text


def test_several_runs_get_folders_of_their_own(tmp_path: Path, results: RunResults) -> None:
    files = write_tables([results, results], tmp_path)
    assert {f.parent.name for f in files} == {"1-synthetic", "2-synthetic"}


def test_an_empty_run_still_writes_its_tables(tmp_path: Path, results: RunResults) -> None:
    empty = RunResults.from_records(results.info, [])
    files = write_tables([empty], tmp_path)
    assert {f.name for f in files} >= {"summary.md", "summary.tex", "metrics.csv"}
    assert "codebooks.csv" not in {f.name for f in files}
    assert "lyra" in printed(empty)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_csv_cell_starts_a_formula(text: str) -> None:
    assert csv(text)[:1] not in {"=", "+", "-", "@", "\t", "\r"}
    assert csv("opus:12kbps") == "opus:12kbps"


@pytest.mark.parametrize("text", HOSTILE)
def test_cleaned_text_is_one_visible_line(text: str) -> None:
    assert clean(text, 300).isprintable()
    assert len(clean(text, 300)) <= 300


def test_hostile_names_leave_csv_and_parquet_whole(tmp_path: Path, hostile: RunResults) -> None:
    write_tables([hostile], tmp_path)
    frame = pd.read_csv(tmp_path / "summary.csv")
    assert len(frame) == len(hostile.info.codecs)
    assert not frame["codec"].str.match(r"[=+@\t\r-]").any()
    assert HOSTILE[0] in set(pd.read_parquet(tmp_path / "summary.parquet")["codec"])


def test_hostile_names_stay_text_in_markdown(hostile: RunResults) -> None:
    table = summary_table(hostile)
    page = MarkdownIt("commonmark", {"html": True}).enable("table").enable("strikethrough").render(to_markdown(table))
    assert page.count("<tr>") == len(table.lines) + 1
    assert page.count("<td") == len(table.lines) * (len(table.columns) + 3)
    tags = set(re.findall(r"<(\w+)", page))
    assert tags <= {"p", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "strong"}
    assert page.count("<strong>") == 2  # the best of two metrics
    assert "[link](javascript:alert(1))" in page  # shown, not followed


def test_hostile_names_stay_text_in_the_terminal(hostile: RunResults) -> None:
    text = printed(hostile, 200)
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_latex_has_no_live_command_from_a_name(hostile: RunResults) -> None:
    text = to_latex(summary_table(hostile))
    assert "\\input" not in text
    assert r"\textbackslash{}input" in text
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")


@pytest.mark.parametrize("which", ["realistic", "hostile"])
def test_latex_compiles(which: str, tmp_path: Path, hostile: RunResults) -> None:
    engine = next((e for e in ("pdflatex", "lualatex", "xelatex", "tectonic") if shutil.which(e)), None)
    if engine is None:
        pytest.skip("no TeX engine (pdflatex, lualatex, xelatex or tectonic) on this machine")
    results = hostile if which == "hostile" else make_results(realistic_codecs(), 40)
    body = to_latex(summary_table(results))
    packages = r"\usepackage[T1]{fontenc}\usepackage{booktabs,graphicx,textcomp}"
    source = rf"\documentclass{{article}}{packages}\begin{{document}}{body}\end{{document}}"
    (tmp_path / "table.tex").write_text(source, "utf-8")
    options = [] if engine == "tectonic" else ["-interaction=nonstopmode", "-halt-on-error"]
    done = subprocess.run([engine, *options, "table.tex"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "table.pdf").stat().st_size > 1000
