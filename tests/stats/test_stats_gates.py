"""Each gate tripped, and not tripped."""

from __future__ import annotations

from dataclasses import replace

import pytest

from codecbench.contracts.codec import Role
from codecbench.results import RunResults
from codecbench.runinfo import Flag
from codecbench.stats import plausibility_flags
from tests.factories import IDENTITY, NOISE, RECOGNISER, FakeCodec, make_results, realistic_codecs, rvq

SOUND = (IDENTITY, NOISE, *rvq("mimi", 12.5, [(2, 0.3), (4, 0.5), (8, 0.7)]), FakeCodec("opus:12kbps", 0.8, 12_000.0))


def flags(results: RunResults, gate: str) -> list[Flag]:
    return [flag for flag in plausibility_flags(results) if flag.gate == gate]


def change(results: RunResults, codec: str, metric: str, column: str, value: object) -> RunResults:
    frame = results.records.astype({"status": object})
    rows = (frame["codec"] == codec) & (frame["metric"] == metric)
    frame.loc[rows, column] = value
    return RunResults.from_frame(results.info, frame)


def test_a_sound_run_trips_no_gate() -> None:
    assert plausibility_flags(make_results(SOUND, 60)) == ()


def test_a_realistic_run_trips_only_the_kinship_that_it_has() -> None:
    found = plausibility_flags(make_results(realistic_codecs(), 80))
    assert {flag.gate for flag in found} == {"recogniser_kinship"}


def test_one_shard_alone_is_flagged_and_noted_beside_every_summary() -> None:
    whole = make_results(SOUND, 60)
    part = RunResults.from_frame(replace(whole.info, shard="2/3"), whole.records)
    (flag,) = flags(part, "one_shard")
    assert "One shard only (2 of 3)" in flag.message
    assert part.summary.notes[0] == flag.message
    assert not any("shard" in note for note in whole.summary.notes)


@pytest.mark.parametrize(("metric", "low", "fine"), [("pesq_wb", 4.60, 4.642), ("mel_distance", 0.01, 0.0004)])
def test_the_ceiling_must_be_reached(metric: str, low: float, fine: float) -> None:
    results = make_results(SOUND, 30)
    tripped = flags(change(results, "identity", metric, "value", low), "ceiling")
    assert [(flag.codec, flag.metric) for flag in tripped] == [("identity", metric)]
    assert flags(change(results, "identity", metric, "value", fine), "ceiling") == []


def test_output_equal_to_the_reference() -> None:
    copy = FakeCodec("copycat", 1.0, 1000.0)
    results = make_results([*SOUND, copy], 30)
    for metric, value in (("pesq_wb", 4.644), ("stoi", 1.0), ("mel_distance", 0.0)):
        results = change(results, "copycat", metric, "value", value)
    assert [flag.codec for flag in flags(results, "equal_to_reference")] == ["copycat"]
    near = change(results, "copycat", "mel_distance", "value", 1e-4)
    assert flags(near, "equal_to_reference") == []


def test_a_second_ceiling_may_equal_the_reference() -> None:
    results = make_results([*SOUND, FakeCodec("lossless", 1.0, role=Role.CEILING)], 30)
    assert flags(results, "equal_to_reference") == []


@pytest.mark.parametrize(("delay", "tripped"), [(0.9, False), (-1.2, True), (10.0, True)])
def test_delay(delay: float, tripped: bool) -> None:
    found = flags(make_results([*SOUND, FakeCodec("late", 0.6, 9000.0, delay_ms=delay)], 30), "delay")
    assert [flag.codec for flag in found] == (["late"] if tripped else [])


def test_single_wild_lags_do_not_trip_the_delay_gate() -> None:
    results = make_results(SOUND, 30)
    frame = results.records.copy()
    wild = (frame["codec"] == "opus:12kbps") & (frame["metric"] == "delay_ms")
    frame.loc[frame.index[wild][:5], "value"] = 400.0
    assert flags(RunResults.from_frame(results.info, frame), "delay") == []


@pytest.mark.parametrize(("level", "tripped"), [(0.8, False), (-1.5, True), (6.0, True)])
def test_level(level: float, tripped: bool) -> None:
    found = flags(make_results([*SOUND, FakeCodec("loud", 0.6, 9000.0, level_db=level)], 30), "level")
    assert [flag.codec for flag in found] == (["loud"] if tripped else [])


def test_floors_may_be_off_in_level() -> None:
    assert flags(make_results([IDENTITY, replace(NOISE, level_db=3.0)], 30), "level") == []


def test_quality_must_not_fall_as_the_bitrate_rises() -> None:
    falling = rvq("odd", 12.5, [(2, 0.6), (4, 0.3)])
    found = flags(make_results([IDENTITY, *falling], 60), "falls_with_bitrate")
    assert {flag.codec for flag in found} == {"odd@4"}
    assert {flag.metric for flag in found} == {"pesq_wb", "stoi", "mel_distance", "wer"}
    assert "odd@2" in found[0].message


def test_a_fall_within_the_interval_is_no_fall() -> None:
    level = rvq("flat", 12.5, [(2, 0.5), (4, 0.5), (8, 0.5)])
    found = flags(make_results([IDENTITY, *level], 60, metrics=["pesq_wb", "bitrate_bps"]), "falls_with_bitrate")
    assert found == []


def test_other_families_and_decode_modes_are_not_one_curve() -> None:
    codecs = [
        FakeCodec("a", 0.7, 500.0),
        FakeCodec("b", 0.3, 2000.0),
        FakeCodec("lmspt@2", 0.7, 250.0),
        FakeCodec("lmspt@4/semantic", 0.2, 500.0),
    ]
    assert flags(make_results([IDENTITY, *codecs], 60), "falls_with_bitrate") == []


def test_a_metric_without_a_value_for_one_codec() -> None:
    results = make_results(SOUND, 30)
    broken = change(results, "mimi@4", "stoi", "status", "backend_error")
    found = flags(broken, "missing_metric")
    assert [(flag.codec, flag.metric) for flag in found] == [("mimi@4", "stoi")]
    assert "30 backend_error" in found[0].message


def test_a_metric_without_records_for_one_codec() -> None:
    results = make_results(SOUND, 30)
    gone = (results.records["codec"] == "mimi@4") & (results.records["metric"] == "stoi")
    found = flags(RunResults.from_frame(results.info, results.records[~gone]), "missing_metric")
    assert [(flag.codec, flag.metric) for flag in found] == [("mimi@4", "stoi")]


def test_a_metric_without_a_value_for_anybody_is_said_once() -> None:
    results = make_results(SOUND, 30)
    for codec in SOUND:
        results = change(results, codec.label, "wer", "status", "unavailable")
        results = change(results, codec.label, "wer", "reason", "no recogniser here")
    found = flags(results, "missing_metric")
    assert [(flag.codec, flag.metric) for flag in found] == [("", "wer")]
    assert "no recogniser here" in found[0].message


@pytest.mark.parametrize("status", ["no_text", "too_few_frames", "not_applicable"])
def test_what_the_corpus_explains_is_not_missing(status: str) -> None:
    results = make_results(SOUND, 30)
    for codec in SOUND:
        results = change(results, codec.label, "wer", "status", status)
    assert flags(results, "missing_metric") == []


def test_bad_input_beside_what_the_corpus_explains_is_not_a_missing_metric() -> None:
    results = make_results(SOUND, 30)
    for codec in SOUND:
        results = change(results, codec.label, "wer", "status", "not_applicable")
    frame = results.records.astype({"status": object, "reason": object})
    frame.loc[frame["utterance_id"] == frame["utterance_id"].iloc[0], ["status", "reason"]] = ["bad_input", "no file"]
    assert flags(RunResults.from_frame(results.info, frame), "missing_metric") == []


def test_a_corpus_that_cannot_be_read_is_said_once_and_not_for_every_metric() -> None:
    results = make_results(SOUND, 30)
    frame = results.records.astype({"status": object, "reason": object})
    frame["status"], frame["reason"] = "bad_input", "audio file not found: a.wav"
    (found,) = flags(RunResults.from_frame(results.info, frame), "missing_metric")
    assert (found.codec, found.metric) == ("", "")
    assert found.message == "no utterance of the corpus could be read: audio file not found: a.wav"


def test_a_metric_asked_for_and_never_recorded() -> None:
    results = make_results(SOUND, 30)
    without = RunResults.from_frame(results.info, results.records[results.records["metric"] != "stoi"])
    assert [(flag.codec, flag.metric) for flag in flags(without, "missing_metric")] == [("", "stoi")]


def test_not_applicable_is_not_missing() -> None:
    results = make_results(SOUND, 30)
    assert set(results.view("token_rate").query("codec == 'identity'")["status"]) == {"not_applicable"}
    assert flags(results, "missing_metric") == []


def test_an_unavailable_codec_is_not_missing_metrics() -> None:
    results = make_results([*SOUND, FakeCodec("lyra", 0.5, unavailable="no library")], 30)
    assert flags(results, "missing_metric") == []


def test_a_codec_left_out_is_flagged_once() -> None:
    codec = FakeCodec("shaky", 0.6, 9000.0, failing=tuple((i, "nan_output") for i in range(5)))
    found = flags(make_results([*SOUND, codec], 30), "left_out")
    assert [flag.codec for flag in found] == ["shaky"]
    assert "5 of 30" in found[0].message


@pytest.mark.parametrize(
    ("teacher", "says"),
    [
        ("openai/whisper-base", "very model"),
        ("whisper-large-v3", "family of whisper-large-v3"),
        ("hubert-base", ""),
        ("", ""),
    ],
)
def test_a_recogniser_related_to_the_teacher(teacher: str, says: str) -> None:
    codec = FakeCodec("distilled", 0.6, 9000.0, teacher=teacher)
    found = flags(make_results([*SOUND, codec], 30), "recogniser_kinship")
    assert [flag.codec for flag in found] == (["distilled"] if says else [])
    if says:
        assert says in found[0].message
        assert RECOGNISER in found[0].message


def test_a_recogniser_that_scored_nothing_is_no_kin() -> None:
    codec = FakeCodec("distilled", 0.6, 9000.0, teacher="whisper-base")
    results = make_results([IDENTITY, codec], 30, metrics=["pesq_wb"])
    assert flags(results, "recogniser_kinship") == []
