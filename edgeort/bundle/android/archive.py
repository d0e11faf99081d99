"""Zip archives with the same bytes each time: .jar and .aar."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Container, Mapping

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a .zip can hold


VERSION = zlib.ZLIB_RUNTIME_VERSION  # which decides how compressed bytes look


def archive(files: Mapping[str, bytes], stored: Container[str] = ()) -> bytes:
    """The files as one archive, in their order, compressed but for those that are to be `stored`."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as out:
        for name, data in files.items():
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system = 3  # Unix, whatever the machine
            info.external_attr = 0o100644 << 16
            info.compress_type = zipfile.ZIP_STORED if name in stored else zipfile.ZIP_DEFLATED
            out.writestr(info, data, compresslevel=9)
    return stream.getvalue()
