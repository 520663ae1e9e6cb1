"""Weights by folder or hub name: found, or a reason and the command that mends it; never a hanging network."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from codecbench import Unavailable
from codecbench.hashing import file_sha256
from codecbench.weights import locate_weights, require_modules

FILES = ("config.json", "model.safetensors")


def _fill(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).write_text(name)
    return folder


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    folder = _fill(tmp_path / "weights")
    assert locate_weights(str(folder), FILES, option="x.weights") == folder


def test_an_incomplete_folder_says_which_file_is_missing(tmp_path: Path) -> None:
    folder = _fill(tmp_path / "weights")
    (folder / FILES[1]).unlink()
    with pytest.raises(Unavailable, match=r"x\.weights=.*has no model\.safetensors"):
        locate_weights(str(folder), FILES, option="x.weights")


def test_a_path_that_is_not_there_is_not_taken_for_a_hub_name(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no such folder"):
        locate_weights(str(tmp_path / "absent"), FILES, option="x.weights")


SCRIPT = """
import sys
from codecbench import Unavailable
from codecbench.weights import locate_weights
try:
    print(locate_weights(sys.argv[1], ("config.json", "model.safetensors"), option="x.weights"))
except Unavailable as error:
    print(error)
"""


def _locate_in_cache(cache: Path, name: str, **env: str) -> str:
    """Ask a fresh process, whose hub cache is ``cache``, and return its answer."""
    environment = {**os.environ, "HF_HUB_CACHE": str(cache), "HF_ENDPOINT": "http://127.0.0.1:9", **env}
    done = subprocess.run([sys.executable, "-c", SCRIPT, name], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_hub_name_is_found_in_the_cache_by_branch_and_by_commit(tmp_path: Path) -> None:
    commit = "0123456789" * 4
    repo = tmp_path / "models--owner--name"
    snapshot = _fill(repo / "snapshots" / commit)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(commit)
    assert Path(_locate_in_cache(tmp_path, "owner/name")) == snapshot
    assert Path(_locate_in_cache(tmp_path, f"owner/name@{commit}")) == snapshot


def test_a_hub_name_not_in_the_cache_says_how_to_fetch_it_without_asking_the_network(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hub:
        hub.setblocking(False)
        endpoint = f"http://127.0.0.1:{hub.getsockname()[1]}"
        answer = _locate_in_cache(tmp_path, "owner/name@v2", HF_ENDPOINT=endpoint)
        with pytest.raises(BlockingIOError):
            hub.accept()
    assert "hf download owner/name config.json model.safetensors --revision v2" in answer


def test_a_download_that_fails_is_unavailable(tmp_path: Path) -> None:
    answer = _locate_in_cache(tmp_path, "owner/name", CODECBENCH_DOWNLOAD="1", HF_HUB_OFFLINE="1")
    assert answer.startswith("the weights owner/name cannot be fetched")


def test_digest_follows_the_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"one", b"other"):
        path.write_bytes(content)
        assert file_sha256(path) == hashlib.sha256(content).hexdigest()


def test_a_missing_module_names_the_extra() -> None:
    require_modules(["json"], "anything")
    with pytest.raises(Unavailable, match=r"needs the package no_such_module.*codecbench\[mimi\]"):
        require_modules(["json", "no_such_module"], "mimi")
