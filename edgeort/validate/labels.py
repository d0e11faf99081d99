"""Labels of samples: a CSV file, an array, or the folders that pictures are in.

labels.csv      a header `file,label`, then a line a sample; `file` is the sample's name: a picture's path below the
                data's folder, or `x.npy[3]` for a row of an array. `class_index` may stand for `label`.
labels.npy      one whole number a sample, in the order of the data
folders         the word: a picture's class is its folder's place among the sorted folders' names
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from edgeort.errors import InputError

Label = int | str
FOLDERS = "folders"
COLUMNS = ("label", "class_index")
_HINT = "the first line is file,label"


def read_labels(source: str, names: Sequence[str], *, as_text: bool = False) -> dict[str, Label]:
    """The labels by sample; `names` are those of all samples. With `as_text` labels are texts, else classes.

    InputError names the file and the line that is wrong, or a label whose sample there is not.
    """
    if source == FOLDERS:
        return dict(_of_folders(names))
    path = Path(source)
    if path.suffix.lower() == ".npy":
        return dict(_of_array(path, names))
    found: dict[str, Label] = {}
    for line, file, text in _lines(path):
        if file in found:
            raise InputError(f"{path}:{line}: {file} has a label already")
        found[file] = text if as_text else _class(text, path, line)
    if found and not set(found) & set(names):
        raise InputError(
            f"{path}: none of its files is one of the data: {next(iter(found))} is none of {', '.join(names[:3])} ...",
            hint="the names in the first column are paths below --data",
        )
    return found


def _lines(path: Path) -> Iterator[tuple[int, str, str]]:
    """(line, file, label)."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream)
            header = [name.strip() for name in next(reader, [])]
            columns = [name for name in COLUMNS if name in header]
            if "file" not in header or not columns:
                raise InputError(f"{path}:1: the columns are {', '.join(header) or 'none'}", hint=_HINT)
            file, label = header.index("file"), header.index(columns[0])
            for row in reader:
                if not row:
                    continue
                if len(row) <= max(file, label):
                    raise InputError(f"{path}:{reader.line_num}: {','.join(row)!r} has too few columns", hint=_HINT)
                yield reader.line_num, PurePosixPath(row[file].strip()).as_posix(), row[label]
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", hint="--labels is a .csv, a .npy, or the word folders") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is no text in UTF-8: {error}", hint=_HINT) from error


def _class(text: str, path: Path, line: int) -> int:
    try:
        return int(text)
    except ValueError:
        raise InputError(f"{path}:{line}: {text!r} is no class: a whole number, 0 the first") from None


def _of_array(path: Path, names: Sequence[str]) -> Iterator[tuple[str, int]]:
    try:
        labels = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} cannot be read: {error}", hint="numpy.save('labels.npy', array)") from error
    if labels.dtype.kind not in "iu" or labels.ndim != 1 or len(labels) != len(names):
        raise InputError(f"{path}: it is {labels.dtype} {list(labels.shape)}, and there are {len(names)} samples")
    yield from zip(names, labels.tolist(), strict=True)


def _of_folders(names: Sequence[str]) -> Iterator[tuple[str, int]]:
    folders = sorted({PurePosixPath(name).parent.as_posix() for name in names})
    if "." in folders:
        raise InputError("a picture lies in no folder of its class", hint="DATA/CLASS/picture.jpg, or a labels file")
    places: Mapping[str, int] = {folder: place for place, folder in enumerate(folders)}
    for name in names:
        yield name, places[PurePosixPath(name).parent.as_posix()]
