"""What an availability or identity check needs: required modules, weights in a folder or hub cache, digests."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Sequence
from pathlib import Path

from codecbench.errors import Unavailable

DOWNLOAD_ENV = "CODECBENCH_DOWNLOAD"
_HUB_NAME = re.compile(r"(?P<repo>[A-Za-z0-9][\w.-]*/[\w.-]+)(?:@(?P<revision>[\w.-]+))?")


def require_modules(modules: Sequence[str], extra: str) -> None:
    """Raise Unavailable, with the extra that brings them, where a module is not installed; imports nothing."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise Unavailable(f"needs the package {' and '.join(missing)}", f"pip install 'codecbench[{extra}]'")


def locate_weights(weights: str, files: Sequence[str], *, option: str) -> Path:
    """Return the folder that holds ``files``: ``weights`` is a folder, or a hub name ``owner/name[@revision]``.

    A hub name is looked up in the local Hugging Face cache, without any network access; only where
    ``CODECBENCH_DOWNLOAD=1`` is set are missing files fetched. option: how the user names the setting
    (``mimi.weights``), for the message. Raises Unavailable with the reason and the command that mends it.
    """
    folder = Path(weights).expanduser()
    if folder.is_dir():
        return _complete(folder, files, option)
    match = _HUB_NAME.fullmatch(weights)
    if match is None:
        raise Unavailable(f"{option}={weights}: no such folder, and not a hub name of the form owner/name")
    return _from_hub(match["repo"], match["revision"], files, option)


def _complete(folder: Path, files: Sequence[str], option: str) -> Path:
    missing = [name for name in files if not (folder / name).is_file()]
    if missing:
        raise Unavailable(f"{option}={folder}: the folder has no {' and no '.join(missing)}")
    return folder


def _from_hub(repo: str, revision: str | None, files: Sequence[str], option: str) -> Path:
    require_modules(["huggingface_hub"], option.split(".")[0])
    from huggingface_hub import try_to_load_from_cache

    found = [try_to_load_from_cache(repo, name, revision=revision) for name in files]
    if all(isinstance(path, str) for path in found):
        return Path(str(found[0]).removesuffix(files[0]))
    if os.environ.get(DOWNLOAD_ENV) == "1":
        return _download(repo, revision, files)
    at = f" --revision {revision}" if revision else ""
    raise Unavailable(
        f"the weights {repo} are not in the local Hugging Face cache",
        f"fetch them with: hf download {repo} {' '.join(files)}{at}; or set {DOWNLOAD_ENV}=1, or --set {option}=FOLDER",
    )


def _download(repo: str, revision: str | None, files: Sequence[str]) -> Path:
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(repo, revision=revision, allow_patterns=list(files), etag_timeout=5)
    except Exception as error:  # the client raises a dozen kinds: offline, no such name, no access, no space
        raise Unavailable(f"the weights {repo} cannot be fetched: {type(error).__name__}: {error}") from error
    return _complete(Path(folder), files, repo)
