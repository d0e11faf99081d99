"""Files of JSON as our commands write them: one object, or one a line.

A line that is not whole, as when a machine stops in the middle of a write, costs no other.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeort.errors import InputError


@dataclass(frozen=True)
class Lines:
    """The objects of a file, each with the number of its line, and how many lines hold none."""

    objects: tuple[tuple[int, dict[str, Any]], ...]
    torn: int


def read(path: Path, hint: str, most_bytes: int | None = None) -> Lines:
    """What the file holds. InputError, which helps by `hint`, where it cannot be read or has more than `most_bytes`."""
    try:
        if most_bytes is not None and path.stat().st_size > most_bytes:
            raise InputError(f"{path} has more than {most_bytes >> 20} MiB: these are no results", hint=hint)
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or 'the system says no more'}", hint=hint) from error
    rows = [text] if _parsed(text) is not None else text.splitlines()
    parsed = [(number, _parsed(row)) for number, row in enumerate(rows, 1) if row.strip()]
    found = tuple((number, one) for number, one in parsed if one is not None)
    return Lines(found, len(parsed) - len(found))


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
