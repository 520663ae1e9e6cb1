"""Runs against runs: paired differences find known effects, gates trip, and unlike runs are not mixed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from codecbench.artifacts import Artifact
from codecbench.cli.comparing import Gate, diff_command, leaderboard_command
from codecbench.combining import combine
from codecbench.errors import Unavailable, UsageError
from codecbench.results import RunResults
from codecbench.runinfo import RunInfo
from codecbench.stats.comparing import diff_runs
from tests.factories import IDENTITY, RECOGNISER, FakeCodec, make_results, write_run
from tests.reports.page_runs import audible_run

METRICS = ("pesq_wb", "stoi", "wer", "delay_ms", "rtf_encode")


def changed(quality: float, n: int = 60, **more: object) -> RunResults:
    return make_results((IDENTITY, FakeCodec("codec", quality)), n, metrics=METRICS, **more)  # type: ignore[arg-type]


def with_info(results: RunResults, **facts: object) -> RunResults:
    return results.with_info(replace(results.info, **facts))  # type: ignore[arg-type]


def test_a_known_loss_is_found_with_its_direction() -> None:
    diff = diff_runs(changed(0.6), changed(0.5))
    found = {(c.codec, c.metric.name): c for c in diff.changes}
    pesq, wer = found["codec", "pesq_wb"], found["codec", "wer"]
    assert pesq.difference < 0
    assert pesq.improved is False
    assert pesq.is_certain
    assert pesq.interval.low is not None
    assert pesq.interval.high is not None
    assert pesq.interval.low < pesq.difference < pesq.interval.high
    assert wer.difference > 0
    assert wer.improved is False
    same = found["identity", "pesq_wb"]
    assert same.difference == 0
    assert same.improved is None


def test_difference_is_that_of_the_pairs_and_the_most_moved_come_first() -> None:
    before, after = changed(0.6, 30), changed(0.6, 30)
    frame = after.records.astype({"status": str})
    row = (frame["codec"] == "codec") & (frame["metric"] == "pesq_wb") & (frame["utterance_id"] == "utt-00007")
    frame.loc[row, "value"] += 1.0
    gone = (frame["codec"] == "codec") & (frame["metric"] == "pesq_wb") & (frame["utterance_id"] == "utt-00003")
    frame.loc[gone, "status"] = "backend_error"
    after = RunResults.from_frame(after.info, frame)
    change = next(c for c in diff_runs(before, after).changes if (c.codec, c.metric.name) == ("codec", "pesq_wb"))
    assert change.n_utterances == 29
    assert (change.only_before, change.only_after) == (1, 0)
    assert change.difference == pytest.approx(1.0 / 29)
    assert [m.utterance_id for m in change.moved] == ["utt-00007"]
    assert change.moved[0].after - change.moved[0].before == pytest.approx(1.0)


def test_pairs_are_matched_by_id_not_by_order() -> None:
    before = changed(0.6, 30)
    shuffled = before.records.sample(frac=1, random_state=0).reset_index(drop=True)
    diff = diff_runs(before, RunResults.from_frame(before.info, shuffled))
    assert all(change.difference == pytest.approx(0, abs=1e-12) for change in diff.changes)


def with_audio(results: RunResults, digests: dict[str, str]) -> RunResults:
    """Give utterances the digests of their audio; those that are not named keep one of their own."""
    ids = [str(i) for i in results.records["utterance_id"].cat.categories if i]
    rows = (Artifact("codec", i, None, "", "", "", "", audio_sha256=digests.get(i, f"sha of {i}")) for i in ids)
    return results.with_artifacts(rows)


def renamed(results: RunResults, names: dict[str, str]) -> RunResults:
    frame = results.records.astype({"utterance_id": str})
    frame["utterance_id"] = frame["utterance_id"].map(lambda name: names.get(name, name))
    return RunResults.from_frame(results.info, frame)


def test_one_id_of_two_recordings_is_named_and_not_compared() -> None:
    before, after = (with_audio(changed(0.6, 30), {"utt-00004": sha}) for sha in ("one", "another"))
    diff = diff_runs(before, after)
    assert {c.n_utterances for c in diff.changes if c.unit != "corpus"} == {29}
    assert diff.notes[0].startswith("1 utterances have one id but other audio")
    assert "utt-00004" in diff.notes[0]
    with pytest.raises(UsageError, match="audio files of 'utt-00004' differ \\(one against another\\)"):
        combine([before, after])


def test_one_recording_under_two_ids_is_paired() -> None:
    before = with_audio(changed(0.6, 30), {"utt-00004": "the same"})
    after = with_audio(renamed(changed(0.6, 30), {"utt-00004": "new name"}), {"new name": "the same"})
    diff = diff_runs(before, after)
    assert {(c.n_utterances, c.only_before, c.only_after) for c in diff.changes if c.unit != "corpus"} == {(30, 0, 0)}
    assert all(c.difference == pytest.approx(0, abs=1e-12) for c in diff.changes)
    assert "utt-00004 = new name" in diff.notes[0]


def test_audio_that_is_not_known_pairs_by_id_and_runs_without_a_pair_are_refused() -> None:
    known, unknown = with_audio(changed(0.6, 30), {}), changed(0.6, 30)
    assert diff_runs(known, unknown).notes == ()
    other = with_audio(changed(0.6, 30), {f"utt-{i:05d}": f"other {i}" for i in range(30)})
    with pytest.raises(UsageError, match="no utterance in common; 30 utterances have one id but other audio"):
        diff_runs(known, other)


def test_no_change_is_called_certain_about_one_time_in_twenty() -> None:
    certain = total = 0
    for seed in range(20):
        both = make_results((FakeCodec("codec", 0.5), FakeCodec("twin", 0.5)), 60, metrics=METRICS[:3], seed=seed)
        frame = both.records.astype({"codec": str})
        first, twin = frame[frame["codec"] == "codec"], frame[frame["codec"] == "twin"].assign(codec="codec")
        before, after = (RunResults.from_frame(both.info, part) for part in (first, twin))
        own = diff_runs(before, after).changes
        certain, total = certain + sum(c.is_certain for c in own), total + len(own)
    assert total == 60
    assert certain <= 9  # a share of 5 % leaves more than 9 of 60 once in 800 times


@pytest.mark.parametrize(
    ("facts", "message"),
    [({"protocol_version": "2"}, "protocol 1 and 2"), ({"codecs": ()}, "no codec in common")],
)
def test_runs_that_cannot_be_compared_are_refused(facts: dict[str, object], message: str) -> None:
    before, after = changed(0.5), with_info(changed(0.5), **facts)
    if "codecs" in facts:
        after = RunResults.from_frame(after.info, after.records.iloc[:0])
    with pytest.raises(UsageError, match=message):
        diff_runs(before, after)


def test_other_corpora_recognisers_versions_and_machines_are_not_compared() -> None:
    before = changed(0.5)
    corpus = replace(before.info.corpus, name="other")
    with pytest.raises(UsageError, match="corpora 'synthetic-speech' and 'other'"):
        diff_runs(before, with_info(changed(0.5), corpus=corpus))
    newer = tuple(replace(m, version="2") if m.name == "stoi" else m for m in before.info.metrics)
    after = with_info(changed(0.5), recognizers={RECOGNISER: {"weights": "x"}}, metrics=newer, hardware={"cores": 9})
    diff = diff_runs(before, after)
    assert {c.metric.name for c in diff.changes} == {"pesq_wb", "delay_ms"}
    assert len(diff.notes) == 3


def test_gates() -> None:
    changes = diff_runs(changed(0.6), changed(0.5)).changes
    assert Gate.parse("pesq_wb<-0.05").tripped(changes)
    assert Gate.parse("codec wer > 0.1").tripped(changes)
    assert not Gate.parse("identity pesq_wb<-0.05").tripped(changes)
    assert not Gate.parse("pesq_wb<-3").tripped(changes)
    with pytest.raises(UsageError, match="nothing to compare"):
        Gate.parse("pesqq<-1").tripped(changes)
    for wrong in ("pesq_wb", "pesq_wb<", "pesq_wb<=1", "<1", "pesq_wb<1.2.3"):
        with pytest.raises(UsageError):
            Gate.parse(wrong)


def test_diff_command_exits_by_the_gate(tmp_path: Path) -> None:
    a, b = (str(write_run(changed(q), tmp_path / name)) for q, name in ((0.6, "a"), (0.5, "b")))
    runner = CliRunner()
    worse = runner.invoke(diff_command, [a, b, "--fail-if", "pesq_wb<-0.05"], standalone_mode=False)
    assert worse.return_value == 3
    assert "failed: pesq_wb<-0.05: codec pesq_wb" in worse.stderr
    assert "worse" in worse.output
    assert "moved most" in worse.output
    better = runner.invoke(diff_command, [b, a, "--fail-if", "pesq_wb<-0.05", "--json"], standalone_mode=False)
    assert better.return_value == 0
    data = json.loads(better.stdout)
    assert {c["metric"] for c in data["changes"]} >= {"pesq_wb", "wer"}


def test_leaderboard_puts_runs_together_and_pairs_across_them(tmp_path: Path) -> None:
    one = make_results((IDENTITY, FakeCodec("good", 0.8)), 40)
    two = make_results((IDENTITY, FakeCodec("bad", 0.3)), 40)
    both = combine([one, two])
    assert both.codecs == ("identity", "good", "bad")
    for label, alone in (("good", one), ("bad", two)):
        a, b = both.summary.get(label, "pesq_wb"), alone.summary.get(label, "pesq_wb")
        assert a is not None
        assert b is not None
        assert a.estimate == pytest.approx(b.estimate)
    rows = {row.codec: row.rank for row in both.summary.of("pesq_wb")}
    assert (rows["good"], rows["bad"]) == (1, 2)


def test_one_codec_with_other_options_keeps_both_names() -> None:
    one = changed(0.6)
    other = tuple(replace(c, identity={"weights": "x"}) if c.label == "codec" else c for c in one.info.codecs)
    two = with_info(changed(0.5), codecs=other, name="second")
    both = combine([one, two])
    assert both.codecs == ("identity", "codec", "codec (second)")
    assert np.isfinite([row.estimate or np.nan for row in both.summary.of("pesq_wb")]).all()
    assert combine([one, one]).codecs == one.codecs


def test_unlike_runs_are_refused_by_the_leaderboard() -> None:
    one = changed(0.5)
    versions = tuple(replace(m, version="2") for m in one.info.metrics)
    for facts, message in (
        ({"protocol_version": "0"}, "protocol versions"),
        ({"corpus": replace(one.info.corpus, num_utterances=61)}, "corpora"),
        ({"recognizers": {}}, "recognisers"),
        ({"metrics": versions}, "versions of"),
    ):
        with pytest.raises(UsageError, match=message):
            combine([one, with_info(one, **facts)])


def test_timings_of_several_machines_are_left_out() -> None:
    one = changed(0.5)
    both = combine([one, with_info(one, hardware={"processor": "another"})])
    assert "rtf_encode" not in both.metrics
    assert "rtf_encode" in combine([one, one]).metrics


def test_leaderboard_tells_of_reports_left_out_and_keeps_the_audio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(*_: object) -> Path:
        raise Unavailable("the page needs plotly", "pip install plotly")

    for name, quality in (("good", 0.8), ("bad", 0.3)):
        audible_run(tmp_path / "runs" / name, make_results((IDENTITY, FakeCodec(name, quality)), 30))
    monkeypatch.setattr("codecbench_page.render.write_page", without)
    monkeypatch.setattr("codecbench_plots.render.write_plots", lambda *_, **__: ())
    arguments = [str(tmp_path / "runs"), "--out", str(tmp_path / "all")]
    result = CliRunner().invoke(leaderboard_command, arguments, standalone_mode=False)
    assert result.exception is None
    assert "report 'page' left out: the page needs plotly" in result.stderr
    artifacts = RunResults.load(tmp_path / "all").artifacts
    for name in ("good", "bad"):
        file = artifacts.audio(name, "utt-00002")
        assert file is not None
        assert file.is_relative_to((tmp_path / "runs" / name).resolve())
        assert artifacts.tokens(name, "utt-00002") is not None


def test_leaderboard_command_writes_a_run_of_its_own(tmp_path: Path) -> None:
    write_run(make_results((IDENTITY, FakeCodec("good", 0.8)), 30), tmp_path / "runs" / "one")
    write_run(make_results((IDENTITY, FakeCodec("bad", 0.3)), 30), tmp_path / "runs" / "two")
    arguments = [str(tmp_path / "runs"), "--out", str(tmp_path / "runs" / "all"), "--reports", "tables"]
    for _ in range(2):  # the second time its own output is not taken for a run
        result = CliRunner().invoke(leaderboard_command, arguments, standalone_mode=False)
        assert result.exception is None
    assert {c.label for c in RunInfo.load(tmp_path / "runs" / "all").codecs} == {"identity", "good", "bad"}
    assert (tmp_path / "runs" / "all" / "tables" / "summary.md").is_file()
