"""Tables (as `tomllib` gives them) to frozen dataclasses, by the annotations and `rule(...)` metadata of their fields.

Allowed annotations: str, int, float, bool, a dataclass, tuple[str, ...], tuple[a dataclass, ...], and any of them
`| None`. A field without metadata is not a key of the file.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
import typing
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from edgeort.errors import ProfileError

T = TypeVar("T")

_KINDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


@dataclass(frozen=True)
class Where:
    """A place in a profile: `file` as the user knows it, `key` dotted from the root ("" is the root)."""

    file: str
    key: str = ""

    def at(self, name: str) -> Where:
        """The place of key `name` below this one."""
        return Where(self.file, f"{self.key}.{name}" if self.key else name)

    def item(self, index: int) -> Where:
        """The place of the item with that index of the list here."""
        return Where(self.file, f"{self.key}[{index}]")

    def fail(self, problem: str, allowed: str, *, hint: str | None = None) -> NoReturn:
        """Raises ProfileError that names file, key, problem and what is allowed."""
        raise ProfileError(f"{self.file}: {self.key}: {problem}; allowed: {allowed}", hint=hint)


def read_table(cls: type[T], table: Any, where: Where, **given: Any) -> T:
    """`cls` from a table; `given` are the fields that do not come from the file. Raises ProfileError."""
    if not isinstance(table, dict):
        where.fail(f"{_shown(table)} is not a table", f"a table [{where.key}]")
    hints = typing.get_type_hints(cls)
    keys = {f.metadata["toml"] or f.name: f for f in dataclasses.fields(cls) if f.metadata}  # type: ignore[arg-type]
    for name in table:
        if name not in keys:
            near = difflib.get_close_matches(name, keys, n=1)
            hint = f"did you mean {near[0]}?" if near else None
            where.at(name).fail("unknown key", ", ".join(keys), hint=hint)
    values = dict(given)
    for name, key in keys.items():
        if name in table:
            values[key.name] = _read_value(hints[key.name], table[name], key.metadata, where.at(name))
        elif key.default is dataclasses.MISSING:
            where.at(name).fail("missing", _allowed(hints[key.name], key.metadata))
    return cls(**values)


def _read_value(annotation: Any, value: Any, meta: typing.Mapping[str, Any], where: Where) -> Any:
    kind = _required(annotation)
    if typing.get_origin(kind) is tuple:
        return _read_list(typing.get_args(kind)[0], value, meta, where)
    if dataclasses.is_dataclass(kind):
        return read_table(typing.cast(type, kind), value, where)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:  # bool is a subclass of int: only the exact type will do
        where.fail(f"{_shown(value)} is not {_KINDS[kind]}", _allowed(annotation, meta))
    low, high, pattern = meta["low"], meta["high"], meta["pattern"]
    # written so that nan, which compares as false with everything, is out of range
    in_range = low is None or low <= value <= high
    in_choices = not meta["choices"] or value in meta["choices"]
    fits = pattern is None or re.fullmatch(pattern, value) is not None
    if not (in_range and in_choices and fits):
        where.fail(f"{_shown(value)} is not possible", _allowed(annotation, meta))
    return value


def _read_list(kind: Any, value: Any, meta: typing.Mapping[str, Any], where: Where) -> tuple[Any, ...]:
    if not isinstance(value, list) or not value:
        where.fail(f"{_shown(value)} is not a list with at least one item", _allowed(tuple[kind, ...], meta))
    items = tuple(_read_value(kind, item, meta, where.item(index)) for index, item in enumerate(value))
    for index, item in enumerate(items):
        if kind is str and item in items[:index]:
            where.item(index).fail(f"{_shown(item)} stands in the list twice", "each item once")
    return items


def _required(annotation: Any) -> Any:
    """`T` of `T | None`; every other annotation as it is."""
    if isinstance(annotation, types.UnionType):
        return next(arg for arg in typing.get_args(annotation) if arg is not type(None))
    return annotation


def _allowed(annotation: Any, meta: typing.Mapping[str, Any]) -> str:
    """What the rule allows, in words: the type, the bounds or choices, and what the key is."""
    kind = _required(annotation)
    if typing.get_origin(kind) is tuple:
        item = typing.get_args(kind)[0]
        return "tables of " + meta["doc"] if dataclasses.is_dataclass(item) else "a list of " + _allowed(item, meta)
    if dataclasses.is_dataclass(kind):
        names = (f.metadata["toml"] or f.name for f in dataclasses.fields(kind) if f.metadata)
        return f"a table with {', '.join(names)}"
    if meta["choices"]:
        return f"{', '.join(meta['choices'])} ({meta['doc']})"
    bounds = "" if meta["low"] is None else f" from {meta['low']:,} to {meta['high']:,}"
    return f"{_KINDS[kind]}{bounds} ({meta['doc']})"


def _shown(value: Any) -> str:
    """A value for a message, of bounded length."""
    text = repr(value) if not isinstance(value, bool) else str(value).lower()
    return text if len(text) <= 60 else text[:57] + "..."
