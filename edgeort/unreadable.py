"""How NumPy and zipfile fail on files that are damaged, or made to harm; neither has one kind of error for it."""

from __future__ import annotations

import lzma
import struct
import tokenize
import zipfile
import zlib

UNREADABLE: tuple[type[Exception], ...] = (
    *(OSError, ValueError, EOFError, TypeError, LookupError, SyntaxError, RuntimeError, MemoryError, ArithmeticError),
    *(struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)
