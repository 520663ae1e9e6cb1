"""The stage ``codec``: a scorer has the codec in hand, as each codec name uses it, on the same utterances for all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from codecbench.results import RunResults
from codecbench.runner.run import RunOutcome
from tests.runner.conftest import TOY

PROBING = Path(__file__).resolve().parent / "probing_plugin.py"
ToyRun = Callable[..., RunOutcome]


def _rows(outcome: RunOutcome) -> pd.DataFrame:
    records = RunResults.load(outcome.folder).records
    return records[records.metric == "toy_probe"]


def _probe(toy_run: ToyRun, *codecs: str) -> RunOutcome:
    return toy_run(codecs=("toy-ceiling", *codecs), tasks=("toy-probing",), plugin_files=(TOY, PROBING))


def test_a_probe_sees_the_codebooks_and_the_mode_of_the_name_on_the_same_few_utterances(toy_run: ToyRun) -> None:
    rows = _rows(_probe(toy_run, "toy", "toy@1", "toy/half-rate"))
    parts = dict(iter(rows.groupby("codec", observed=True)))
    details = {codec: [json.loads(d) for d in part.detail if d] for codec, part in parts.items()}
    for codec, codebooks in (("toy", [2, 2]), ("toy@1", [1, 1]), ("toy/half-rate", [2, 2])):
        assert all(detail["codebooks"] == codebooks for detail in details[codec])
    for detail in details["toy"]:
        assert detail["codec"] == "toy"
        assert detail["frames"][1] < detail["frames"][0]
        assert (detail["output_samples"], detail["output_rate_hz"]) == (detail["samples"], 16000)
    assert all(d["output_rate_hz"] == 8000 for d in details["toy/half-rate"])
    asked = {codec: tuple(part.utterance_id) for codec, part in parts.items()}
    assert len(set(asked.values())) == 1
    assert len(asked["toy"]) == 6


def test_one_utterance_that_fails_costs_that_utterance(toy_run: ToyRun, tmp_path: Path, corpus: Path) -> None:
    manifest = [line for line in corpus.read_text().splitlines() if json.loads(line)["id"] in {"u3", "u4", "u5"}]
    corpus.write_text("\n".join(manifest) + "\n")
    rows = _rows(_probe(toy_run, "toy"))
    status = dict(zip(rows.utterance_id, zip(rows.status, rows.reason, strict=True), strict=True))
    assert status["u3"][0] == "backend_error"
    assert "codec 'toy' on utterance 'u3': RuntimeError: not this one" in status["u3"][1]
    assert status["u4"][0] == status["u5"][0] == "ok"


def test_what_was_found_is_not_asked_for_again(toy_run: ToyRun, tmp_path: Path) -> None:
    first = _rows(_probe(toy_run, "toy"))
    logs = tmp_path / "run" / "logs"
    before = {path: path.stat().st_mtime_ns for path in logs.iterdir()}
    second = _rows(_probe(toy_run, "toy"))
    pd.testing.assert_frame_equal(first, second)
    assert {path: path.stat().st_mtime_ns for path in logs.iterdir()} == before
