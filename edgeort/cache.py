"""The user's cache folder, and compiled files in it by the hash of everything that goes into them.

Each has the hash of its own bytes beside it; both are written elsewhere and renamed, so that a process that is killed
leaves no half of one. Where two want the same at once, the second waits for what the first makes.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from edgeort.errors import OutputError, ToolchainError

if sys.platform != "win32":
    import fcntl

_ROOM_BYTES = 1 << 20  # less is a full disk: objects have up to some hundred kilobytes


def cache_dir() -> Path:
    """The user's cache folder for compiled code: $EDGEORT_CACHE, else the platform's place for caches.

    OutputError for a user without a home.
    """
    if chosen := os.environ.get("EDGEORT_CACHE"):
        return Path(chosen)
    try:
        if sys.platform == "win32":
            return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "edgeort/cache"
        if sys.platform == "darwin":
            return Path.home() / "Library/Caches/edgeort"
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgeort"
    except RuntimeError as error:
        raise OutputError(
            "there is no cache folder: this user has no home", hint="set EDGEORT_CACHE to a folder"
        ) from error


def cached(name: str, key: Iterable[str | bytes], make: Callable[[Path], None]) -> Path:
    """The file of that key in the cache, made by `make(path)` when it is not there."""
    digest = hashlib.sha256()
    for part in key:
        raw = part.encode() if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8, "little") + raw)
    stem, dot, suffix = name.partition(".")
    path = cache_dir() / "objects" / f"{stem}-{digest.hexdigest()[:24]}{dot}{suffix}"
    if _is_sound(path):
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with alone(path), tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            if _is_sound(path):  # another made it meanwhile
                return path
            made = Path(scratch) / name
            make(made)
            seal = Path(scratch) / "seal"
            seal.write_bytes(_sha256(made))
            os.replace(seal, _seal_of(path))
            os.replace(made, path)
    except OSError as error:
        raise _cache_error(path.parent, error.strerror or str(error)) from error
    except ToolchainError as error:  # the compiler says little of a full disk, or nothing
        if shutil.disk_usage(path.parent).free < _ROOM_BYTES:
            raise _cache_error(path.parent, os.strerror(errno.ENOSPC)) from error
        raise
    return path


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Waits while another process, or thread, makes that file; where locks are unknown, nobody waits."""
    if sys.platform == "win32":
        yield
        return
    lock = path.with_name(f"{path.name}.lock")
    opened = _open(lock)
    try:
        with contextlib.suppress(OSError):  # network file systems may have none
            fcntl.flock(opened, fcntl.LOCK_EX)
        try:
            yield
        finally:  # not where the wait was interrupted: it is another's
            with contextlib.suppress(OSError):
                lock.unlink()  # who waits has it open, and looks for the file before all else
    finally:
        os.close(opened)


def _open(lock: Path) -> int:
    """The lock, made where there is none. In a folder that several users share it may be another's, to read alone."""
    try:
        return os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    except PermissionError:
        if not lock.exists():
            raise
        return os.open(lock, os.O_RDONLY)


def _seal_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _sha256(path: Path) -> bytes:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def _is_sound(path: Path) -> bool:
    """Whether a file of the cache is there, and what was once put there: a bad disk must not get into a bundle."""
    try:
        return _seal_of(path).read_bytes() == _sha256(path)
    except OSError:
        return False


def _cache_error(folder: Path, reason: str) -> OutputError:
    return OutputError(f"cannot write to the cache {folder}: {reason}", hint="set EDGEORT_CACHE to one with room")
