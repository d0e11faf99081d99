"""Files of a folder or of a zip, by name, within limits: both may be hostile."""

from __future__ import annotations

import os
import posixpath
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from edgeort.errors import InputError
from edgeort.unreadable import UNREADABLE

MOST_BYTES = 1 << 30  # of one file, and of all that is read from one archive
MOST_FILES = 100_000


class Tree(Protocol):
    """`where` names it in messages; `names` are the files below it, with `/`, sorted."""

    where: str
    names: tuple[str, ...]

    def read(self, name: str) -> bytes:
        """The bytes of a file. InputError where it cannot be read or is too large."""


def read_file(path: Path) -> bytes:
    """The bytes of a file on its own. InputError where it cannot be read or is too large."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path}: larger than {MOST_BYTES >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error


class Folder:
    """A folder on the disk. Links are followed as long as they stay inside."""

    def __init__(self, root: Path) -> None:
        self.where = str(root)
        self._root = root.resolve()
        self.names = tuple(sorted(self._walk()))

    def _walk(self) -> Iterator[str]:
        count = 0
        for folder, _, files in os.walk(self._root):
            for name in files:
                count += 1
                if count > MOST_FILES:
                    raise InputError(f"{self.where}: more than {MOST_FILES} files")
                yield Path(folder, name).relative_to(self._root).as_posix()

    def read(self, name: str) -> bytes:
        path = self._root / name
        if not path.resolve().is_relative_to(self._root):
            raise InputError(f"{self.where}/{name}: leads out of the folder")
        if not path.is_file():
            raise InputError(f"{self.where}/{name}: no such file")
        return read_file(path)


class Zip:
    """A zip archive. `entries` are those of its files; what is read in all is limited, whatever they claim to be."""

    def __init__(self, archive: zipfile.ZipFile, where: str) -> None:
        self.where = where
        self._archive = archive
        self._left = MOST_BYTES
        self.directory: int = archive.start_dir  # where the central directory begins, in bytes
        if len(archive.infolist()) > MOST_FILES:
            raise InputError(f"{where}: more than {MOST_FILES} files")
        self.entries = {one.filename: one for one in archive.infolist() if not one.is_dir()}
        self._links = {name for name, one in self.entries.items() if stat.S_ISLNK(one.external_attr >> 16)}
        self.names = tuple(sorted(self.entries.keys() - self._links))

    def read(self, name: str) -> bytes:
        found = self._resolved(name)
        if found is None:
            raise InputError(f"{self.where}: no {name} in it")
        return self._bytes(found)

    def _bytes(self, name: str) -> bytes:
        try:
            with self._archive.open(self.entries[name]) as file:
                data = file.read(self._left + 1)
        except UNREADABLE as error:
            raise InputError(f"{self.where}: {name}: {error}") from error
        self._left -= len(data)
        if self._left < 0:
            raise InputError(f"{self.where}: what it holds is larger than {MOST_BYTES >> 20} MiB")
        return data

    def _resolved(self, name: str) -> str | None:
        """The entry that a path means, links followed as a file system would; None: there is none."""
        for _ in range(8):  # links may lead to links, and in circles
            if name in self.entries and name not in self._links:
                return name
            link = next((one for one in self._links if name == one or name.startswith(f"{one}/")), None)
            if link is None:
                return None
            target = self._bytes(link).decode(errors="replace")
            name = posixpath.normpath(posixpath.join(posixpath.dirname(link), target) + name[len(link) :])
        return None


@contextmanager
def opened(path: Path) -> Iterator[Zip]:
    """The zip at `path`. InputError where it is none."""
    try:
        archive = zipfile.ZipFile(path)
    except UNREADABLE as error:
        raise InputError(f"{path}: not a zip archive: {error}") from error
    with archive:
        yield Zip(archive, str(path))


class Below:
    """The part of a tree below a folder."""

    def __init__(self, tree: Tree, folder: str) -> None:
        self.where = f"{tree.where}/{folder}"
        self._tree, self._folder = tree, f"{folder}/"
        self.names = tuple(name[len(self._folder) :] for name in tree.names if name.startswith(self._folder))

    def read(self, name: str) -> bytes:
        return self._tree.read(self._folder + name)
