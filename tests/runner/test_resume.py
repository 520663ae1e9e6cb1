"""Killed at any moment, resumed with another number of workers: the same records, none twice, none missing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd

from codecbench.results import RunResults
from tests.runner.conftest import TOY, write_corpus

KILLS = 4


def _command(corpus: Path, out: Path, workers: int, delay_s: float) -> list[str]:
    return [
        *(sys.executable, "-m", "codecbench", "run", "--codecs", "toy-ceiling,toy,toy@1", "--corpus", str(corpus)),
        *("--out", str(out), "--tasks", "toy-task", "--reports", "tables", "--workers", str(workers)),
        *("--plugin", str(TOY), "--set", f"toy-level.delay_s={delay_s}"),
    ]


def _sorted_records(folder: Path) -> pd.DataFrame:
    records = RunResults.load(folder).records
    columns = ["codec", "metric", "component", "utterance_id", "key", "value", "status"]
    return records[columns].astype({"codec": str, "metric": str, "utterance_id": str}).sort_values(columns[:4])


def _kill_tree(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_sigkill_and_resume_give_the_same_records(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    corpus = write_corpus(folder, [f"u{i}" for i in range(40)])
    subprocess.run(_command(corpus, tmp_path / "whole", 2, 0.0), check=True, capture_output=True)
    rng = random.Random(1)
    killed_at_work = 0
    for attempt in range(KILLS):
        command = _command(corpus, tmp_path / "killed", 1 + attempt % 2, 0.15)
        process = subprocess.Popen(
            command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(3 + rng.random() * 4)
        if process.poll() is None:
            killed_at_work += 1
            _kill_tree(process)
    assert killed_at_work, "every run ended before it was killed: the test did not test"
    subprocess.run(_command(corpus, tmp_path / "killed", 2, 0.0), check=True, capture_output=True)
    whole, killed = _sorted_records(tmp_path / "whole"), _sorted_records(tmp_path / "killed")
    pd.testing.assert_frame_equal(whole.reset_index(drop=True), killed.reset_index(drop=True))
    assert not killed.duplicated(["codec", "metric", "component", "utterance_id"]).any()
