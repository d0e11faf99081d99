"""What samples may be labelled with, and the tables that labels are read from."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from edgeort.errors import InputError


@dataclass(frozen=True)
class Pair:
    """Sample `side` (0 or 1) of pair `index`, which people gave a score."""

    index: int
    side: int
    score: float


@dataclass(frozen=True)
class Truth:
    """The objects in a picture: float64 [n, 4] corners x1 y1 x2 y2, [n] classes, [n] areas, and which are crowds.

    Coordinates are those of the picture: one of the model's input is `scale * x + offset`, both as (x, y). `classes`
    counts those that there are.
    """

    image: int
    boxes: np.ndarray
    categories: np.ndarray
    areas: np.ndarray
    crowds: np.ndarray
    classes: int
    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)

    def in_picture(self, boxes: np.ndarray) -> np.ndarray:
        """Corners [n, 4] in the model's input, in the picture's coordinates."""
        return (boxes - np.tile(self.offset, 2)) / np.tile(self.scale, 2)


# A class, a text, the classes that a sample has, its objects, or the pairs that it is part of.
Label = int | str | frozenset[int] | Truth | tuple[Pair, ...]


def rows_of(path: Path, columns: Sequence[Sequence[str]]) -> Iterator[tuple[int, list[str]]]:
    """Line number and fields of a CSV's lines; each of `columns` lists the names that a column may have.

    InputError for a file that is none, a column that is missing, or a line with too few fields.
    """
    hint = f"the first line is {','.join(names[0] for names in columns)}"
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream)
            header = [name.strip() for name in next(reader, [])]
            found = [next((name for name in names if name in header), None) for names in columns]
            if None in found:
                raise InputError(f"{path}:1: the columns are {', '.join(header) or 'none'}", hint=hint)
            places = [header.index(str(name)) for name in found]
            for row in reader:
                if not row:
                    continue
                if len(row) <= max(places):
                    raise InputError(f"{path}:{reader.line_num}: {','.join(row)!r} has too few columns", hint=hint)
                yield reader.line_num, [row[place] for place in places]
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", hint="--labels names a file") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is no text in UTF-8: {error}", hint=hint) from error


def name_of(text: str, names: Collection[str]) -> str:
    """A sample's name as it stands in a table: `x.npy` is `x.npy[0]` of `names` where that file has one sample."""
    name = PurePosixPath(text.strip()).as_posix()
    is_whole = name not in names and f"{name}[0]" in names and f"{name}[1]" not in names
    return f"{name}[0]" if is_whole else name


def check_known(found: Sequence[str], names: Sequence[str], path: Path) -> None:
    """InputError where not one of the names is a sample's."""
    if found and not set(found) & set(names):
        raise InputError(
            f"{path}: none of its files is one of the data: {found[0]} is none of {', '.join(names[:3])} ...",
            hint="labels name samples by their paths below --data, rows of arrays as x.npy[3]",
        )
