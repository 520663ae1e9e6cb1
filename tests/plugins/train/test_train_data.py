"""Training data: the same draws for any number of workers, ranks and restarts; nothing corrupt gets through."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from codecbench.audio.suffixes import AUDIO_SUFFIXES
from codecbench.errors import BadInput, UsageError
from codecbench_train.config import DataConfig, SourceConfig
from codecbench_train.corpus import dev_speakers, open_corpus
from codecbench_train.data import augment
from codecbench_train.data.augment import AugmentConfig
from codecbench_train.data.crops import read_crop
from codecbench_train.data.entries import Entry, list_source
from codecbench_train.data.loader import CropDataset, StepSampler, training_loader
from codecbench_train.data.sampling import BLOCK_SAMPLES, Mixture, shares

RATE = 16_000


def _ramp(seconds: float, rate: int = RATE) -> np.ndarray:
    """Sample n holds n / 2**15, so that a crop says where it was taken."""
    return (np.arange(int(seconds * rate)) % 2**15 / 2**15).astype(np.float32)


def _write(path: Path, seconds: float, rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, _ramp(seconds, rate), rate, subtype="PCM_16")
    return path


def _entries(count: int, seconds: float = 3.0) -> list[Entry]:
    return [Entry(f"u{n}", f"/nowhere/{n}.flac", seconds, speaker=f"s{n % 7}") for n in range(count)]


# -- what there is ---------------------------------------------------------------------------------------------------


def test_jsonl_and_csv_manifests_list_the_same(tmp_path: Path) -> None:
    rows = []
    for n in range(3):
        _write(tmp_path / f"{n}.flac", 1.0 + n)
        rows.append({"id": f"u{n}", "audio": f"{n}.flac", "text": "words", "speaker": "a", "language": "en"})
    rows[2]["split"] = "heldout"
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    with (tmp_path / "m.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, ["id", "audio", "text", "speaker", "language", "split"])
        writer.writeheader()
        writer.writerows(rows)
    listing = list_source(tmp_path / "m.jsonl")
    assert [(e.id, e.duration_s, e.speaker, e.language) for e in listing.entries] == [
        ("u0", 1.0, "a", "en"),
        ("u1", 2.0, "a", "en"),
    ]
    assert list_source(tmp_path / "m.csv") == listing


def test_librispeech_layout_gives_readers(tmp_path: Path) -> None:
    _write(tmp_path / "84" / "121123" / "84-121123-0001.flac", 1.0)
    _write(tmp_path / "174" / "50561" / "174-50561-0000.flac", 1.0)
    assert {e.speaker for e in list_source(tmp_path).entries} == {"84", "174"}


def _shard(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def _flac_bytes(seconds: float) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, _ramp(seconds), RATE, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def test_shards_are_read_by_offset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODECBENCH_CACHE", str(tmp_path / "cache"))
    facts = json.dumps({"id": "EN_1", "duration": 2.0, "speaker": "spk", "language": "en"}).encode()
    _shard(
        tmp_path / "a.tar",
        {"a/1.json": facts, "a/1.flac": _flac_bytes(2.0), "a/2.flac": _flac_bytes(1.0), "a/3.flac": b"not audio"},
    )
    listing = list_source(tmp_path / "a.tar")
    assert [(e.id, e.duration_s, e.speaker) for e in listing.entries] == [("a/EN_1", 2.0, "spk"), ("a/a/2", 1.0, "")]
    assert listing.unreadable == ["a.tar:a/3"]
    crop = read_crop(listing.entries[0], 0.5, 1.0, RATE).audio
    assert crop[0] == pytest.approx(8000 / 2**15, abs=1e-4)
    assert list_source(tmp_path / "a.tar") == listing, "the cached index must say the same"


def test_compressed_and_cut_shards_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODECBENCH_CACHE", str(tmp_path / "cache"))
    with tarfile.open(tmp_path / "z.tar", "w:gz"):
        pass
    with pytest.raises(UsageError, match="uncompressed"):
        list_source(tmp_path / "z.tar")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "x", "audio": "../outside.flac"}', "outside"),
        ('{"id": "x"}', "no 'audio' column"),
        ("not json", "line 1: not JSON"),
    ],
)
def test_bad_manifest_lines_are_named(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "m.jsonl").write_text(line + "\n")
    with pytest.raises(UsageError, match=message):
        list_source(tmp_path / "m.jsonl")


def test_missing_and_empty_sources_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no manifest"):
        list_source(tmp_path / "missing.jsonl")
    with pytest.raises(UsageError, match="no usable utterance"):
        list_source(tmp_path)
    with pytest.raises(UsageError, match=r"expected a \.jsonl"):
        list_source(_write(tmp_path / "a.wav", 1.0))


# -- what comes when -------------------------------------------------------------------------------------------------


def test_every_utterance_comes_once_an_epoch_in_another_order_each_time() -> None:
    mixture = Mixture([_entries(50)], [1.0], 3.0, seed=1)
    first = [mixture.draw(i).entry.id for i in range(50)]
    second = [mixture.draw(i).entry.id for i in range(50, 100)]
    assert sorted(first) == sorted(second) == sorted(e.id for e in _entries(50))
    assert first != second


def test_long_utterances_come_as_often_as_segments_fit() -> None:
    entries = [Entry("short", "", 1.0), Entry("long", "", 30.0)]
    counts = Counter(Mixture([entries], [1.0], 3.0, seed=1).draw(i).entry.id for i in range(11))
    assert counts == {"short": 1, "long": 10}


def test_shares_between_sources_are_exact_in_every_block() -> None:
    mixture = Mixture([_entries(30), _entries(500), _entries(5)], [5.0, 2.5, 1.0], 3.0, seed=2)
    for block in range(2):
        sources = Counter(mixture.draw(block * BLOCK_SAMPLES + i).source for i in range(BLOCK_SAMPLES))
        assert sources == {0: 588, 1: 294, 2: 118}


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=20), st.integers(50, 2000))
def test_shares_sum_up_and_starve_nobody(weights: list[float], total: int) -> None:
    counts = shares(weights, total)
    assert counts.sum() == total
    assert (counts >= 1).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 5000), st.integers(0, 3))
def test_a_draw_depends_on_its_index_alone(index: int, attempt: int) -> None:
    fresh, used = (Mixture([_entries(40), _entries(9)], [1.0, 3.0], 3.0, seed=3) for _ in range(2))
    for i in range(0, 3000, 97):
        used.draw(i)
    assert fresh.draw(index, attempt) == used.draw(index, attempt)


def test_ranks_and_micro_batches_share_out_the_same_global_batch() -> None:
    whole = list(StepSampler(24, 1, 0, 1, 5, 8))
    for parts in (1, 2, 3):
        for world in (1, 2, 4):
            split = [list(StepSampler(24, parts, rank, world, 5, 8)) for rank in range(world)]
            for step in range(3):
                rows = [i for rank in split for part in rank[step * parts : (step + 1) * parts] for i in part]
                assert rows == whole[step]


# -- how it is read --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["flac", "wav", "ogg"])
def test_crops_start_where_they_should(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * 5 * np.arange(2 * RATE) ** 2 / RATE**2), RATE)
    entry = Entry("a", str(path), 2.0)
    whole = read_crop(entry, 0.0, 2.0, RATE).audio
    start = int(0.37 * (2 * RATE - RATE // 2 + 1))
    np.testing.assert_allclose(
        read_crop(entry, 0.37, 0.5, RATE).audio,
        whole[start : start + RATE // 2],
        atol=2e-2 if suffix == "ogg" else 1e-6,
    )


def test_other_rates_are_resampled_and_channels_averaged(tmp_path: Path) -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(44_100) / 44_100)
    soundfile.write(tmp_path / "a.wav", np.stack([tone, 0 * tone], axis=1), 44_100, subtype="FLOAT")
    audio = read_crop(Entry("a", str(tmp_path / "a.wav"), 1.0), 0.0, 1.0, RATE).audio
    assert len(audio) == RATE
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    np.testing.assert_allclose(audio[500:-500], expected[500:-500], atol=1e-3)


def test_speed_moves_pitch(tmp_path: Path) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 400 * np.arange(3 * RATE) / RATE)
    soundfile.write(tmp_path / "a.wav", tone, RATE, subtype="FLOAT")
    audio = read_crop(Entry("a", str(tmp_path / "a.wav"), 3.0), 0.0, 1.0, RATE, speed=1.25).audio
    assert np.abs(np.fft.rfft(audio)).argmax() == 500


def test_corrupt_empty_and_non_finite_audio_are_bad_input(tmp_path: Path) -> None:
    (tmp_path / "text.flac").write_text("not audio")
    soundfile.write(tmp_path / "nan.wav", np.full(1000, np.nan, np.float32), RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0, np.float32), RATE)
    for name in ("text.flac", "nan.wav", "empty.wav", "missing.wav"):
        with pytest.raises(BadInput, match="utterance u"):
            read_crop(Entry("u", str(tmp_path / name), 1.0), 0.5, 1.0, RATE)


def test_augmentation_is_keyed_and_stays_below_full_scale() -> None:
    config = AugmentConfig(gain_db=12.0, flip_polarity=True, speeds=(0.9, 1.0, 1.1), band_limit_share=0.3)
    plans = [augment.plan(config, 7, i) for i in range(500)]
    assert plans == [augment.plan(config, 7, i) for i in range(500)]
    assert 0.2 < np.mean([p.band_limited for p in plans]) < 0.4
    assert 0.4 < np.mean([p.gain < 0 for p in plans]) < 0.6
    assert {p.speed for p in plans} == {0.9, 1.0, 1.1}
    loud = 0.9 * np.sin(np.arange(4000) / 3).astype(np.float32)
    assert all(np.abs(augment.apply(loud, p, config, RATE)).max() <= 1.0 for p in plans[:50])


def test_no_augmentation_changes_nothing() -> None:
    audio = np.sin(np.arange(1000) / 9).astype(np.float32)
    chosen = augment.plan(AugmentConfig(), 7, 3)
    np.testing.assert_array_equal(augment.apply(audio, chosen, AugmentConfig(), RATE), audio)


# -- how it arrives --------------------------------------------------------------------------------------------------


def _dataset(tmp_path: Path, broken: int = 0) -> CropDataset:
    entries = []
    for n in range(12):
        path = _write(tmp_path / f"{n}.flac", 1.0 + 0.1 * n)
        if n < broken:
            path.write_bytes(b"broken")
        entries.append(Entry(f"u{n}", str(path), 1.0 + 0.1 * n))
    return CropDataset(Mixture([entries], [1.0], 0.5, seed=5), 8000, RATE, 5, AugmentConfig(gain_db=3.0))


@pytest.mark.slow
def test_workers_change_nothing(tmp_path: Path) -> None:
    dataset = _dataset(tmp_path)
    loads = [list(training_loader(dataset, StepSampler(6, 2, 0, 1, 3, 6), workers, pin=False)) for workers in (0, 2)]
    assert len(loads[0]) == len(loads[1]) == 6
    for a, b in zip(*loads, strict=True):
        assert a.ids == b.ids
        assert (a.audio == b.audio).all()
        assert (a.sample_index == b.sample_index).all()


def test_unreadable_utterances_are_replaced_and_reported(tmp_path: Path) -> None:
    dataset = _dataset(tmp_path, broken=3)
    samples = [dataset[i] for i in range(40)]
    assert all(s.id not in {"u0", "u1", "u2"} for s in samples)
    assert {name for s in samples for name in s.skipped} == {"u0", "u1", "u2"}
    assert [s.id for s in samples] == [dataset[i].id for i in range(40)]


def test_nothing_readable_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="in a row"):
        _dataset(tmp_path, broken=12)[0]


# -- the corpus of a run ---------------------------------------------------------------------------------------------


def test_dev_speakers_never_train(tmp_path: Path) -> None:
    for n in range(20):
        _write(tmp_path / f"s{n % 5}" / f"{n}.flac", 1.0)
    corpus = open_corpus(DataConfig(sources=(SourceConfig(str(tmp_path), dev_speakers=2),), segment_s=1.0), seed=0)
    dev = {e.speaker for e in corpus.dev}
    trained = {corpus.mixture.draw(i).entry.speaker for i in range(200)}
    assert len(dev) == 2
    assert len(trained) == 3
    assert not dev & trained


def test_a_source_can_be_the_dev_set_and_nothing_else(tmp_path: Path) -> None:
    for n in range(6):
        _write(tmp_path / "a" / f"s{n % 3}" / f"{n}.flac", 1.0)
        _write(tmp_path / "b" / f"t{n}" / f"{n}.flac", 1.0)
    train, dev = SourceConfig(str(tmp_path / "a")), SourceConfig(str(tmp_path / "b"), weight=9.0, dev=True)
    corpus = open_corpus(DataConfig(sources=(dev, train), segment_s=1.0), seed=0)
    assert {e.speaker for e in corpus.dev} == {f"t{n}" for n in range(6)}
    assert {corpus.mixture.draw(i).entry.speaker for i in range(100)} == {"s0", "s1", "s2"}
    with pytest.raises(UsageError, match="every source given is for the dev set"):
        open_corpus(DataConfig(sources=(dev,)), seed=0)
    same = SourceConfig(str(tmp_path / "a"), dev=True)
    with pytest.raises(UsageError, match="in the dev set and in training: s0, s1, s2"):
        open_corpus(DataConfig(sources=(train, same), segment_s=1.0), seed=0)


@pytest.mark.parametrize("suffix", sorted(AUDIO_SUFFIXES))
def test_every_suffix_of_the_suite_is_listed(tmp_path: Path, suffix: str) -> None:
    _write(tmp_path / "x.wav", 1.0).rename(tmp_path / f"x{suffix}")
    assert [e.id for e in list_source(tmp_path).entries] == [f"x{suffix}"]


def test_dev_speakers_do_not_depend_on_order() -> None:
    entries = _entries(70)
    assert dev_speakers(entries, 3) == dev_speakers(entries[::-1], 3)
    with pytest.raises(UsageError, match="only 7 speakers"):
        dev_speakers(entries, 7)


def test_too_much_corrupt_audio_is_an_error(tmp_path: Path) -> None:
    for n in range(9):
        _write(tmp_path / f"{n}.flac", 1.0)
    (tmp_path / "bad.flac").write_bytes(b"broken")
    source = SourceConfig(str(tmp_path))
    with pytest.raises(UsageError, match="1 of 10 utterances cannot be read"):
        open_corpus(DataConfig(sources=(source,), max_corrupt_share=0.05), seed=0)
    assert open_corpus(DataConfig(sources=(source,), max_corrupt_share=0.2), seed=0).unreadable == ["bad.flac"]
