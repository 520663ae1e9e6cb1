"""Where a store lies: a local folder, or any place that fsspec knows (``s3://…``, ``gs://…``, ``file://…``)."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from codecbench.errors import CodecbenchError, UsageError

# Places that show an object only when all of it was received; elsewhere a hidden file is written and renamed.
_WHOLE_OBJECTS = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oci", "r2", "memory"})


class StoreError(CodecbenchError):
    """The store cannot be read or written."""


@dataclass(frozen=True)
class StoredFile:
    """A file of the store; modified_s: seconds since the epoch, None where the place does not say."""

    path: StorePath
    num_bytes: int
    modified_s: float | None


@dataclass(frozen=True)
class StorePath:
    """A file or folder of a store, by local path or URL; travels between processes as that text.

    Methods raise StoreError where the place cannot be reached, read or written, FileNotFoundError where a file that is
    to be read is not there.
    """

    url: str

    @classmethod
    def of(cls, place: Place) -> StorePath:
        """Take a local path or a URL.

        Raises UsageError for a protocol that fsspec does not know or whose package is not installed.
        """
        path = place if isinstance(place, StorePath) else cls(os.fspath(place))
        filesystem, inside = path._resolve()
        return cls(inside) if _is_local(filesystem) else path

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, name: str) -> StorePath:
        return StorePath(f"{self.url.rstrip('/')}/{name}")

    @property
    def name(self) -> str:
        """The last part."""
        return self.url.rstrip("/").rpartition("/")[2]

    @property
    def parent(self) -> StorePath:
        """The folder that this lies in."""
        return StorePath(self.url.rstrip("/").rpartition("/")[0])

    @property
    def local(self) -> Path | None:
        """The path on this machine, or None."""
        filesystem, inside = self._resolve()
        return Path(inside) if _is_local(filesystem) else None

    def read(self) -> bytes:
        """Return the bytes of a file."""
        filesystem, inside = self._resolve()
        with _told("read", self):
            data: bytes = filesystem.cat_file(inside)
            return data

    def write(self, data: bytes | memoryview) -> None:
        """Write a file so that a reader sees all of it or nothing; its folder is made where it is missing."""
        local = self.local
        with _told("write", self):
            if local is not None:
                _write_local(local, data)
            else:
                self._write_remote(bytes(data))

    def settle(self) -> None:
        """Wait until the name of a file that was written survives a loss of power too; objects need no waiting."""
        if self.local is not None and hasattr(os, "O_DIRECTORY"):
            with _told("write", self):
                folder = os.open(self.local.parent, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    os.fsync(folder)
                finally:
                    os.close(folder)

    def move(self, target: StorePath) -> None:
        """Give a file another name in the same place."""
        filesystem, inside = self._resolve()
        with _told("move", self):
            filesystem.mv(inside, target._resolve()[1])

    def remove(self) -> None:
        """Remove a file; one that is gone already is no fault."""
        filesystem, inside = self._resolve()
        with contextlib.suppress(FileNotFoundError), _told("remove", self):
            filesystem.rm_file(inside)

    def remove_if_empty(self) -> None:
        """Remove a local folder that holds nothing; elsewhere a folder is nothing of its own."""
        if self.local is not None:
            with contextlib.suppress(OSError):
                self.local.rmdir()

    def names(self) -> list[str]:
        """Return the names of the files and folders in a folder, in order; none where it does not exist."""
        filesystem, inside = self._resolve()
        with contextlib.suppress(FileNotFoundError), _told("list", self):
            filesystem.invalidate_cache(inside)
            return sorted({str(name).rstrip("/").rpartition("/")[2] for name in filesystem.ls(inside, detail=False)})
        return []

    def walk(self) -> list[StoredFile]:
        """Return all files below a folder, by name; none where it does not exist."""
        filesystem, inside = self._resolve()
        with contextlib.suppress(FileNotFoundError), _told("list", self):
            filesystem.invalidate_cache(inside)
            found: dict[str, dict[str, Any]] = filesystem.find(inside, detail=True)
            return [self._stored(path, facts, inside) for path, facts in sorted(found.items())]
        return []

    def _stored(self, path: str, facts: dict[str, Any], inside: str) -> StoredFile:
        relative = path.removeprefix(inside.rstrip("/")).lstrip("/")
        return StoredFile(self / relative, int(facts.get("size") or 0), _modified_s(facts))

    def _write_remote(self, data: bytes) -> None:
        filesystem, inside = self._resolve()
        folder = inside.rpartition("/")[0]
        if self.url.partition("://")[0] in _WHOLE_OBJECTS:
            filesystem.pipe_file(inside, data)
            return
        filesystem.makedirs(folder, exist_ok=True)
        temporary = f"{folder}/.{self.name}.{uuid.uuid4().hex[:8]}.tmp"
        try:
            filesystem.pipe_file(temporary, data)
            filesystem.mv(temporary, inside)
        except BaseException:
            with contextlib.suppress(Exception):
                filesystem.rm_file(temporary)
            raise

    def _resolve(self) -> tuple[Any, str]:
        """Return fsspec's filesystem (it keeps one for each process and place) and the path inside it."""
        import fsspec

        try:
            filesystem, inside = fsspec.core.url_to_fs(self.url)
        except ImportError as error:
            message = f"{self.url}: {error} (pip install 'codecbench[remote]', or the package named for this place)"
            raise UsageError(message) from error
        except ValueError as error:
            raise UsageError(f"{self.url}: {error}") from error
        return filesystem, str(inside)


# What a store's place may be given as.
Place: TypeAlias = str | os.PathLike[str] | StorePath


def _is_local(filesystem: Any) -> bool:
    from fsspec.implementations.local import LocalFileSystem

    return isinstance(filesystem, LocalFileSystem)


def _write_local(path: Path, data: bytes | memoryview) -> None:
    """Write under a hidden name, sync to disk, and rename into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


@contextlib.contextmanager
def _told(doing: str, path: StorePath) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:  # a place's client raises what it likes: OSError, botocore's, gcsfs' …
        what = f"{type(error).__name__}: {error}"
        raise StoreError(f"cannot {doing} {path} ({what}); free space, grant access or give another --store") from error


def _modified_s(facts: dict[str, Any]) -> float | None:
    # fsspec leaves the name of the time to each filesystem: local, S3, Google and in-memory.
    for name in ("mtime", "LastModified", "updated", "created"):
        value = facts.get(name)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, int | float):
            return float(value)
    return None
