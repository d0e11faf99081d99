"""Classes and texts: a CSV file, an array, or the folders that pictures are in.

labels.csv      a header `file,label`, then a line a sample; `file` is the sample's name: a picture's path below the
                data's folder, or `x.npy[3]` for a row of an array, `x.npy` where it has one. `class_index` may stand
                for `label`. Where a sample may have several classes, they stand between semicolons, or none at all:
                `a.jpg,3;7`.
labels.npy      one whole number a sample, in the order of the data; for several classes 0 or 1, [samples, classes]
folders         the word: a picture's class is its folder's place among the sorted folders' names
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np

from edgeort.errors import InputError
from edgeort.unreadable import UNREADABLE
from edgeort.validate.labels.label import check_known, name_of, rows_of

T = TypeVar("T")
FOLDERS = "folders"
_COLUMNS = (("file",), ("label", "class_index"))


def read_classes(source: str, names: Sequence[str]) -> dict[str, int]:
    """The class of each sample; `names` are those of all samples.

    InputError names the file and the line that is wrong, or a label whose sample there is not.
    """
    if source == FOLDERS:
        return dict(_of_folders(names))
    path = Path(source)
    if path.suffix.lower() == ".npy":
        labels = _array(path)
        if labels.dtype.kind not in "iu" or labels.ndim != 1 or len(labels) != len(names):
            raise InputError(f"{path}: it is {labels.dtype} {list(labels.shape)}, and there are {len(names)} samples")
        return dict(zip(names, labels.tolist(), strict=True))
    return _of_table(path, names, _class)


def read_texts(source: str, names: Sequence[str]) -> dict[str, str]:
    """The text of each sample, of a CSV file."""
    return _of_table(Path(source), names, lambda text, path, line: text)


def read_class_sets(source: str, names: Sequence[str]) -> dict[str, frozenset[int]]:
    """The classes of each sample, of a CSV file or an array."""
    path = Path(source)
    if path.suffix.lower() != ".npy":
        return _of_table(path, names, _classes)
    labels = _array(path)
    if labels.ndim != 2 or len(labels) != len(names) or not np.isin(labels, (0, 1)).all():
        what = f"{labels.dtype} {list(labels.shape)}"
        raise InputError(f"{path}: it is {what}; of {len(names)} samples it is 0 or 1, [{len(names)}, classes]")
    return {name: frozenset(np.flatnonzero(row).tolist()) for name, row in zip(names, labels, strict=True)}


def _of_table(path: Path, names: Sequence[str], read: Callable[[str, Path, int], T]) -> dict[str, T]:
    found: dict[str, T] = {}
    known = frozenset(names)
    for line, (file, text) in rows_of(path, _COLUMNS):
        name = name_of(file, known)
        if name in found:
            raise InputError(f"{path}:{line}: {name} has a label already")
        found[name] = read(text, path, line)
    check_known(list(found), names, path)
    return found


def _class(text: str, path: Path, line: int) -> int:
    try:
        return int(text)
    except ValueError:
        raise InputError(f"{path}:{line}: {text!r} is no class: a whole number, 0 the first") from None


def _classes(text: str, path: Path, line: int) -> frozenset[int]:
    return frozenset(_class(part, path, line) for part in text.split(";") if part.strip())


def _array(path: Path) -> np.ndarray:
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except UNREADABLE as error:
        raise InputError(f"{path} cannot be read: {error}", hint="numpy.save('labels.npy', array)") from error


def _of_folders(names: Sequence[str]) -> Iterator[tuple[str, int]]:
    folders = sorted({PurePosixPath(name).parent.as_posix() for name in names})
    if "." in folders:
        raise InputError("a picture lies in no folder of its class", hint="DATA/CLASS/picture.jpg, or a labels file")
    places: Mapping[str, int] = {folder: place for place, folder in enumerate(folders)}
    for name in names:
        yield name, places[PurePosixPath(name).parent.as_posix()]
