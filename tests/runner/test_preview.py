"""The dry run: it says exactly what the run then does, and writes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from codecbench.cli import app
from codecbench.plugins import load_plugins
from codecbench.runner.config import RunConfig
from codecbench.runner.preview import LateWork, Preview, preview
from codecbench.runner.run import RunOutcome
from tests.runner.conftest import TOY
from tests.runner.scale_testing import files_below, spent_audio_s, todo

ToyRun = Callable[..., RunOutcome]
Ask = Callable[..., Preview]
CODECS = ("toy-ceiling", "toy", "toy@1")
ALL = {"decode": 10, "toy-level": 10, "toy-tokens": 10}


@pytest.fixture
def ask(tmp_path: Path, corpus: Path) -> Ask:
    """Ask for a dry run of what ``toy_run`` runs."""

    def start(**changes: Any) -> Preview:
        config = RunConfig(
            out=tmp_path / "run",
            codecs=CODECS,
            corpus=str(corpus),
            tasks=("toy-task",),
            workers=1,
            plugin_files=(TOY,),
        )
        config = replace(config, **changes)
        return preview(config, load_plugins(config.plugin_files))

    return start


@pytest.fixture
def newer_plugin(tmp_path: Path) -> Path:
    """The toy plugin with another version of one metric."""
    spec = 'MetricSpec("toy_error", "error", Direction.LOWER'
    text = TOY.read_text().replace(spec, f'{spec}, version="2"')
    assert text != TOY.read_text()
    path = tmp_path / "toy_plugin.py"
    path.write_text(text)
    return path


def test_before_the_first_run_all_is_to_be_done_and_nothing_is_written(ask: Ask, tmp_path: Path) -> None:
    before = files_below(tmp_path)
    found = ask()
    assert files_below(tmp_path) == before
    assert not (tmp_path / "run").exists()
    assert todo(found.works) == {"toy-ceiling": {"encode": 10, **ALL}, "toy": {"encode": 10, **ALL}, "toy@1": ALL}
    assert found.num_utterances == 10
    assert len(found.late) == 3
    assert found.estimate.wall_s == 0
    assert "decode toy@1" in found.estimate.unknown


def test_after_the_run_nothing_is_to_be_done(ask: Ask, toy_run: ToyRun, tmp_path: Path) -> None:
    toy_run(codecs=CODECS, tasks=("toy-task", "toy-speed"))
    before = files_below(tmp_path)
    found = ask(tasks=("toy-task", "toy-speed"))
    assert files_below(tmp_path) == before
    assert todo(found.works) == {"toy-ceiling": {}, "toy": {}, "toy@1": {}}
    assert found.late == ()
    assert found.estimate.unknown == ()
    assert all(s.amount.stored == 10 for w in found.works for lane in w.lanes for s in lane.scorers)


def test_a_changed_option_of_a_codec_redoes_what_depends_on_it(ask: Ask, toy_run: ToyRun, tmp_path: Path) -> None:
    toy_run(codecs=CODECS)
    changes = {
        # what decides the codes; what decides the audio alone
        "fault": {"toy-ceiling": {}, "toy": {"encode": 10, **ALL}, "toy@1": ALL},
        "shade": {"toy-ceiling": {}, "toy": ALL, "toy@1": ALL},
    }
    for option, expected in changes.items():
        settings = {"toy": {option: "print"}}
        found = ask(settings=settings)
        assert todo(found.works) == expected
        assert set(found.late) == {LateWork("corpus", label, "toy-corpus") for label in ("toy", "toy@1")}
        _does_exactly(found, partial(toy_run, codecs=CODECS, settings=settings), tmp_path)
        assert todo(ask(settings=settings).works) == {"toy-ceiling": {}, "toy": {}, "toy@1": {}}


def test_another_version_of_a_metric_redoes_its_scores(
    ask: Ask, toy_run: ToyRun, newer_plugin: Path, tmp_path: Path
) -> None:
    toy_run(codecs=CODECS)
    found = ask(plugin_files=(newer_plugin,))
    redone = {"decode": 10, "toy-level": 10}
    # The ceiling's tokens are the audio itself, of which nothing is kept: it is handed through again.
    assert todo(found.works) == {"toy-ceiling": {"encode": 10, **redone}, "toy": redone, "toy@1": redone}
    assert found.estimate.unknown == ()
    assert found.estimate.wall_s > 0
    _does_exactly(found, partial(toy_run, codecs=CODECS, plugin_files=(newer_plugin,)), tmp_path)


def _does_exactly(found: Preview, act: Callable[[], RunOutcome], tmp_path: Path) -> None:
    """The seconds of audio that each kind of work was done on are those of the dry run."""
    before = spent_audio_s(tmp_path / "run" / "store")
    act()
    after = spent_audio_s(tmp_path / "run" / "store")
    expected: dict[tuple[str, str], float] = {}
    for work in found.works:
        expected["encode", work.group.codec] = work.encodes.audio_s
        for lane in work.lanes:
            expected["decode", lane.label] = lane.decodes.audio_s
            for scorer in lane.scorers:
                name = ("score", scorer.scorer.name)
                expected[name] = expected.get(name, 0.0) + scorer.amount.audio_s
    done = {item: after.get(item, 0.0) - before.get(item, 0.0) for item in expected}
    assert done == pytest.approx(expected)


def test_an_unavailable_scorer_says_so_and_costs_no_decoding(ask: Ask, toy_run: ToyRun, tmp_path: Path) -> None:
    tasks = ("toy-absent-task",)
    outcome = toy_run(codecs=CODECS, tasks=tasks)
    records = outcome.results.records
    for metric in ("toy_absent", "toy_absent_too"):
        rows = records[records.metric == metric]
        assert len(rows) == 30
        assert set(rows.status) == {"unavailable"}
        assert set(rows.reason) == {"its model is not on this machine (toy-download model)"}
    assert outcome.partial
    found = ask(tasks=tasks)
    assert todo(found.works) == {"toy-ceiling": {}, "toy": {}, "toy@1": {}}
    assert set(found.unavailable) == {"toy-absent", "toy-absent-too"}
    spent = spent_audio_s(tmp_path / "run" / "store")
    toy_run(codecs=CODECS, tasks=tasks)
    assert spent_audio_s(tmp_path / "run" / "store") == spent


def test_the_command_prints_a_table_or_json(corpus: Path, tmp_path: Path) -> None:
    command = ["run", "--codecs", "toy-ceiling,toy", "--corpus", str(corpus), "--tasks", "toy-task", "--dry-run"]
    command += ["--out", str(tmp_path / "run"), "--plugin", str(TOY)]
    plain = CliRunner().invoke(app, command)
    assert plain.exit_code == 0, plain.output
    assert "10 of 10" in plain.output
    assert "estimate: unknown" in plain.output
    found = json.loads(CliRunner().invoke(app, [*command, "--json"]).output)
    assert found["groups"][1]["codecs"][0]["scorers"][0]["amount"]["items"] == 10
    assert found["estimate"]["unknown"]
    assert not (tmp_path / "run").exists()
