"""A profile's table as the text of a TOML file, each line with the comment of where its figure comes from."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def toml(table: Mapping[str, Any], comments: Mapping[str, str], head: str = "") -> str:
    """The text; `comments` are by dotted key, as errors of profiles name them, `head` stands at the top.

    Values are texts, numbers, booleans, lists of these, tables, and lists of tables. ValueError for a number that is
    not finite: TOML has them, profiles do not.
    """
    lines = [f"# {_printable(line)}".rstrip() for line in head.splitlines()]
    blocks = ["\n".join(block) for block in _blocks(table, "", "", "", comments)]
    return "\n\n".join(filter(None, ["\n".join(lines), *blocks])) + "\n"


def _blocks(
    table: Mapping[str, Any], at: str, path: str, title: str, comments: Mapping[str, str]
) -> Iterator[list[str]]:
    """The lines of a table's own keys, then those of the tables in it. `at` is where it is as errors name it, `path` as
    TOML does."""
    own = [title] if title else []
    for key, value in table.items():
        if not _holds_tables(value):
            comment = comments.get(_join(at, key), "")
            own.append(f"{_key(key)} = {_value(value)}" + (f" # {_printable(comment)}" if comment else ""))
    if own:
        yield own
    for key, value in table.items():
        inner = _join(path, _key(key))
        if isinstance(value, Mapping):
            yield from _blocks(value, _join(at, key), inner, f"[{inner}]", comments)
        elif _holds_tables(value):
            for index, item in enumerate(value):
                yield from _blocks(item, f"{_join(at, key)}[{index}]", inner, f"[[{inner}]]", comments)


def _holds_tables(value: Any) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and bool(value) and isinstance(value[0], Mapping))


def _join(at: str, key: str) -> str:
    return f"{at}.{key}" if at else key


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is no number of a profile")
        return repr(value)
    if isinstance(value, int):
        return str(value)
    return f"[{', '.join(map(_value, value))}]"


def _text(text: str) -> str:
    """A basic string: control characters and lone surrogates, which TOML cannot hold as they are, are escaped."""
    return '"' + "".join(_ESCAPES.get(c) or (c if _is_plain(c) else f"\\u{ord(c):04X}") for c in text) + '"'


def _is_plain(character: str) -> bool:
    return ord(character) >= 32 and ord(character) != 127


def _printable(comment: str) -> str:
    return "".join(c if _is_plain(c) else " " for c in comment)
