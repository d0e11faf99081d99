"""Many files in one stream: tar, which every device can read and write."""

from __future__ import annotations

import shutil
import tarfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

_BLOCK = 1 << 18


def blocks(files: Iterable[tuple[str, Path]]) -> Iterator[bytes]:
    """The blocks of an archive with files, all executable, and with the folders whose names end in `/`."""
    for name, path in files:
        info = tarfile.TarInfo(name.rstrip("/"))
        info.mode, info.mtime = 0o755, int(time.time())
        if name.endswith("/"):
            info.type = tarfile.DIRTYPE
            yield info.tobuf(tarfile.GNU_FORMAT)
            continue
        info.size = left = path.stat().st_size
        yield info.tobuf(tarfile.GNU_FORMAT)
        with path.open("rb") as stream:
            while block := stream.read(min(_BLOCK, left)):
                left -= len(block)
                yield block
        if left:
            raise OSError(f"{path} became shorter")
        yield bytes(-info.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def unpack(archive: IO[bytes], to: Path) -> None:
    """Writes the files of an archive below `to`. TarError for a name that leads out of it."""
    with tarfile.open(fileobj=archive) as members:
        for member in members:
            parts = [part for part in PurePosixPath(member.name).parts if part != "."]
            if member.name.startswith("/") or ".." in parts:
                raise tarfile.TarError(f"{member.name} is out of the folder")
            place, data = to.joinpath(*parts), members.extractfile(member) if member.isfile() else None
            if member.isdir():
                place.mkdir(parents=True, exist_ok=True)
            if data is not None:
                place.parent.mkdir(parents=True, exist_ok=True)
                with data, place.open("wb") as stream:
                    shutil.copyfileobj(data, stream)
