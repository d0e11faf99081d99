"""Files with a name a line: labels of classes, characters that a recogniser spells with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeort.errors import InputError

LARGEST_BYTES = 16 << 20


@dataclass(frozen=True)
class Names:
    """What stands in a file, or in the model's metadata: `source` is where, for errors."""

    source: str
    names: tuple[str, ...]


def read_labels(file: str) -> Names:
    """The labels of classes 0, 1, ..., without the spaces around them. InputError names the file and the line."""
    names = tuple(line.strip() for line in _lines(file))
    for number, name in enumerate(names, 1):
        if not name:
            raise InputError(f"{file}: line {number} is empty", hint="one label a line, in the order of the classes")
    return Names(file, names)


def read_characters(file: str) -> Names:
    """The characters of a recogniser's classes, as they stand: a line may be a space. InputError as above."""
    return Names(file, tuple(_lines(file)))


def _lines(file: str) -> list[str]:
    try:
        with Path(file).open("rb") as stream:
            raw = stream.read(LARGEST_BYTES + 1)
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
        lines = text.removesuffix("\n").split("\n") if text else []  # a character may be one that splitlines splits at
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(f"{file} cannot be read: {reason}", hint="a text file in UTF-8, one name a line") from error
    if len(raw) > LARGEST_BYTES or not lines:
        raise InputError(f"{file} is no list of names", hint="a text file in UTF-8, one name a line")
    return lines


def check_labels(labels: Names | None, classes: int | None, output: str) -> Sequence[str] | None:
    """The labels, where there are any. InputError where the model has another number of classes."""
    if labels is None:
        return None
    if classes is not None and classes != len(labels.names):
        raise InputError(
            f"{labels.source} has {len(labels.names)} labels, and output {output!r} of the model has {classes} classes",
            hint="one label a line, in the order of the classes",
        )
    return labels.names
