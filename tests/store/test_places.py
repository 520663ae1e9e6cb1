"""Places of a store: local folders, object stores, other filesystems, and what cannot be one."""

from __future__ import annotations

import importlib.util
import pickle
from pathlib import Path

import pytest

from codecbench.errors import UsageError
from codecbench.runner.config import RunConfig
from codecbench.store.audio import AudioStore
from codecbench.store.packing import PackedUtterance
from codecbench.store.places import StoreError, StorePath
from codecbench.store.tokens import TokenStore
from tests import faulty_plugin  # registers testfolder://

PACKED = PackedUtterance("bitstream", 160, '{"format": 1, "bits": 8}', b"x")
KEYS = [f"{number:032x}" for number in range(6)]


@pytest.fixture(params=["", "file://", "memory://", "testfolder://"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> StorePath:
    """An empty folder of each kind of place."""
    return StorePath.of(f"{request.param}{tmp_path}/store")


def test_tokens_are_written_and_read_back_in_every_place(place: StorePath) -> None:
    folder = place / "tokens" / "abc"
    assert folder.names() == folder.walk() == []
    store = TokenStore(folder)
    for key in KEYS:
        store.append({key: PACKED})
    again = TokenStore(pickle.loads(pickle.dumps(folder)))
    assert again.has_all([*KEYS, "f" * 32]).tolist() == [True] * 6 + [False]
    assert again.packed_all(KEYS) == dict.fromkeys(KEYS, PACKED)
    files = place.walk()
    assert [file.path.name for file in files] == folder.names()
    assert all(file.num_bytes == len(file.path.read()) and file.modified_s is not None for file in files)


def test_files_are_moved_and_removed_in_every_place(place: StorePath) -> None:
    (place / "a" / "one").write(b"1")
    (place / "a" / "one").move(place / "a" / "two")
    assert (place / "a").names() == ["two"]
    assert (place / "a" / "two").read() == b"1"
    (place / "a" / "two").remove()
    (place / "a" / "two").remove()
    assert (place / "a").names() == []
    with pytest.raises(FileNotFoundError):
        (place / "a" / "two").read()


def test_a_place_that_may_show_half_a_file_is_written_under_another_name_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(self: object, path: str, data: bytes, **options: object) -> None:
        Path(path).write_bytes(data[: len(data) // 2])
        raise ConnectionResetError("connection lost")

    monkeypatch.setattr(faulty_plugin.FolderStore, "pipe_file", half)
    file = StorePath.of(f"testfolder://{tmp_path}/folder/file")
    with pytest.raises(StoreError, match=r"cannot write testfolder://.*connection lost.*another --store"):
        file.write(b"whole")
    assert list((tmp_path / "folder").iterdir()) == []


def test_a_relative_folder_means_the_same_in_a_process_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = StorePath.of("store") / "tokens"
    monkeypatch.chdir("/")
    assert folder.local == tmp_path / "store" / "tokens"


def test_places_that_cannot_be_had_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="Protocol not known: nowhere"):
        StorePath.of("nowhere://folder")
    if importlib.util.find_spec("s3fs") is None:
        with pytest.raises(UsageError, match=r"s3fs.*pip install 'codecbench\[remote\]'"):
            StorePath.of("s3://bucket/store")
    with pytest.raises(UsageError, match="lives in one process"):
        RunConfig(Path("run"), store="memory://store")
    with pytest.raises(UsageError, match=r"local folders only.*--no-audio"):
        AudioStore("memory://store/audio")
