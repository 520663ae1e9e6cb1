"""Whole runs over a toy plugin: what they compute, what they contain, what they do not do twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from codecbench.cli.run import run_command
from codecbench.results import RunResults
from codecbench.runner.run import RunOutcome
from tests.runner.conftest import TOY, write_corpus

ToyRun = Callable[..., RunOutcome]


def values(outcome: RunOutcome, codec: str, metric: str) -> dict[str, float]:
    records = RunResults.load(outcome.folder).records
    rows = records[(records.codec == codec) & (records.metric == metric)]
    return dict(zip(rows.utterance_id, rows.value, strict=True))


def statuses(outcome: RunOutcome, codec: str, metric: str) -> dict[str, tuple[str, str]]:
    records = RunResults.load(outcome.folder).records
    rows = records[(records.codec == codec) & (records.metric == metric)]
    return {u: (s, r) for u, s, r in zip(rows.utterance_id, rows.status, rows.reason, strict=True)}


def test_a_run_scores_every_utterance_of_every_codec(toy_run: ToyRun) -> None:
    outcome = toy_run(codecs=("toy-ceiling", "toy", "toy@1", "toy/half-rate"), tasks=("toy-task", "toy-speed"))
    assert not outcome.partial
    assert set(values(outcome, "toy-ceiling", "toy_error").values()) == {0.0}
    full, coarse = values(outcome, "toy", "toy_error"), values(outcome, "toy@1", "toy_error")
    assert len(full) == len(coarse) == 10
    assert np.mean(list(full.values())) < np.mean(list(coarse.values()))
    assert len(values(outcome, "toy/half-rate", "toy_error")) == 10
    tokens, tokens_coarse = values(outcome, "toy", "toy_tokens"), values(outcome, "toy@1", "toy_tokens")
    assert all(tokens[u] == 2 * tokens_coarse[u] for u in tokens)
    assert values(outcome, "toy", "toy_frames")[""] == sum(tokens_coarse.values())
    assert set(values(outcome, "toy", "toy_derived")) == set(full)
    assert values(outcome, "toy", "toy_seconds")[""] > 0


def test_the_ceiling_is_in_every_run(toy_run: ToyRun) -> None:
    info = toy_run(codecs=("toy",)).info
    assert any(codec.role == "ceiling" for codec in info.codecs)


def test_a_second_run_does_nothing_again(toy_run: ToyRun, tmp_path: Path) -> None:
    counter = tmp_path / "count"
    settings = {"toy-level": {"counter": str(counter)}}
    first = toy_run(settings=settings)
    assert len(counter.read_text().splitlines()) == 20
    second = toy_run(settings=settings)
    assert len(counter.read_text().splitlines()) == 20
    assert values(first, "toy", "toy_error") == values(second, "toy", "toy_error")


def test_a_changed_option_redoes_what_depends_on_it(toy_run: ToyRun, tmp_path: Path) -> None:
    counter = tmp_path / "count"
    toy_run(settings={"toy-level": {"counter": str(counter)}})
    tokens = sorted((tmp_path / "run" / "store" / "tokens").rglob("*.parquet"))
    toy_run(settings={"toy-level": {"counter": str(counter), "salt": "other"}})
    assert len(counter.read_text().splitlines()) == 40
    assert sorted((tmp_path / "run" / "store" / "tokens").rglob("*.parquet")) == tokens


@pytest.mark.parametrize(
    ("fault", "status", "part"),
    [
        ("raise", "backend_error", "this utterance cannot be coded"),
        ("segfault", "backend_error", "SIGSEGV"),
        ("hang", "backend_error", "time limit"),
    ],
)
def test_a_codec_that_fails_on_one_utterance_costs_that_utterance(
    toy_run: ToyRun, tmp_path: Path, fault: str, status: str, part: str
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    manifest = write_corpus(folder, ["a", "culprit", "b"])
    outcome = toy_run(
        codecs=("toy-ceiling", "toy-bad"), corpus=str(manifest), settings={"toy-bad": {"fault": fault}}, timeout_s=6.0
    )
    found = statuses(outcome, "toy-bad", "toy_error")
    assert {u for u, (s, _) in found.items() if s == "ok"} == {"a", "b"}
    assert found["culprit"][0] == status
    assert part in found["culprit"][1]
    assert "culprit" in found["culprit"][1]
    assert outcome.partial
    assert len(values(outcome, "toy-ceiling", "toy_error")) == 3


@pytest.mark.parametrize(("fault", "status"), [("nan", "nan_output"), ("short", "length_mismatch"), ("print", "ok")])
def test_output_that_breaks_the_contract_is_named(toy_run: ToyRun, fault: str, status: str) -> None:
    outcome = toy_run(codecs=("toy-ceiling", "toy-bad"), settings={"toy-bad": {"fault": fault}})
    assert {s for s, _ in statuses(outcome, "toy-bad", "toy_error").values()} == {status}
    assert set(statuses(outcome, "toy-bad", "toy_tokens").values()) == {("ok", "")}


def test_a_scorer_that_fails_or_dies_on_one_utterance_costs_its_values_there(toy_run: ToyRun, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    manifest = write_corpus(folder, ["a", "bad-metric", "fatal-metric"])
    outcome = toy_run(corpus=str(manifest))
    found = statuses(outcome, "toy", "toy_error")
    assert found["a"] == ("ok", "")
    assert "this utterance cannot be scored" in found["bad-metric"][1]
    assert "SIGKILL" in found["fatal-metric"][1]
    assert set(statuses(outcome, "toy", "toy_tokens").values()) == {("ok", "")}


def test_an_unavailable_codec_is_told_and_the_others_go_on(toy_run: ToyRun) -> None:
    outcome = toy_run(codecs=("toy-away", "toy"))
    away = next(c for c in outcome.info.codecs if c.label == "toy-away")
    assert away.unavailable == "its weights are not on this machine"
    assert away.remedy == "toy-download weights"
    assert outcome.partial
    assert len(values(outcome, "toy", "toy_error")) == 10


def test_a_scorer_that_proves_unavailable_when_it_is_made_makes_the_run_partial(toy_run: ToyRun) -> None:
    outcome = toy_run(tasks=("toy-late-task",))
    assert {status for status, _ in statuses(outcome, "toy", "toy_late").values()} == {"unavailable"}
    assert len(values(outcome, "toy", "toy_error")) == 10
    assert outcome.partial
    assert outcome.failures == {}
    assert not any(codec.unavailable for codec in outcome.info.codecs)


def test_bad_audio_gets_a_record_that_says_why(toy_run: ToyRun, tmp_path: Path) -> None:
    folder = tmp_path / "bad"
    folder.mkdir()
    soundfile.write(folder / "good.wav", np.full(4000, 0.1), 16000)
    soundfile.write(folder / "nan.wav", np.full(4000, np.nan, np.float32), 16000, subtype="FLOAT")
    soundfile.write(folder / "empty.wav", np.zeros(0), 16000)
    soundfile.write(folder / "one.wav", np.full(1, 0.1), 16000)
    soundfile.write(folder / "stereo.wav", np.full((8820, 2), 0.1), 44100)
    (folder / "corrupt.wav").write_bytes(b"RIFF....not a wave file")
    rows = [{"id": n, "audio": f"{n}.wav"} for n in ("good", "nan", "empty", "one", "stereo", "corrupt", "missing")]
    lines = [json.dumps(r) for r in rows] + ["{broken", json.dumps({"id": "good", "audio": "good.wav"})]
    lines += [json.dumps({"id": "escape", "audio": "../corpus/u0.wav"})]
    manifest = folder / "manifest.jsonl"
    manifest.write_text("\n".join(lines), "utf-8")
    found = statuses(toy_run(corpus=str(manifest)), "toy", "toy_error")
    assert {u for u, (s, _) in found.items() if s == "ok"} == {"good", "one", "stereo"}
    assert "NaN" in found["nan"][1]
    assert "no samples" in found["empty"][1]
    assert "cannot be read" in found["corrupt"][1]
    assert "not found" in found["missing"][1]
    assert "line 8" in found["manifest.jsonl:8"][1]
    assert "more than once" in found["good#2"][1]
    assert "leaves the manifest's folder" in found["escape"][1]
    assert all(s == "bad_input" for u, (s, _) in found.items() if u not in {"good", "one", "stereo"})


def test_a_codec_that_proves_unavailable_when_it_is_opened_makes_the_run_partial(
    toy_run: ToyRun, tmp_path: Path
) -> None:
    refusing: dict[str, object] = {
        "codecs": ("toy-ceiling", "toy", "toy-bad"),
        "settings": {"toy-bad": {"fault": "refuse"}},
    }
    outcome = toy_run(**refusing)
    assert outcome.partial
    assert outcome.failures == {}
    unavailable = {codec.label: codec.unavailable for codec in RunResults.load(outcome.folder).info.codecs}
    assert unavailable == {
        "toy-ceiling": "", "toy": "", "toy-bad": "its weights are not here after all (fetch them)"
    }  # fmt: skip
    assert {status for status, _ in statuses(outcome, "toy-bad", "toy_error").values()} == {"unavailable"}
    again = toy_run(**refusing | {"settings": {}})
    assert not again.partial
    assert not any(codec.unavailable for codec in again.info.codecs)


def test_a_codec_that_becomes_unavailable_on_the_way_makes_the_run_partial(toy_run: ToyRun, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    corpus = str(write_corpus(folder, ["a", "culprit", "c"]))
    codecs, settings = ("toy-ceiling", "toy-bad"), {"toy-bad": {"fault": "vanish"}}
    outcome = toy_run(codecs=codecs, corpus=corpus, settings=settings)
    assert outcome.partial
    assert outcome.failures == {"toy-bad": 3}
    assert not any(codec.unavailable for codec in outcome.info.codecs)


def test_a_shard_says_which_codec_proved_unavailable(corpus: Path, tmp_path: Path) -> None:
    arguments = ["--codecs", "toy-ceiling,toy-bad", "--corpus", corpus, "--tasks", "toy-task", "--out", tmp_path / "s"]
    arguments += ["--shard", "1/2", "--plugin", TOY, "--set", "toy-bad.fault=refuse", "--workers", "1"]
    done = CliRunner().invoke(run_command, [str(a) for a in arguments], standalone_mode=False)
    assert done.return_value == 3, done.output
    assert "unavailable toy-bad: its weights are not here after all" in done.output
