"""What goes to a harness that answers a stream, as runtime/harness/stream.h reads it.

A float32 input with 256 numbers at most in each channel, as pictures of 8 bits have them however they are scaled, can
be sent as bytes with a table of those numbers: a quarter of the size, and the same float32 again when it arrives.
"""

from __future__ import annotations

import struct

import numpy as np

from edgeort.bundle import golden

ARRAY, PALETTE, FAILED, OVER_RAM, SAMPLE = range(5)
MAGIC = 0x53524F45
HEAD = struct.Struct("<IIQ")  # magic, kind, bytes
TABLE = 256
LEAST_BYTES = 1 << 14  # of an array that is worth a table


class Encoder:
    """Arrays as frames. With `narrow`, tables where they do; they are kept from one array of an input to the next."""

    def __init__(self, channels_last: bool = False, *, narrow: bool = True) -> None:
        self._axis = 3 if channels_last else 1
        self._narrow = narrow
        self._tables: dict[tuple[int, int], np.ndarray] = {}  # of input and channel: float32, rising

    def frame(self, place: int, array: np.ndarray) -> bytes:
        """The array of the input at that place."""
        found = self._palette(place, array) if self._narrow else None
        kind, content = (ARRAY, golden.npy_bytes(array)) if found is None else (PALETTE, found)
        return HEAD.pack(MAGIC, kind, len(content)) + content

    def _palette(self, place: int, array: np.ndarray) -> bytes | None:
        """Tables and indices; None where a channel has too many numbers, or the array is small."""
        if array.dtype != np.float32 or array.nbytes < LEAST_BYTES:
            return None
        channels, inner = 1, 1
        if array.ndim == 4:
            channels, inner = array.shape[self._axis], int(np.prod(array.shape[self._axis + 1 :]))
        if channels * TABLE * 4 * 4 > array.nbytes:
            return None
        planes = np.ascontiguousarray(array).reshape(-1, channels, inner)
        tables, indices = np.zeros((channels, TABLE), np.float32), np.empty(planes.shape, np.uint8)
        for channel in range(channels):
            plane = np.ascontiguousarray(planes[:, channel])
            table = self._table(place, channel, plane)
            index = None if table is None else _indices(table, plane)
            if table is None or index is None:
                return None
            tables[channel, : table.size], indices[:, channel] = table, index
        head = struct.pack("<QQ", channels, inner) + tables.tobytes()
        return head + bytes(-len(head) % 64) + golden.npy_bytes(indices.reshape(array.shape))

    def _table(self, place: int, channel: int, plane: np.ndarray) -> np.ndarray | None:
        """The numbers of this plane and of those before it; None where they are too many."""
        known = self._tables.get((place, channel))
        if known is not None and _indices(known, plane) is not None:
            return known
        if np.unique(plane.reshape(-1)[: 4 * TABLE]).size > TABLE:
            return None
        own = np.unique(plane)
        both = own if known is None else np.union1d(known, own)
        table = both if both.size <= TABLE else own
        if table.size > TABLE:
            return None
        self._tables[place, channel] = table
        return table


def _indices(table: np.ndarray, plane: np.ndarray) -> np.ndarray | None:
    """Where each number stands in the table, uint8; None where one does not, by its bits."""
    bits = plane.view(np.uint32)
    span = float(table[-1]) - float(table[0])
    with np.errstate(invalid="ignore", over="ignore"):
        if table.size > 1 and 0 < span < np.inf:  # numbers at equal distances, such as scaled pixels, need no search
            places = (plane - table[0]) * np.float32((table.size - 1) / span) + np.float32(0.5)
            index = np.clip(places, 0, table.size - 1).astype(np.uint8)
            if np.array_equal(table.view(np.uint32)[index], bits):
                return index
        index = np.minimum(np.searchsorted(table, plane), table.size - 1).astype(np.uint8)
    return index if np.array_equal(table.view(np.uint32)[index], bits) else None
