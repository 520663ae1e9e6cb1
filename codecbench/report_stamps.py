"""Which state of a run a report was made from, so that a run that changes nothing draws nothing again."""

from __future__ import annotations

import contextlib
import importlib.util
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codecbench.hashing import digest, file_sha256
from codecbench.results import RECORDS_FOLDER

if TYPE_CHECKING:
    from codecbench.results import RunResults

STAMP_NAME = ".made-from.json"


@dataclass(frozen=True)
class Stamp:
    """What lies beside a report's files: a digest of all that it rests on, and the files' names in its folder."""

    digest: str
    files: tuple[str, ...]

    def save(self, folder: Path) -> None:
        """Write the stamp into the report's folder; a folder that cannot be written is drawn again next time."""
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / STAMP_NAME).write_text(json.dumps(asdict(self)) + "\n", "utf-8")


def read_stamp(folder: Path) -> Stamp | None:
    """Return the stamp in ``folder`` where all of its files are still there."""
    try:
        facts = json.loads((folder / STAMP_NAME).read_text("utf-8"))
        stamp = Stamp(str(facts["digest"]), tuple(map(str, facts["files"])))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return stamp if all((folder / name).is_file() for name in stamp.files) else None


def report_digest(runs: Sequence[RunResults], render: Callable[..., Any], options: Mapping[str, Any]) -> str:
    """Digest of all that a report rests on: runs, options, and the code that draws it.

    The time at which a run was made is left out: an equal run made again is the same run.
    """
    facts = [{**asdict(run.info), "created_utc": ""} for run in runs]
    files = [[file_sha256(path) for path in _data_files(run.folder)] for run in runs]
    return digest([facts, files, dict(options), package_digest("codecbench"), package_digest(render.__module__)])


def _data_files(folder: Path | None) -> Iterable[Path]:
    """Records and the index of artifacts; what lies in the store is named there by its content."""
    if folder is None:
        return ()
    return sorted([*folder.glob("*.parquet"), *(folder / RECORDS_FOLDER).glob("*.parquet")])


@cache
def package_digest(module: str) -> str:
    """Digest of the sources of the top-level package that ``module`` lies in; of its name where it has no file."""
    name = module.partition(".")[0]
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        return name
    origin = Path(found.origin)
    files = sorted(origin.parent.rglob("*")) if found.submodule_search_locations else [origin]
    sources = [p for p in files if p.is_file() and "__pycache__" not in p.parts]
    return digest([(str(p.relative_to(origin.parent)), file_sha256(p)) for p in sources])
