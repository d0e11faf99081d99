"""The compiler: clang for every target, inside PyPI's ziglang."""

from __future__ import annotations

import functools
import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from edgeort.cache import cache_dir
from edgeort.errors import ToolchainError


@functools.cache
def program() -> str:
    """The zig program; started directly, for a Python around each object would cost seconds.

    ToolchainError where there is none.
    """
    spec = importlib.util.find_spec("ziglang")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / ("zig.exe" if sys.platform == "win32" else "zig")
        if path.exists():
            return str(path)
    raise ToolchainError("the compiler is not installed", hint="pip install ziglang==0.17.1")


@functools.cache
def version() -> str:
    """The compiler and its version. ToolchainError where there is none."""
    from importlib import metadata

    return f"{Path(program()).name} {metadata.version('ziglang')}"


def run(arguments: Sequence[str], tool: str = "cc") -> None:
    """One call. ToolchainError with what the compiler said."""
    command = [program(), tool, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment())
    if result.returncode:
        detail = result.stderr.strip() or result.stdout.strip() or f"exit status {result.returncode}"
        raise ToolchainError(f"the compiler failed:\n{detail[-4000:]}")


def environment() -> dict[str, str]:
    """The compiler keeps its libraries in the user's cache folder; where it cannot write there, beside our objects.

    It does not look up the home of a user for whom HOME does not say it.
    """
    base = os.environ.get("LOCALAPPDATA") if sys.platform == "win32" else os.environ.get("XDG_CACHE_HOME")
    home = os.environ.get("HOME")
    place = Path(base) / "zig" if base else Path(home) / ".cache/zig" if home else None
    there = None if place is None else next(folder for folder in (place, *place.parents) if folder.exists())
    is_theirs = there is not None and os.access(there, os.W_OK)
    return {**({} if is_theirs else {"ZIG_GLOBAL_CACHE_DIR": str(cache_dir() / "zig")}), **os.environ}
