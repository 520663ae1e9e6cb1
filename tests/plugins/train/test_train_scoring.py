"""Checkpoints are scored by codecbench itself, and their curves are an ordinary report."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import training_runs

from codecbench.errors import UsageError
from codecbench.results import RunResults
from codecbench_train.curves import render
from codecbench_train.models import build_model
from codecbench_train.scoring import CheckpointScorer, scoring_command


def test_the_command_is_an_ordinary_run(tmp_path: Path) -> None:
    config = training_runs.config(Path("teacher"), "scoring.limit=3", "scoring.recognizer=whisper-tiny.en")
    call = scoring_command(config, Path("w.safetensors"), tmp_path / "step-1", tmp_path / "store")
    assert call[1:6] == ["-m", "codecbench", "run", "--codecs", "lmspt:tiny"]
    assert "lmspt.weights=w.safetensors" in call
    assert call[call.index("--store") + 1] == str(tmp_path / "store")


@pytest.mark.slow
def test_scores_of_two_checkpoints_become_curves(tmp_path: Path) -> None:
    config = training_runs.config(
        Path("teacher"), "scoring.limit=1", 'scoring.tasks=["reconstruction"]', "scoring.every_steps=5"
    )
    scorer = CheckpointScorer(config, tmp_path)
    for step in (5, 10):
        weights = build_model(config.model, step).save_pretrained(tmp_path / f"{step}.safetensors")
        scorer.start(weights, step)
        scorer.wait()
        scores, trouble = scorer.collect()
        assert trouble == ""
        assert {s.step for s in scores} == {step}
        assert {"pesq_wb", "stoi"} <= {s.metric for s in scores}
    runs = [RunResults.load(scorer.run_folder(step)) for step in (5, 10)]
    files = render(runs, tmp_path / "report", {})
    assert {"curves.csv", "stoi.png"} <= {f.name for f in files}
    with files[0].open() as handle:
        rows = [row for row in csv.DictReader(handle) if row["metric"] == "stoi"]
    assert [row["step"] for row in rows] == ["5", "10"]
    with pytest.raises(UsageError, match="step-N"):
        render([], tmp_path / "report", {})


@pytest.mark.slow
def test_a_scoring_run_that_fails_is_reported_and_no_more(tmp_path: Path) -> None:
    config = training_runs.config(Path("teacher"), "scoring.corpus=no-such-corpus")
    scorer = CheckpointScorer(config, tmp_path)
    scorer.start(tmp_path / "missing.safetensors", 5)
    scorer.wait()
    scores, trouble = scorer.collect()
    assert scores == []
    assert "step 5 failed" in trouble
    assert "scoring.log" in trouble
