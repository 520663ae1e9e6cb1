"""The command line: listings in both forms, exit codes, and errors that name what to do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests import toy_plugin

TOY = ("--plugin", toy_plugin.__file__)


def codecbench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "codecbench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("codecs", "mimi"),
        ("tasks", "intelligibility"),
        ("metrics", "pesq_wb"),
        ("recognizers", "whisper-base"),
        ("corpora", "builtin"),
        ("plugins", "basic"),
    ],
)
def test_listings_are_readable_and_json(command: str, name: str) -> None:
    plain, machine = codecbench(command), codecbench(command, "--json")
    assert plain.returncode == machine.returncode == 0, plain.stderr + machine.stderr
    assert name in plain.stdout
    assert name in {row["name"] for row in json.loads(machine.stdout)}


def test_codecs_say_what_a_rate_leaves_out() -> None:
    assert "leaves out a setup of 3287 bytes" in " ".join(codecbench("codecs").stdout.split())
    rows = {row["name"]: row for row in json.loads(codecbench("codecs", "--json").stdout)}
    assert "3287 bytes" in rows["vorbis:q2"]["notes"][0]
    assert rows["opus:12kbps"]["notes"] == []


def test_doctor_finds_no_problem_here() -> None:
    done = codecbench("doctor", "--json")
    findings = json.loads(done.stdout)
    assert [f for f in findings if f["state"] == "problem"] == []
    assert done.returncode == 0
    assert any(f["what"].startswith("codec ") and f["mend"] for f in findings)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("run", "--codecs", "mimmi"), "did you mean 'mimi'"),
        (("run", "--codecs", "opus:loud"), "opus:loud"),
        (("run", "--codecs", ""), "names nothing"),
        (("run", "--codecs", "mimi@99"), "codebooks"),
        (("run", "--codecs", "identity", "--corpus", "nowhere"), "unknown corpus 'nowhere'"),
        (("run", "--codecs", "identity", "--corpus", "/no/such/folder"), "no such file or folder"),
        (("run", "--codecs", "identity", "--tasks", "reconstrucsion"), "did you mean 'reconstruction'"),
        (("run", "--codecs", "identity", "--recognizer", "whisper-bass"), "did you mean 'whisper-base'"),
        (("run", "--codecs", "identity", "--reports", "tabels"), "did you mean 'tables'"),
        (("run", "--codecs", "identity", "--set", "mimi.wieghts=x"), "did you mean 'weights'"),
        (("run", "--codecs", "identity", "--plugin", "/no/plugin.py"), "no such file"),
        (("rnu",), "did you mean 'run'"),
        (("report", "/no/run"), "holds no run"),
    ],
)
def test_a_wrong_request_is_one_clear_line_and_exit_code_2(
    arguments: tuple[str, ...], part: str, tmp_path: Path
) -> None:
    out = ("--out", str(tmp_path)) if arguments[0] == "run" else ()
    done = codecbench(*arguments, *out)
    assert done.returncode == 2, done.stderr
    assert part in done.stderr
    assert "Traceback" not in done.stderr


def test_an_output_that_cannot_be_written_is_told_before_any_work(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder", "utf-8")
    done = codecbench("run", "--codecs", "identity", "--out", str(blocked / "run"))
    assert done.returncode == 2
    assert "cannot write there" in done.stderr


def test_a_report_that_cannot_be_written_is_told_in_a_line(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder", "utf-8")
    done = codecbench("report", str(tmp_path), "--out", str(blocked / "report"))
    assert done.returncode == 2
    assert "cannot write there" in done.stderr
    assert "Traceback" not in done.stderr


def test_exit_codes_of_partial_and_strict_runs(tmp_path: Path) -> None:
    common = ("run", "--tasks", "toy-task", "--limit", "2", "--reports", "tables", *TOY)
    away = codecbench(*common, "--codecs", "toy,toy-away", "--out", str(tmp_path / "away"))
    assert away.returncode == 3, away.stderr
    assert "toy-download weights" in " ".join(away.stdout.split())
    complete = codecbench(*common, "--codecs", "toy", "--out", str(tmp_path / "complete"))
    assert complete.returncode == 0, complete.stderr
    assert "tables" in complete.stdout
    again = codecbench("report", str(tmp_path / "complete"), "--reports", "tables", "--json", *TOY)
    assert all(Path(file).is_file() for file in json.loads(again.stdout))
