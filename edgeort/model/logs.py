"""Less of what other libraries log: warnings of theirs that say nothing to the one who brought the model."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def at_level(logger: str, level: int) -> Iterator[None]:
    """A logger tells nothing below the level."""
    found = logging.getLogger(logger)
    before = found.level
    found.setLevel(level)
    try:
        yield
    finally:
        found.setLevel(before)
