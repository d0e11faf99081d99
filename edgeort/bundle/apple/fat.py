"""Universal files: one file with the code of several architectures, as Apple's `lipo -create` joins them.

The layout is that of <mach-o/fat.h>: a big-endian header, an entry an architecture, and the files behind it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

_MAGIC = 0xCAFEBABE
_ALIGN = 3  # as a power of two: members of archives of 64-bit objects begin at multiples of 8
# <mach/machine.h>: cputype and cpusubtype of arm64 (ALL) and x86_64 (ALL)
CPUS = {"aarch64": (0x0100000C, 0), "x86_64": (0x01000007, 3)}


def join(files: Mapping[str, bytes]) -> bytes:
    """One file of those of several architectures; of one, that file."""
    if len(files) == 1:
        return next(iter(files.values()))
    offset = 8 + 20 * len(files)
    entries, bodies = [], []
    for arch, data in sorted(files.items()):
        gap = -offset % (1 << _ALIGN)
        offset += gap
        entries.append(struct.pack(">5I", *CPUS[arch], offset, len(data), _ALIGN))
        bodies += [bytes(gap), data]
        offset += len(data)
    return struct.pack(">2I", _MAGIC, len(files)) + b"".join((*entries, *bodies))
