"""Corpora as streams: walked once, kept in a table, read back block by block."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codecbench.contracts.audio import Utterance
from codecbench.contracts.metric import Measurement, Record
from codecbench.hashing import KeyMaker, digest, members
from codecbench.runner.config import Shard
from codecbench.runner.records import RecordFile, RecordFolder, RowsMissingError, utterance_records
from codecbench.runner.stages import median_length
from codecbench.runner.utterances import BLOCK, PlannedUtterance, Scan, UtteranceTable

TEXTS = st.one_of(st.none(), st.text(max_size=20))


def _utterances(count: int) -> Iterator[Utterance]:
    for i in range(count):
        duration = float(1 + i % 7)
        yield Utterance(f"u{i}", Path("/nowhere/a.wav"), f"text {i}", f"s{i % 5}", "en", f"{i:064x}", duration)


@given(st.lists(TEXTS, min_size=1, max_size=4), st.lists(TEXTS, max_size=4))
def test_a_key_made_in_parts_is_the_digest_of_the_whole(first: list[str | None], rest: list[str | None]) -> None:
    def clean(texts: list[str | None]) -> list[str | None]:
        return [text and text.encode("utf-8", "replace").decode() for text in texts]

    first, rest = clean(first), clean(rest) or [None]
    assert KeyMaker(first).key(members(*rest)) == digest([*first, *rest])


def test_a_table_gives_back_what_was_written(tmp_path: Path) -> None:
    count = BLOCK + 100
    scanned = list(Scan(_utterances(count)))
    table = UtteranceTable.write(tmp_path / "t.parquet", Scan(_utterances(count)))
    read = list(table)
    assert [(p.utterance.id, p.audio_sha256, p.duration_s, p.position) for p in read] == [
        (p.utterance.id, p.audio_sha256, p.duration_s, p.position) for p in scanned
    ]
    assert [p.score_members for p in read] == [p.score_members for p in scanned]
    assert [f.score_members for f in table.facts()] == [p.score_members for p in scanned]
    assert [f.audio_members for f in table.facts()] == [p.audio_members for p in scanned]
    assert (len(table), table.num_walked, table.num_speakers, table.languages) == (count, count, 5, ("en",))
    assert table.durations_s.sum() == sum(p.duration_s for p in scanned)
    chosen = np.zeros(count, bool)
    chosen[[3, BLOCK - 1, BLOCK, count - 1]] = True
    assert [p.position for p in table.walk(chosen)] == [3, BLOCK - 1, BLOCK, count - 1]


def test_shards_walk_all_and_keep_their_own(tmp_path: Path) -> None:
    tables = [UtteranceTable.write(tmp_path / f"{i}.parquet", Scan(_utterances(200), Shard(i, 3))) for i in range(1, 4)]
    assert all(table.num_walked == 200 for table in tables)
    assert sorted(p.position for table in tables for p in table) == list(range(200))


def test_repeated_ids_and_odd_texts_become_problems() -> None:
    audio = Path("a.wav")
    given_ids = ["a", "a#2", "a", "a", "a", "b\ud800"]
    found = list(Scan(Utterance(name, audio, sha256="0" * 64, duration_s=1.0) for name in given_ids))
    assert [p.utterance.id for p in found] == ["a", "a#2", "a#3", "a#4", "a#5", "b?"]
    assert [bool(p.utterance.problem) for p in found] == [False, False, True, True, True, True]
    assert all(p.utterance.audio.is_absolute() for p in found)


def test_many_utterances_of_one_id_take_no_longer_each() -> None:
    audio = Path("/a.wav")
    same = (Utterance("same", audio, sha256="0" * 64, duration_s=1.0) for _ in range(20_000))
    assert len({p.utterance.id for p in Scan(same)}) == 20_000


def test_memory_of_a_walk_does_not_follow_the_size_of_the_corpus(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        table = UtteranceTable.write(tmp_path / f"{count}.parquet", Scan(_utterances(count)))
        assert sum(1 for _ in table) == count
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    small, large = peak(2 * BLOCK), peak(6 * BLOCK)
    assert (large - small) / (4 * BLOCK) < 150, "bytes for each utterance: its id's hash, and no more"


def test_the_timed_utterances_lie_around_the_median(tmp_path: Path) -> None:
    lengths = [5.0, 1.0, 0.0, 9.0, 3.0, 3.0, 7.0]
    planned = [PlannedUtterance(Utterance(f"u{i}", Path("/a")), f"{i:064x}", s, i) for i, s in enumerate(lengths)]
    table = UtteranceTable.write(tmp_path / "t.parquet", planned, len(planned))
    assert [p.utterance.id for p in median_length(table)] == ["u4", "u5", "u0"]


def _record(i: int, status: str = "ok") -> Record:
    return Record(f"{i:032x}", "c", "s", "m", "1", "", f"u{i}", "", "en", 1.0, float(i), None, None, status, "", "")


def test_records_in_a_file_are_a_sequence_of_them(tmp_path: Path) -> None:
    rows = [_record(i) for i in range(BLOCK + 3)]
    folder = RecordFolder(tmp_path)
    written = folder.write("0000", iter(rows))
    assert isinstance(written.records, RecordFile)
    assert list(written.records) == rows
    assert list(written.records) == rows, "it can be walked again"
    assert (len(written.records), written.records[-1], written.records[1:3]) == (len(rows), rows[-1], rows[1:3])
    with pytest.raises(IndexError):
        _ = written.records[len(rows)]


def test_the_digest_of_records_follows_key_metric_and_status(tmp_path: Path) -> None:
    folder = RecordFolder(tmp_path)
    rows = [_record(i) for i in range(3)]
    first = folder.write("a", rows)
    assert folder.write("b", rows).digest == first.digest
    failed = folder.write("c", [*rows[:2], _record(2, "backend_error")])
    assert failed.digest != first.digest
    assert (first.num_failed, failed.num_failed, folder.failures["c"]) == (0, 1, 1)


class _LossyStore:
    folder = "the store"

    def get_all(self, keys: list[str]) -> dict[str, tuple[Measurement, ...]]:
        return {key: (Measurement("m", 1.0),) for key in keys[:-1]}

    def forget(self) -> None: ...


def test_scores_that_have_gone_from_the_store_are_noticed() -> None:
    from types import SimpleNamespace

    scorer = SimpleNamespace(unavailable=None, versions={}, ref=SimpleNamespace(name="s"))
    lane = SimpleNamespace(label="c", scores=_LossyStore(), key=lambda planned, scorer: planned.audio_sha256)
    planned = list(Scan(_utterances(3)))
    assert len(list(utterance_records(lane, planned, [scorer]))) == 2  # type: ignore[arg-type, list-item]
    with pytest.raises(RowsMissingError, match="made again"):
        list(utterance_records(lane, planned, [scorer], complete=True))  # type: ignore[arg-type, list-item]
