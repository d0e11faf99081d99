"""Which edgeort this is, to the byte: rows of one table, and the machines that make them, must agree on it."""

from __future__ import annotations

import functools
import hashlib
import os
from pathlib import Path

import edgeort

_SOURCES = (".py", ".h", ".cc", ".c", ".inc")


@functools.cache
def version() -> str:
    """`0.1.0+3f2a90c1d4e5`: the version, and a hash of the package's sources."""
    root, digest = Path(edgeort.__file__).parent, hashlib.sha256()
    found = (Path(folder) / name for folder, _, names in os.walk(root, followlinks=True) for name in names)
    for path in sorted(path for path in found if path.suffix in _SOURCES):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return f"{edgeort.__version__}+{digest.hexdigest()[:12]}"
