"""Compile C and C++ for tests with zig, once: results are kept in `.pytest_cache/built`, named by a hash."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / ".pytest_cache" / "built"


def compile_with_zig(sources: Sequence[Path], flags: Sequence[str], *, depends: Sequence[Path] = ()) -> Path:
    """Return the linked file made of `sources`; `depends` are the headers whose change means a new build.

    Raises AssertionError with the compiler's words when it refuses.
    """
    digest = hashlib.sha256("\0".join(flags).encode())
    for path in [*sources, *depends]:
        digest.update(path.read_bytes())
    target = BUILT / f"{sources[0].stem}-{digest.hexdigest()[:16]}"
    if target.exists():
        return target
    BUILT.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(f".{os.getpid()}")
    command = [sys.executable, "-m", "ziglang", "cc", *flags, "-o", str(partial), *map(str, sources)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"
    partial.replace(target)
    return target
