"""What `edgeort package` writes: a folder of files made from a bundle, for the tools that build apps.

    package.json    what it is: the kind, the model, the digest of its bundle, the hash of every file
    ...             the files of that kind (edgeort/bundle/packagings.py has the kinds)

The same bundle and tools give the same bytes. A package is written beside its place and renamed.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeort.bundle.reading import Bundle
from edgeort.bundle.writing import Contents, replace_folder, writing
from edgeort.errors import OutputError
from edgeort.progress import Progress

NAME = "package.json"
FORMAT = 1


@dataclass(frozen=True)
class Wishes:
    """What the user asks of a packaging. `abis` are Android's, () for all that there are."""

    abis: tuple[str, ...] = ()


@dataclass(frozen=True)
class Package:
    """The files of a package, by their path in it.

    `about` is what its kind adds to package.json; `rows` and `notes` are what the command says of it: a name and a
    text each; sentences on what is not as one may expect.
    """

    contents: Contents
    about: dict[str, Any] = field(default_factory=dict)
    rows: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


# Makes the package of a bundle, and says what it is at. UnsupportedError where that kind cannot have this bundle.
Packaging = Callable[[Bundle, Wishes, Progress | None], Package]


def write_package(out: Path, kind: str, bundle: Bundle, package: Package) -> Path:
    """Writes the package to the folder `out`, which is replaced where it is a package; returns its path.

    OutputError where something else stands there, the disk is full or may not be written.
    """
    _check_replaceable(out)
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", suffix=".partial", dir=out.parent) as staging:
            folder = Path(staging) / "package"
            files = _fill(folder, package.contents)
            manifest = bundle.manifest
            told = {"model": manifest.model, "bundle": manifest.digest, "edgeort": manifest.edgeort, **package.about}
            document = {"format": FORMAT, "package": kind, **told, "files": files}
            (folder / NAME).write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")
            replace_folder(folder, out, Path(staging) / "old")
    return out


def is_package(path: Path) -> bool:
    """Whether `path` is a folder that `write_package` wrote."""
    try:
        found = json.loads((path / NAME).read_bytes())
        return isinstance(found, dict) and {"format", "package", "bundle", "files"} <= set(found)
    except (OSError, ValueError):
        return False


def _check_replaceable(out: Path) -> None:
    there = out.exists() or out.is_symlink()
    empty = out.is_dir() and not any(out.iterdir())
    if there and (out.is_symlink() or not (empty or is_package(out))):
        raise OutputError(f"{out} exists and is not a package", hint="name another place with -o, or remove it")


def _fill(folder: Path, contents: Contents) -> dict[str, dict[str, Any]]:
    files = {}
    for name in sorted(contents):
        source, path = contents[name], folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = source.read_bytes() if isinstance(source, Path) else source
        path.write_bytes(data)
        os.chmod(path, 0o644)
        files[name] = {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
    return files
