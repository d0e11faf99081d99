"""Files of this machine as the inputs of Magika (Fratantonio et al. 2024): the first and the last 1024 bytes."""

from __future__ import annotations

import os
import sysconfig
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

ROOTS = (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), "/usr/share", "/usr/include", "/usr/lib", "/etc")
A_KIND = 40  # files of one suffix
# fmt: off
KINDS = frozenset({
    ".a", ".bat", ".c", ".cmake", ".conf", ".cpp", ".css", ".csv", ".f90", ".gif", ".gz", ".h", ".hpp", ".html", ".ico",
    ".ini", ".jpg", ".js", ".json", ".m4", ".md", ".mo", ".o", ".pdf", ".pem", ".php", ".pl", ".pm", ".png", ".ps1",
    ".py", ".pyc", ".rb", ".rst", ".sh", ".so", ".sql", ".svg", ".tcl", ".tex", ".toml", ".ttf", ".txt", ".vim", ".wav",
    ".whl", ".xml", ".xz", ".yaml", ".yml", ".zip",
})
# fmt: on
END, PADDING, _BLOCK = 1024, 256, 4096
_LEAST, _MOST = 32, 1 << 22  # bytes


def files(roots: Iterable[str] = ROOTS) -> list[Path]:
    """At most `A_KIND` files of every suffix, evenly spread over the sorted ones."""
    kinds: dict[str, list[Path]] = defaultdict(list)
    for root in dict.fromkeys(roots):
        for folder, _, names in os.walk(root):
            for name in names:
                path = Path(folder, name)
                if path.suffix.lower() in KINDS and path.is_file() and _LEAST <= path.stat().st_size <= _MOST:
                    kinds[path.suffix.lower()].append(path)
    found = []
    for suffix in sorted(kinds):
        paths = sorted(kinds[suffix])
        spread = [paths[int((i + 0.5) * len(paths) / A_KIND)] for i in range(A_KIND)]
        found += spread if len(paths) > A_KIND else paths
    return found


def as_input(path: Path) -> np.ndarray:
    """int32 [1, 2048]: bytes without white space at the ends, padded with 256."""
    content = path.read_bytes()
    first, last = content[:_BLOCK].lstrip()[:END], content[-_BLOCK:].rstrip()[-END:]
    row = np.full(2 * END, PADDING, np.int32)
    row[: len(first)] = np.frombuffer(first, np.uint8)
    row[2 * END - len(last) :] = np.frombuffer(last, np.uint8)
    return row[np.newaxis]
