"""From a path to the subjects that rules speak of, by its suffix."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path

from edgeort.errors import InputError
from edgeort.lint.readers import android, apple, elf, macho, pe
from edgeort.lint.readers.tree import read_file
from edgeort.lint.subjects import Options, Subject


def _elf(path: Path, options: Options) -> list[Subject]:
    return [elf.read(read_file(path), str(path), path.name, options)]


def _macho(path: Path, options: Options) -> list[Subject]:
    return [*macho.read(read_file(path), str(path), path.name, options)]


def _pe(path: Path, options: Options) -> list[Subject]:
    return [pe.read(read_file(path), str(path), path.name, options)]


# Suffix -> reader. A library of Linux may have a version behind its suffix.
READERS: dict[str, Callable[[Path, Options], list[Subject]]] = {
    ".so": _elf,
    ".aar": android.read,
    ".apk": android.read,
    ".xcframework": apple.read,
    ".framework": apple.read,
    ".xcframework.zip": apple.read,
    ".framework.zip": apple.read,
    ".dylib": _macho,
    ".a": _macho,
    ".dll": _pe,
}


def has_rules(path: Path) -> bool:
    """Whether its suffix is one of READERS."""
    return _suffix(path) is not None


def _suffix(path: Path) -> str | None:
    name = re.sub(r"(\.so)(\.\d+)+$", r"\1", path.name.casefold())
    return next((one for one in READERS if name.endswith(one)), None)


def read(path: Path, options: Options) -> list[Subject]:
    """What is in the file or folder. InputError where there is none, or its suffix is none of READERS, or a lie."""
    suffix = _suffix(path)
    if suffix is None:
        raise InputError(f"{path}: there are rules for {', '.join(READERS)}", hint="edgeort lint app.apk")
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # LIEF's, of values that it has no name for
        return READERS[suffix](path, options)
