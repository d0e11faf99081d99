"""WordPiece, as BERT defines it, by the runtime's own tokenizer (runtime/text/wordpiece.cc) through ctypes."""

from __future__ import annotations

import ctypes as c
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgeort import device_profiles, toolchain
from edgeort.bundle import looks_like_bundle, open_bundle
from edgeort.errors import InputError

if TYPE_CHECKING:
    import numpy as np

MAX_LENGTH = 512  # BERT's
_ERROR_BYTES = 512


class WordPiece:
    """A tokenizer with a vocabulary. May be used from several threads."""

    def __init__(
        self, vocabulary: str | os.PathLike[str], *, cased: bool = False, max_length: int = MAX_LENGTH
    ) -> None:
        """Opens a vocab.txt, a token a line, or that of a bundle, which knows whether it is `cased`.

        `max_length` counts [CLS] and [SEP]. Raises InputError, BundleError, ToolchainError.
        """
        self._words: int | None = None
        if max_length < 2:
            raise InputError(f"max_length is {max_length}; [CLS] and [SEP] are two")
        self.max_length = max_length
        path = Path(vocabulary)
        if looks_like_bundle(path):
            self._bundle = open_bundle(path)  # kept: its files may be unpacked for as long as it lives
            about = self._bundle.manifest.tokenizer
            if about is None:
                raise InputError(f"{path}: the bundle has no vocabulary", hint="edgeort build ... --vocab vocab.txt")
            path, cased = self._bundle.folder / about["vocabulary"], about["cased"]
        self._lib = _library()
        reason = c.create_string_buffer(_ERROR_BYTES)
        self._words = self._lib.edgeort_wordpiece_open(os.fsencode(path), int(cased), reason)
        if not self._words:
            raise InputError(reason.value.decode(errors="replace"))
        self._padding = max(0, self.token_id("[PAD]"))

    def __del__(self) -> None:
        if self._words:
            self._lib.edgeort_wordpiece_close(self._words)
            self._words = None

    def token_id(self, token: str) -> int:
        """The id of a token, or -1."""
        return int(self._lib.edgeort_wordpiece_id(self._words, token.encode()))

    def encode(self, text: str) -> np.ndarray:
        """The ids of a text, int64 [n], between those of [CLS] and [SEP]; what is longer than `max_length` is cut."""
        import numpy as np

        raw = text.encode("utf-8", "surrogatepass")
        ids = np.empty(min(self.max_length, len(raw) + 2), np.int64)
        n = self._lib.edgeort_wordpiece_encode(self._words, raw, len(raw), ids.ctypes.data, len(ids))
        return ids[:n]

    def encode_batch(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """(input_ids, attention_mask), int64 [texts, length of the longest], padded with [PAD] and 0."""
        import numpy as np

        rows = [self.encode(text) for text in texts]
        ids = np.full((len(rows), max(map(len, rows), default=0)), self._padding, np.int64)
        mask = np.zeros_like(ids)
        for row, (out, marks) in zip(rows, zip(ids, mask, strict=True), strict=True):
            out[: len(row)], marks[: len(row)] = row, 1
        return ids, mask


def _library() -> c.CDLL:
    host = device_profiles.load("host").target
    lib = c.CDLL(str(toolchain.library(toolchain.target(host.os, host.arch), (), parts=(toolchain.TEXT,))))
    signatures = {
        "open": (c.c_void_p, (c.c_char_p, c.c_int, c.c_char_p)),
        "close": (None, (c.c_void_p,)),
        "encode": (c.c_int, (c.c_void_p, c.c_char_p, c.c_size_t, c.c_void_p, c.c_int)),
        "id": (c.c_int64, (c.c_void_p, c.c_char_p)),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(lib, f"edgeort_wordpiece_{name}")
        function.restype, function.argtypes = result, arguments
    return lib
