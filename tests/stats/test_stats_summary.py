"""Which utterances are compared, what is counted, what is resampled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from codecbench.contracts.codec import Role
from codecbench.errors import CodecbenchError
from codecbench.results import RunResults
from codecbench.stats import BootstrapSettings, select_common, summarize
from tests.factories import IDENTITY, RECOGNISER, FakeCodec, make_info, make_results, realistic_codecs, record

GOOD, BAD = FakeCodec("good", 0.8), FakeCodec("bad", 0.3)


def failing(codec: FakeCodec, count: int, status: str, start: int = 0) -> FakeCodec:
    return replace(codec, failing=tuple((i, status) for i in range(start, start + count)))


def test_the_mean_is_taken_over_utterances_scorable_for_all() -> None:
    results = make_results([IDENTITY, failing(GOOD, 2, "nan_output"), failing(BAD, 1, "nan_output", 10)], 60)
    values = results.records.query("metric == 'pesq_wb' and codec == 'good'").set_index("utterance_id")["value"]
    shared = values.drop(["utt-00000", "utt-00001", "utt-00010"])
    row = results.summary.get("good", "pesq_wb")
    assert row.estimate == pytest.approx(shared.mean())
    assert (row.n_utterances, row.n_scored, row.n_failed) == (57, 58, (("nan_output", 2),))
    assert {r.n_utterances for r in results.summary.of("pesq_wb")} == {57}


def test_a_codec_failing_often_is_left_out_and_shrinks_nobodys_set() -> None:
    results = make_results([IDENTITY, GOOD, failing(BAD, 4, "out_silent")], 60)
    good, bad = (results.summary.get(name, "pesq_wb") for name in ("good", "bad"))
    assert good.n_utterances == 60
    assert bad.n_utterances == 56
    assert bad.estimate is not None
    assert "failed on 4 of 60" in bad.reason
    assert (bad.rank, bad.group) == (None, None)
    assert (good.rank, good.group) == (1, 1)


def test_exactly_95_percent_scored_stays_in() -> None:
    results = make_results([GOOD, failing(BAD, 3, "out_silent")], 60)
    assert results.summary.get("bad", "pesq_wb").reason == ""
    assert results.summary.get("good", "pesq_wb").n_utterances == 57


def test_failures_of_the_corpus_count_against_nobody() -> None:
    codecs = [failing(codec, 10, "ref_silent") for codec in (IDENTITY, GOOD, BAD)]
    results = make_results(codecs, 60)
    for row in results.summary.of("pesq_wb"):
        assert (row.reason, row.n_utterances, row.n_failed) == ("", 50, (("ref_silent", 10),))


def test_excused_failures_shrink_the_set_but_do_not_unrank() -> None:
    results = make_results([GOOD, failing(BAD, 10, "too_short")], 60)
    assert {row.n_utterances for row in results.summary.of("pesq_wb")} == {50}
    assert results.summary.get("bad", "pesq_wb").group == 2


def test_a_codec_that_has_nearly_nothing_in_common_does_not_empty_the_set() -> None:
    results = make_results([GOOD, failing(BAD, 40, "unavailable")], 60)
    assert results.summary.get("good", "pesq_wb").n_utterances == 60
    assert "only 20 of 60" in results.summary.get("bad", "pesq_wb").reason


def test_a_missing_record_counts_as_a_failure_of_the_codec() -> None:
    results = make_results([GOOD, BAD], 60)
    late = results.records["utterance_id"].isin([f"utt-{i:05d}" for i in range(5)])
    gone = late & (results.records["codec"] == "bad")
    cut = RunResults.from_frame(results.info, results.records[~gone])
    row = cut.summary.get("bad", "pesq_wb")
    assert row.n_failed == (("missing", 5),)
    assert "failed on 5 of 60" in row.reason


def test_a_value_that_is_not_finite_is_no_value() -> None:
    results = make_results([GOOD, BAD], 60)
    frame = results.records.copy()
    first = frame.index[(frame["metric"] == "pesq_wb") & (frame["codec"] == "bad")][0]
    frame.loc[first, "value"] = np.inf
    row = RunResults.from_frame(results.info, frame).summary.get("bad", "pesq_wb")
    assert row.n_failed == (("not_finite", 1),)
    assert np.isfinite(row.estimate)


def test_word_error_rate_is_summed_edits_over_summed_words() -> None:
    results = make_results([GOOD, BAD], 80)
    rows = results.view("wer", RECOGNISER).query("codec == 'bad'")
    row = results.summary.get("bad", "wer", RECOGNISER)
    assert row.estimate == pytest.approx(100 * rows["numerator"].sum() / rows["denominator"].sum())
    assert row.estimate != pytest.approx(rows["value"].mean(), rel=1e-6)


@pytest.mark.parametrize(
    ("speakers", "unit", "units"), [(19, "utterance", 100), (20, "speaker", 20), (0, "utterance", 100)]
)
def test_speakers_are_resampled_from_twenty_on(speakers: int, unit: str, units: int) -> None:
    results = make_results([GOOD, BAD], 100, speakers)
    row = results.summary.get("good", "pesq_wb")
    assert (row.unit, row.n_units) == (unit, units)
    noted = "do not extend to other speakers" in " ".join(results.summary.notes)
    assert noted == (unit == "utterance")


def test_resampling_speakers_widens_the_interval_where_they_differ() -> None:
    results = make_results([GOOD, BAD], 400, 25)
    frame = results.records.copy()
    nameless = RunResults.from_frame(results.info, frame.assign(speaker=""))
    clustered, plain = (r.summary.get("bad", "pesq_wb") for r in (results, nameless))
    assert clustered.estimate == pytest.approx(plain.estimate)
    assert clustered.ci_high - clustered.ci_low > 1.2 * (plain.ci_high - plain.ci_low)


def test_below_twenty_units_nothing_is_ranked() -> None:
    results = make_results([GOOD, BAD], 19)
    assert {row.group for row in results.summary.rows} == {None}
    assert any("not ranked" in note for note in results.summary.notes)
    assert results.summary.get("good", "pesq_wb").ci_low is not None


def test_ceilings_floors_and_rates_are_not_ranked() -> None:
    results = make_results(realistic_codecs(), 60)
    roles = {codec.label: codec.role for codec in results.info.codecs}
    for row in results.summary.rows:
        ranked = roles[row.codec] == Role.CODEC and results.metrics[row.metric].role == "quality"
        assert (row.rank is not None) == ranked, row


def test_intervals_stay_within_the_bounds_of_the_metric() -> None:
    results = make_results([FakeCodec("perfect", 1.4), BAD], 25)
    for row in results.summary.rows:
        low, high = results.metrics[row.metric].bounds
        assert row.ci_low is None or low is None or row.ci_low >= low
        assert row.ci_high is None or high is None or row.ci_high <= high


def test_same_seed_same_summary_and_the_seed_is_recorded() -> None:
    results = make_results([GOOD, BAD], 40)
    first, second = summarize(results), summarize(results)
    assert first.rows == second.rows
    assert first.settings.seed == BootstrapSettings().seed
    assert summarize(results, BootstrapSettings(seed=1)).rows != first.rows


def test_order_of_records_does_not_matter() -> None:
    results = make_results([GOOD, BAD], 40, 20)
    shuffled = RunResults.from_frame(results.info, results.records.sample(frac=1, random_state=0))
    for ours, theirs in zip(results.summary.rows, shuffled.summary.rows, strict=True):
        assert ours.estimate == pytest.approx(theirs.estimate)


def test_a_metric_with_both_kinds_of_value_is_refused() -> None:
    info = make_info([GOOD], 1, metrics=["pesq_wb"])
    rows = [record("good", "pesq_wb", "a", 2.0), record("good", "pesq_wb", "", 2.0)]
    with pytest.raises(CodecbenchError, match="pesq_wb"):
        _ = RunResults.from_records(info, rows).summary


def test_one_record_may_explain_a_whole_codec() -> None:
    info = make_info([GOOD, BAD], 2, metrics=["pesq_wb"])
    rows = [record("good", "pesq_wb", "a", 2.0), record("good", "pesq_wb", "b", 2.0)]
    rows.append(record("bad", "pesq_wb", "", status="unavailable"))
    row = RunResults.from_records(info, rows).summary.get("bad", "pesq_wb")
    assert row.n_failed == (("unavailable", 2),)
    assert row.estimate is None


def test_no_common_utterance_leaves_estimates_but_no_ranks() -> None:
    info = make_info([GOOD, BAD], 2, metrics=["pesq_wb"])
    rows = [record("good", "pesq_wb", "a", 2.0), record("bad", "pesq_wb", "b", 3.0)]
    rows += [record("good", "pesq_wb", "b", status="too_short"), record("bad", "pesq_wb", "a", status="too_short")]
    results = RunResults.from_records(info, rows)
    assert not select_common(results.scores("pesq_wb")).common.any()
    assert all(row.reason for row in results.summary.rows)


def test_an_empty_run_has_an_empty_summary() -> None:
    results = RunResults.from_records(make_info([GOOD], 0), [])
    assert results.summary.rows == ()
    assert len(results.summary.frame()) == 0
