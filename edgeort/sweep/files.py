"""Files that cells need, by content: read where the sweep is called, and found or received where a cell runs.

A worker uses a file at the same path if its bytes are the same (a shared folder); else it is sent the bytes, once, and
keeps them in the cache folder under the parcel's hash.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from edgeort.cache import cache_dir
from edgeort.errors import InputError, OutputError
from edgeort.model.tensors import external_files


@dataclass(frozen=True)
class Parcel:
    """Files below one folder: path with `/` -> SHA-256. `root` is the folder here; `main` what was named, "": all."""

    root: str
    main: str
    files: Mapping[str, str]

    @property
    def digest(self) -> str:
        """SHA-256 of names and contents."""
        text = json.dumps([self.main, sorted(self.files.items())])
        return hashlib.sha256(text.encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)


def pack_model(path: Path) -> Parcel:
    """An ONNX model and the files that hold its weights. InputError where the model's file cannot be read.

    A file that is no sound model is packed as it is: the cell says what is wrong.
    """
    names = [path.name, *(name for name in external_files(path) if (path.parent / name).is_file())]
    return Parcel(str(path.parent.resolve()), path.name, {name: _hash(path.parent / name) for name in names})


def pack(path: Path) -> Parcel:
    """A file, or all files of a folder. InputError where one cannot be read."""
    if not path.is_dir():
        return Parcel(str(path.parent.resolve()), path.name, {path.name: _hash(path)})
    names = (file.relative_to(path).as_posix() for file in sorted(path.rglob("*")) if file.is_file())
    return Parcel(str(path.resolve()), "", {name: _hash(path / name) for name in names})


def lacking(parcels: Iterable[Parcel]) -> list[tuple[str, str]]:
    """(digest, name) of files that are not here: neither at their path nor in the cache."""
    return [(parcel.digest, name) for parcel in parcels for name in _missing(parcel)]


def place(parcel: Parcel) -> Path:
    """Where the parcel's main file or folder is on this machine. InputError where a file of it is not here."""
    for folder in (Path(parcel.root), _cached(parcel.digest)):
        if all(_is(folder / name, digest) for name, digest in parcel.files.items()):
            return folder / parcel.main
    raise InputError(f"{parcel.main or parcel.root}: this machine does not have the file any more")


def receive(digest: str, name: str, data: bytes) -> None:
    """Keeps a file of the parcel `digest`. OutputError where it cannot be written."""
    parts = PurePosixPath(name).parts
    if not parts or {"..", "/"} & set(parts) or not digest.isalnum():
        raise InputError(f"{name!r} is a path out of the cache")
    to = _cached(digest) / name
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=to.parent, prefix=".edgeort.", delete=False) as file:
            file.write(data)
        os.replace(file.name, to)
    except OSError as error:
        hint = "set EDGEORT_CACHE to a folder with room"
        raise OutputError(f"cannot write to the cache {to}: {error.strerror}", hint=hint) from error


def read(parcel: Parcel, name: str) -> bytes:
    """A file's bytes, as they were when it was packed. InputError where it changed since."""
    data = (Path(parcel.root) / name).read_bytes()
    if hashlib.sha256(data).hexdigest() != parcel.files[name]:
        raise InputError(f"{Path(parcel.root) / name} was changed while the sweep ran", hint="start the sweep again")
    return data


def _missing(parcel: Parcel) -> Iterator[str]:
    folders = (Path(parcel.root), _cached(parcel.digest))
    if any(all(_is(folder / name, digest) for name, digest in parcel.files.items()) for folder in folders):
        return
    yield from (name for name, digest in parcel.files.items() if not _is(folders[1] / name, digest))


def _cached(digest: str) -> Path:
    return cache_dir() / "sweep" / digest[:32]


def _is(path: Path, digest: str) -> bool:
    try:
        return _hash(path) == digest
    except InputError:
        return False


def _hash(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}", hint="check the path") from error
