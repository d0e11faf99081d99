"""Rules of files inside of others."""

from __future__ import annotations

from collections.abc import Iterator

from edgeort.lint.rule import Rule
from edgeort.lint.subjects import Unreadable


def _unreadable(found: Unreadable) -> Iterator[str]:
    yield found.reason


INSIDE: tuple[Rule[Unreadable], ...] = (
    Rule(
        "unreadable",
        "error",
        "A file that is not what its name says is refused by whatever loads it.",
        "make it anew, or leave it out",
        _unreadable,
    ),
)
