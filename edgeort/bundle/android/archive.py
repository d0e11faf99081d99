"""Zip archives with the same bytes each time: .jar and .aar."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a .zip can hold


def archive(files: Mapping[str, bytes]) -> bytes:
    """The files as one archive, in their order: stored, since compressed bytes would depend on the version of zlib."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as out:
        for name, data in files.items():
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system = 3  # Unix, whatever the machine
            info.external_attr = 0o100644 << 16
            out.writestr(info, data)
    return stream.getvalue()
