"""Reading a run folder back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from codecbench.errors import CodecbenchError
from codecbench.results import COLUMNS, RECORDS_FOLDER, RunResults
from tests.factories import IDENTITY, RECOGNISER, FakeCodec, make_info, make_results, record, write_run

GOOD = FakeCodec("good@2", 0.8, 500.0, 25.0, 2, failing=((3, "nan_output"),))


def test_a_run_reads_back_as_it_was(tmp_path: Path) -> None:
    results = make_results([IDENTITY, GOOD], 12)
    loaded = RunResults.load(write_run(results, tmp_path / "run"))
    assert loaded.info == results.info
    assert loaded.folder == tmp_path / "run"
    key = ["codec", "metric", "component", "utterance_id"]
    ours, theirs = (r.records.astype({k: str for k in key}).sort_values(key) for r in (results, loaded))  # noqa: C420
    for name in COLUMNS:
        assert ours[name].astype(str).tolist() == theirs[name].astype(str).tolist(), name


def test_a_record_in_two_shards_counts_once(tmp_path: Path) -> None:
    results = make_results([GOOD], 5)
    folder = write_run(results, tmp_path / "run", shards=1)
    shard = folder / RECORDS_FOLDER / "part-0.parquet"
    (folder / RECORDS_FOLDER / "part-9.parquet").write_bytes(shard.read_bytes())
    assert len(RunResults.load(folder).records) == len(results.records)


def test_labels_that_share_a_key_both_stay() -> None:
    info = make_info([FakeCodec("a", 0.5), FakeCodec("b", 0.5)], 1, metrics=["pesq_wb"])
    rows = [replace(record(name, "pesq_wb", "u", 2.0), key="same") for name in ("a", "b")]
    assert len(RunResults.from_records(info, rows).records) == 2


def test_contradicting_records_are_refused() -> None:
    info = make_info([FakeCodec("a", 0.5)], 1, metrics=["pesq_wb"])
    rows = [replace(record("a", "pesq_wb", "u7", float(k)), key=str(k)) for k in range(2)]
    with pytest.raises(CodecbenchError, match="u7"):
        RunResults.from_records(info, rows)


def test_what_is_wrong_with_a_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(CodecbenchError, match=r"not a run.*run\.json"):
        RunResults.load(tmp_path)
    folder = write_run(make_results([GOOD], 5), tmp_path / "run")
    (folder / RECORDS_FOLDER / "part-1.parquet").write_bytes(b"PAR1 cut short")
    with pytest.raises(CodecbenchError, match=r"part-1\.parquet"):
        RunResults.load(folder)
    (folder / "run.json").write_text('{"schema_version": 99}')
    with pytest.raises(CodecbenchError, match="schema"):
        RunResults.load(folder)


def test_missing_columns_are_named() -> None:
    results = make_results([GOOD], 5)
    with pytest.raises(CodecbenchError, match="status"):
        RunResults.from_frame(results.info, results.records.drop(columns="status"))


def test_a_shard_without_values_joins_the_others(tmp_path: Path) -> None:
    folder = write_run(make_results([GOOD], 5), tmp_path / "run")
    empty = pd.read_parquet(folder / RECORDS_FOLDER / "part-0.parquet").head(2)
    empty = empty.assign(value=None, numerator=None, denominator=None, status="backend_error", codec="other")
    empty.to_parquet(folder / RECORDS_FOLDER / "part-8.parquet")
    assert "other" in RunResults.load(folder).codecs


def test_views_and_counts() -> None:
    results = make_results([IDENTITY, GOOD], 12)
    assert results.components("wer") == (RECOGNISER,)
    assert results.components("codebook_use") == ("0", "1")
    assert results.components("unknown") == ()
    assert len(results.view("pesq_wb")) == 24
    assert results.view("pesq_wb", "none").empty
    counts = results.counts().loc[("good@2", "pesq_wb", "")]
    assert (counts["ok"], counts["nan_output"]) == (11, 1)
    scores = results.scores("pesq_wb")
    assert scores.ok.sum(axis=1).tolist() == [12, 11]


def test_unavailable_codecs_are_listed() -> None:
    results = make_results([IDENTITY, GOOD, FakeCodec("lyra", 0.5, unavailable="no library")], 5)
    assert results.codecs == ("identity", "good@2", "lyra")


def test_other_info_keeps_what_was_computed() -> None:
    results = make_results([IDENTITY, GOOD], 5)
    summary = results.summary
    changed = results.with_info(results.info.with_flags(()))
    assert changed.summary is summary
