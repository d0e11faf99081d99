"""The C and C++ sources of the benchmarks themselves, compiled by the compiler that the toolchain uses."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from edgeort.cache import cache_dir
from edgeort.errors import ToolchainError


def shared_library(source: Path, *flags: str) -> Path:
    """`source` as a shared library for this machine, cached. ToolchainError when it does not compile."""
    return _compiled(source, ".so", "-shared", "-fPIC", *flags)


def program(source: Path, *flags: str) -> Path:
    """`source` as a program, cached. ToolchainError when it does not compile."""
    return _compiled(source, "", *flags)


def _compiled(source: Path, suffix: str, *flags: str) -> Path:
    command = [sys.executable, "-m", "ziglang", "cc", "-O2", "-fno-sanitize=all", *flags, str(source)]
    key = hashlib.sha256(_with_included(source) + " ".join(command).encode()).hexdigest()[:24]
    path = cache_dir() / "benchmarks" / f"{source.stem}-{key}{suffix}"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        done = subprocess.run([*command, "-o", str(made)], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise ToolchainError(f"{source} does not compile:\n{done.stderr[-2000:]}")
        os.replace(made, path)
    return path


def _with_included(source: Path) -> bytes:
    """The source and what it includes of ours."""
    text = source.read_bytes()
    included = (source.parent / name.decode() for name in re.findall(rb'^#include "(.+)"', text, re.MULTILINE))
    return text + b"".join(_with_included(path) for path in included if path.exists())
