"""Writing a bundle: staged beside its place, then renamed, so that no half-made one is ever seen."""

from __future__ import annotations

import ctypes
import dataclasses
import errno
import hashlib
import os
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from edgeort.bundle.manifest import NAME, File, Manifest
from edgeort.bundle.reading import is_bundle
from edgeort.errors import OutputError

# Path in the bundle -> bytes, or the file to copy.
Contents = Mapping[str, bytes | Path]

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a .zip can hold
_NO_FOLDER, _RENAME_EXCHANGE = -100, 2  # AT_FDCWD of fcntl.h, and the flag of linux/fs.h


def write_bundle(out: str | os.PathLike[str], manifest: Manifest, contents: Contents) -> Path:
    """Writes the bundle to `out`, a folder, or one archive when the name ends in .zip; returns its path.

    `manifest.files` is filled in. What stands at `out` is replaced when it is a bundle or an empty folder; OutputError
    otherwise, and when the disk is full or may not be written.
    """
    out = Path(out)
    _check_replaceable(out)
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", suffix=".partial", dir=out.parent) as staging:
            folder = Path(staging) / "bundle"
            _fill(folder, manifest, contents)
            if out.suffix != ".zip":
                replace_folder(folder, out, Path(staging) / "old")  # goes with the staging folder
                return out
            archive = Path(staging) / "bundle.zip"
            pack(folder, archive)
            os.replace(archive, out)
    return out


def check_writable(out: str | os.PathLike[str]) -> None:
    """Raises OutputError when `write_bundle` to `out` could not succeed, before any work; leaves nothing behind."""
    out = Path(out)
    _check_replaceable(out)
    there = next(folder for folder in out.absolute().parents if folder.exists())
    with writing(out), tempfile.TemporaryDirectory(prefix=".edgeort.", dir=there):
        pass


def _check_replaceable(out: Path) -> None:
    if not out.exists() and not out.is_symlink():
        return
    free = out.is_dir() and not out.is_symlink() and not any(out.iterdir())
    kind = out.is_file() == (out.suffix == ".zip")
    if not free and not (is_bundle(out) and kind and not out.is_symlink()):
        raise OutputError(f"{out} exists and is not a bundle", hint="name another place with -o, or remove it")


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """OutputError, which names `out`, for an error of the operating system."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        hint = (
            "free some space, or name another place with -o"
            if error.errno == errno.ENOSPC
            else "name another place with -o"
        )
        raise OutputError(f"{out} cannot be written: {reason}", hint=hint) from error


def _fill(folder: Path, manifest: Manifest, contents: Contents) -> None:
    files = {}
    for name in sorted(contents):
        source, path = contents[name], folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = source.read_bytes() if isinstance(source, Path) else source
        path.write_bytes(data)
        path.chmod(0o755 if name.startswith("bin/") else 0o644)
        files[name] = File(hashlib.sha256(data).hexdigest(), len(data))
    (folder / NAME).write_bytes(dataclasses.replace(manifest, files=files).to_json())


def replace_folder(folder: Path, out: Path, aside: Path) -> None:
    """Puts `folder` in the place of `out`, in one step where there is one; what was there is then at one of the others.

    Where that fails, it is put back.
    """
    if not out.exists():
        os.rename(folder, out)
        return
    if _exchange(folder, out):
        return
    os.rename(out, aside)
    try:
        os.rename(folder, out)
    except BaseException:
        os.rename(aside, out)
        raise


def _exchange(one: Path, other: Path) -> bool:
    """Each gets the name of the other, and at no instant has neither; False where that cannot be (renameat2(2))."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    if call is None:
        return False
    names = [os.fsencode(path.absolute()) for path in (one, other)]
    if call(_NO_FOLDER, names[0], _NO_FOLDER, names[1], _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):  # an old kernel, or a file system without it
        return False
    raise OSError(number, os.strerror(number), str(other))


def pack(folder: Path, archive: Path) -> None:
    """The files of a folder as one archive: stored, since compressed bytes would depend on the version of zlib."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as out:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = path.relative_to(folder).as_posix()
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system = 3  # Unix, so that the mode is understood, whatever the machine
            info.external_attr = (0o100755 if name.startswith("bin/") else 0o100644) << 16
            out.writestr(info, path.read_bytes())
