"""The benchmarks' own C and C++ sources, compiled by the toolchain's compiler for this machine."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from edgeort.errors import ToolchainError
from edgeort.toolchain import cache_dir


def shared_library(source: Path, *flags: str) -> Path:
    """`source` as a shared library, cached by what it is made of. ToolchainError when it does not compile."""
    command = [
        sys.executable,
        "-m",
        "ziglang",
        "cc",
        "-shared",
        "-fPIC",
        "-O2",
        "-fno-sanitize=all",
        *flags,
        str(source),
    ]
    key = hashlib.sha256(source.read_bytes() + " ".join(command).encode()).hexdigest()[:24]
    path = cache_dir() / "benchmarks" / f"{source.stem}-{key}.so"
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
