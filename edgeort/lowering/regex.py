"""Regular expressions of RegexFullMatch (RE2's) as programs for a machine that follows all ways at once.

Ken Thompson, "Regular expression search algorithm", CACM 11 (6), 1968; runtime/kernels/strings/regex.cc runs them.
Python's own parser reads the pattern: what it and RE2 read differently is refused, or has RE2's meaning here.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

MATCH, CHARACTER, SPLIT, ASSERT = range(4)
_ASSERTIONS = ("text begin", "text end", "line begin", "line end", "boundary", "no boundary")
SIZE_LIMIT = 20_000  # instructions
_LAST = 0x10FFFF
Ranges = list[tuple[int, int]]

# ASCII, as RE2 has them.
_CLASSES: dict[str, Ranges] = {
    "DIGIT": [(48, 57)],
    "SPACE": [(9, 10), (12, 13), (32, 32)],
    "WORD": [(48, 57), (65, 90), (95, 95), (97, 122)],
}


class Unreadable(Exception):
    """The pattern has a form that the machine lacks; the message says which."""


@dataclass
class _Writer:
    code: list[list[int]] = field(default_factory=list)
    ranges: Ranges = field(default_factory=list)

    def emit(self, op: int, x: int = 0, y: int = 0) -> int:
        """The place of a new instruction."""
        if len(self.code) == SIZE_LIMIT:
            raise Unreadable(f"is longer than {SIZE_LIMIT} instructions")
        self.code.append([op, x, y])
        return len(self.code) - 1

    def characters(self, ranges: Ranges) -> None:
        """One character of those."""
        self.emit(CHARACTER, len(self.ranges), len(ranges))
        self.ranges += ranges

    def jump(self) -> int:
        """A jump whose target is written later."""
        return self.emit(SPLIT)

    def land(self, *jumps: int) -> None:
        """They go on behind what there is."""
        for at in jumps:
            self.code[at][1:] = [len(self.code)] * 2

    def repeat(self, least: int, most: float, body: Callable[[], None]) -> None:
        """The body, so often."""
        for _ in range(least):
            body()
        if most == float("inf"):
            start = self.jump()
            body()
            self.emit(SPLIT, start, start)
            self.code[start][1:] = [start + 1, len(self.code)]
            return
        skips = []
        for _ in range(int(most) - least):
            skips.append(self.jump())
            body()
        for at in skips:
            self.code[at][1:] = [at + 1, len(self.code)]


def program(pattern: str) -> tuple[list[list[int]], Ranges]:
    """Instructions (op, x, y) and ranges of characters. Unreadable says what is not understood."""
    parser: Any = re._parser  # type: ignore[attr-defined]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what Python will read differently one day
            tree = parser.parse(pattern, re.ASCII)
    except (re.error, RecursionError, OverflowError, Warning) as error:
        raise Unreadable(str(error) or "is nested too deeply") from error
    if tree.state.flags & re.VERBOSE:
        raise Unreadable("has the flag x")
    writer = _Writer()
    _sequence(writer, tree, tree.state.flags)
    writer.emit(MATCH)
    return writer.code, writer.ranges


def _sequence(w: _Writer, items: Sequence[tuple[Any, Any]], flags: int) -> None:
    for op, argument in items:
        name = str(op)
        if name in ("LITERAL", "NOT_LITERAL", "ANY", "IN"):
            w.characters(_ranges(name, argument, flags))
        elif name == "BRANCH":
            _branch(w, argument[1], flags)
        elif name == "SUBPATTERN":
            _, add, remove, inner = argument
            _sequence(w, inner, (flags | add) & ~remove)
        elif name in ("MAX_REPEAT", "MIN_REPEAT"):
            least, most, inner = argument
            most = float("inf") if str(most) == "MAXREPEAT" else int(most)
            w.repeat(least, most, lambda inner=inner: _sequence(w, inner, flags))  # type: ignore[misc]
        elif name == "AT":
            w.emit(ASSERT, _assertion(str(argument), flags))
        else:
            raise Unreadable(f"has {name.lower().replace('_', ' ')}, which RE2 lacks")


def _branch(w: _Writer, branches: Sequence[Any], flags: int) -> None:
    ends = []
    for branch in branches[:-1]:
        fork = w.jump()
        _sequence(w, branch, flags)
        ends.append(w.jump())
        w.code[fork][1:] = [fork + 1, len(w.code)]
    _sequence(w, branches[-1], flags)
    w.land(*ends)


def _assertion(name: str, flags: int) -> int:
    kind = {
        "AT_BEGINNING": "line begin" if flags & re.MULTILINE else "text begin",
        "AT_END": "line end" if flags & re.MULTILINE else "text end",
        "AT_BEGINNING_STRING": "text begin",
        "AT_END_STRING": "text end",
        "AT_BOUNDARY": "boundary",
        "AT_NON_BOUNDARY": "no boundary",
    }.get(name)
    if kind is None:
        raise Unreadable(f"has {name.lower()}")
    return _ASSERTIONS.index(kind)


def _ranges(name: str, argument: Any, flags: int) -> Ranges:
    if name == "ANY":
        return [(0, _LAST)] if flags & re.DOTALL else _others([(10, 10)])
    if name != "IN":
        found = _cases([(argument, argument)], flags)
        return found if name == "LITERAL" else _others(found)
    found, negated = [], False
    for op, value in argument:
        kind = str(op)
        if kind == "NEGATE":
            negated = True
        elif kind == "CATEGORY":
            category = str(value).removeprefix("CATEGORY_")
            inner = _CLASSES[category.removeprefix("NOT_")]
            found += _others(inner) if category.startswith("NOT_") else inner
        else:
            found += _cases([(value, value) if kind == "LITERAL" else value], flags)
    return _others(found) if negated else found


def _cases(ranges: Ranges, flags: int) -> Ranges:
    """With the flag i, letters of both cases."""
    if not flags & re.IGNORECASE:
        return ranges
    if any(last > 127 for _, last in ranges):
        raise Unreadable("ignores the case of characters beyond ASCII")
    found = list(ranges)
    for first, last in ranges:
        for low, high, distance in ((65, 90, 32), (97, 122, -32)):
            begin, end = max(first, low), min(last, high)
            found += [(begin + distance, end + distance)] if begin <= end else []
    return found


def _others(ranges: Ranges) -> Ranges:
    found, at = [], 0
    for first, last in sorted(ranges):
        if first > at:
            found.append((at, first - 1))
        at = max(at, last + 1)
    return [*found, (at, _LAST)] if at <= _LAST else found
