"""Values of our own types as JSON has them, and back: dataclasses, sequences, mappings, numbers, texts.

Files are told by their content, never by their path: what is told is the same on every machine.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeort.errors import InputError

A_FILE = {"is_file": True}  # metadata of a field whose text, where it is the path of something, stands for that
UNTOLD = "untold"  # the key of what has no such form, its type behind it


@dataclass(frozen=True)
class Content:
    """What a file or a folder holds: SHA-256 of a file, or of the paths and hashes of all files below a folder."""

    sha256: str
    files: int

    @classmethod
    def of(cls, path: Path) -> Content:
        """InputError where it cannot be read."""
        try:
            if not path.is_dir():
                return cls(_sha256(path), 1)
            found = sorted((file.relative_to(path).as_posix(), file) for file in path.rglob("*") if file.is_file())
            lines = (f"{_sha256(file)} {name}\n" for name, file in found)
            return cls(hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest(), len(found))
        except OSError as error:
            raise InputError(f"{error.filename or path}: {error.strerror}") from error


def encode(value: Any, *, is_file: bool = False) -> Any:
    """As JSON takes it. Fields of dataclasses that are as usual are left out, so that a new one changes nothing."""
    if isinstance(value, os.PathLike) or (is_file and isinstance(value, str) and os.path.exists(value)):
        return dataclasses.asdict(Content.of(Path(value)))
    if is_file and not isinstance(value, str):
        return {UNTOLD: type(value).__name__}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((field, getattr(value, field.name)) for field in dataclasses.fields(value))
        kept = [(field, own) for field, own in pairs if not _is_usual(field, own)]
        return {field.name: encode(own, is_file=bool(field.metadata.get("is_file"))) for field, own in kept}
    if isinstance(value, Mapping):
        return {str(key): encode(own) for key, own in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(own) for own in value]
    return {UNTOLD: type(value).__name__}


def contents(data: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Content | str]]:
    """Where in an encoded value a Content stands, or the type of what was not told, with its keys from the outside."""
    if isinstance(data, dict):
        if set(data) == {"sha256", "files"}:
            yield place, Content(str(data["sha256"]), data["files"] if isinstance(data["files"], int) else 0)
        elif set(data) == {UNTOLD}:
            yield place, str(data[UNTOLD])
        else:
            for key, own in data.items():
                yield from contents(own, (*place, key))
    elif isinstance(data, list):
        for index, own in enumerate(data):
            yield from contents(own, (*place, str(index)))


def decode(
    kind: Any, data: Any, place: tuple[str, ...] = (), files: Mapping[tuple[str, ...], Path] | None = None
) -> Any:
    """The value of a type that `encode` told, with the files at their places for its contents. Else TypeError."""
    if files and place in files:
        return files[place] if _takes_paths(kind) else str(files[place])
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return data
    if origin in (typing.Union, types.UnionType):
        return _first(arguments, data, place, files)
    if origin is typing.Literal:
        return _exactly(data, any(data == one and type(data) is type(one) for one in arguments), kind)
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, data, place, files)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        _exactly(data, isinstance(data, dict), kind)
        return {key: decode(arguments[1], own, (*place, key), files) for key, own in data.items()}
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return _sequence(arguments, data, place, files)
    if kind is float:
        return _exactly(data, type(data) in (int, float), kind)
    return _exactly(data, data is None if kind is type(None) else type(data) is kind, kind)


def _first(
    kinds: Sequence[Any], data: Any, place: tuple[str, ...], files: Mapping[tuple[str, ...], Path] | None
) -> Any:
    """As the first of the types that takes it."""
    for kind in kinds:
        try:
            return decode(kind, data, place, files)
        except TypeError:
            continue
    raise TypeError(f"{'.'.join(place)}: it is a {type(data).__name__}")


def _dataclass(kind: Any, data: Any, place: tuple[str, ...], files: Mapping[tuple[str, ...], Path] | None) -> Any:
    hints = _hints(kind)
    _exactly(data, isinstance(data, dict) and set(data) <= set(hints), kind)
    return kind(**{name: decode(hints[name], own, (*place, name), files) for name, own in data.items()})


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _sequence(
    kinds: Sequence[Any], data: Any, place: tuple[str, ...], files: Mapping[tuple[str, ...], Path] | None
) -> Any:
    _exactly(data, isinstance(data, list), tuple)
    any_number = len(kinds) == 1 or kinds[1] is ...
    own = [kinds[0]] * len(data) if any_number else list(kinds)
    _exactly(data, len(own) == len(data), tuple)
    places = ((*place, str(index)) for index in range(len(data)))
    return tuple(decode(kind, one, at, files) for kind, one, at in zip(own, data, places, strict=True))


def _exactly(data: Any, fits: bool, kind: Any) -> Any:
    if not fits:
        raise TypeError(f"{getattr(kind, '__name__', kind)}: it is a {type(data).__name__}")
    return data


def _takes_paths(kind: Any) -> bool:
    """Whether a path is of the type: not where only texts are."""
    kinds = [typing.get_origin(one) or one for one in typing.get_args(kind)] or [kind]
    return any(isinstance(one, type) and issubclass(one, os.PathLike) for one in kinds)


def _is_usual(field: dataclasses.Field[Any], value: Any) -> bool:
    value = tuple(value) if isinstance(value, list) else value
    if field.default_factory is not dataclasses.MISSING:
        return bool(value == field.default_factory())
    return field.default is not dataclasses.MISSING and type(value) is type(field.default) and value == field.default


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
