"""VERSA's lists and scores: what is written can be read back, what does not fit is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from codecbench.errors import BadInput, UsageError
from codecbench.results import RunResults
from codecbench_versa.cli import versa_import
from codecbench_versa.lists import write_lists
from codecbench_versa.scores import read_scores, with_scores
from tests.factories import write_run
from tests.reports.page_runs import audible_run, hostile_run, plain_run


def parsed(path: Path) -> dict[str, str]:
    return dict(line.split(maxsplit=1) for line in path.read_text("utf-8").splitlines())


def test_lists_name_the_audio_of_every_codec(tmp_path: Path) -> None:
    results = audible_run(tmp_path / "run", plain_run(6))
    files = {path.name: path for path in write_lists([results], tmp_path / "versa")}
    originals = parsed(files["gt.scp"])
    assert list(originals) == [f"utt-{i:05d}" for i in range(6)]
    decoded = next(path for name, path in files.items() if name.endswith("two@4.scp"))
    assert all(Path(path).is_file() for path in (*originals.values(), *parsed(decoded).values()))
    assert Path(parsed(decoded)["utt-00002"]) == results.artifacts.audio("two@4", "utt-00002").resolve()  # type: ignore[union-attr]
    assert set(parsed(files["text"])) == set(originals)


def test_ids_with_white_space_are_named_not_written(tmp_path: Path) -> None:
    results = audible_run(tmp_path / "run", hostile_run(), 8)
    files = {path.name: path for path in write_lists([results], tmp_path / "versa")}
    assert all(len(line.split()) == 2 for line in files["gt.scp"].read_text("utf-8").splitlines())
    assert "not listed" in files["notes.txt"].read_text("utf-8")
    assert all(path.parent == tmp_path / "versa" for path in files.values())


def test_a_run_without_audio_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--keep-audio"):
        write_lists([plain_run(4)], tmp_path)


def test_scores_become_metrics_of_the_run(tmp_path: Path) -> None:
    rows = [{"key": f"utt-{i:05d}", "pesq": 2.0 + i, "mcd": 5.0, "asr_text": "words", "odd": 1} for i in range(5)]
    rows[4]["mcd"] = float("nan")
    file = tmp_path / "scores.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_run(plain_run(6), tmp_path / "run")
    arguments = [str(tmp_path / "run"), str(file), "--codec", "two@4", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(versa_import, arguments, standalone_mode=False)
    assert result.exception is None
    results = RunResults.load(tmp_path / "out")
    pesq = results.summary.get("two@4", "versa_pesq")
    assert pesq is not None
    assert pesq.estimate == pytest.approx(4.0)
    assert pesq.n_failed == (("unavailable", 1),)
    mcd = results.summary.get("two@4", "versa_mcd")
    assert mcd is not None
    assert dict(mcd.n_failed) == {"backend_error": 1, "unavailable": 1}
    directions = {name: m.direction for name, m in results.metrics.items() if name.startswith("versa")}
    assert directions == {"versa_pesq": "higher", "versa_mcd": "lower", "versa_odd": "neutral"}
    assert results.summary.get("two@4", "pesq_wb") is not None
    again = with_scores(results, "two@4", read_scores(file))
    assert len(again.records) == len(results.records)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not json\n", ":1: not JSON"),
        ('{"pesq": 1}\n', "text 'key'"),
        ("[1]\n", "text 'key'"),
        ('{"key": "a"}\n\n{"key": "a"}\n', ":3: the utterance 'a' occurs twice"),
    ],
)
def test_broken_files_are_named_by_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "scores.jsonl"
    file.write_text(text)
    with pytest.raises(BadInput, match=message):
        read_scores(file)


def test_scores_of_something_else_are_refused() -> None:
    results = plain_run(4)
    with pytest.raises(UsageError, match="unknown codec"):
        with_scores(results, "nothing", {"utt-00000": {"pesq": 1.0}})
    with pytest.raises(UsageError, match="no utterances of the run"):
        with_scores(results, "lone", {"elsewhere": {"pesq": 1.0}})
    with pytest.raises(UsageError, match="no scores"):
        with_scores(results, "lone", {"utt-00000": {}})
