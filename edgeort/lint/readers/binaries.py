"""LIEF, which reads ELF, Mach-O and PE."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edgeort.errors import InputError, MissingExtraError


def lief() -> Any:
    """The module, silent. MissingExtraError where it is not installed."""
    try:
        import lief as module
    except ImportError as error:
        raise MissingExtraError(
            "linting reads libraries with the package lief", hint="pip install 'edgeort[stores]'"
        ) from error
    module.logging.disable()
    return module


@contextmanager
def damaged(where: str, what: str) -> Iterator[None]:
    """Turns what LIEF raises on files that it cannot follow into InputError."""
    try:
        yield
    except (ValueError, RuntimeError, LookupError, OverflowError, MemoryError) as error:
        raise InputError(f"{where}: a damaged {what}: {error}") from error


def name_of(value: Any) -> str:
    """The name of one of its enumerations' values, in lower case; the number where it has none."""
    return str(value.name).casefold() if hasattr(value, "name") else hex(int(value))
