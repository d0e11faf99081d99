"""Weights of four bits, in blocks: `size` weights of an output in a row have a scale s, and may have a zero point z.

    w = (q - z) s             q, z in 0..15 (uint4), or q in -8..7 and z = 0 (int4)

(Dettmers and Zettlemoyer 2023, "The case for 4-bit precision", have blocks; the range of a block is that of the least
squared error, as in ranges.py.) An error of a weight counts as much as its input is large, where that is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgeort.quantize import gptq

BLOCK = 32  # weights, unless asked for another size
LEVELS = 15
SIZES = (16, 32, 64, 128, 256)  # that ONNX Runtime has kernels for
SHRINK = np.linspace(1.0, 0.6, 17)  # times a block's extremes, as they are tried
_TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Grid:
    """The numbers that weights [outputs, d] may take. `scales` float32 and `zeros` int8 are [outputs, blocks]."""

    size: int
    d: int
    scales: np.ndarray
    zeros: np.ndarray
    signed: bool

    @property
    def dtype(self) -> np.dtype:
        """Of the integers and the zero points."""
        return (ir.DataType.INT4 if self.signed else ir.DataType.UINT4).numpy()

    @property
    def least(self) -> int:
        """The lowest integer."""
        return -(LEVELS + 1) // 2 if self.signed else 0

    def spread(self, per_block: np.ndarray) -> np.ndarray:
        """[outputs, d] of what there is one a block of."""
        return np.repeat(per_block, self.size, axis=1)[:, : self.d]

    def round(self, rows: np.ndarray, covariance: np.ndarray | None = None) -> np.ndarray:
        """int8 [outputs, d], q of the weights `rows`: by GPTQ where inputs of that `covariance` [d, d] are known."""
        zeros, scales = self.spread(self.zeros), self.spread(self.scales)
        low, high = self.least - zeros, self.least + LEVELS - zeros
        if covariance is None:
            return np.clip(np.rint(rows / scales), low, high).astype(np.int8) + zeros
        found = gptq.round_weights(rows[np.newaxis], scales[np.newaxis], covariance[np.newaxis], (low, high))
        return np.asarray(found[0] + zeros)

    def numbers(self, integers: np.ndarray) -> np.ndarray:
        """float32 [outputs, d], the weights that integers stand for."""
        return np.asarray((integers - self.spread(self.zeros)) * self.spread(self.scales), np.float32)


def search(rows: np.ndarray, size: int, importance: np.ndarray | None = None) -> Grid:
    """The grid of the least squared error for the weights `rows` [outputs, d], signed or not.

    `importance` [d] is the mean square of each weight's input.
    """
    return min((fit(rows, size, signed, importance) for signed in (True, False)), key=lambda found: found[1])[0]


def fit(rows: np.ndarray, size: int, signed: bool, importance: np.ndarray | None = None) -> tuple[Grid, float]:
    """The best grid of a kind, and its squared error, which `importance` weighs."""
    outputs, d = rows.shape
    padding = -d % size
    w = np.pad(rows.astype(np.float32), ((0, 0), (0, padding))).reshape(outputs, -1, size)
    weighing = np.pad(np.ones(d) if importance is None else importance + _TINY, (0, padding)).astype(np.float32)
    weighing = weighing.reshape(-1, size)
    least = np.full(w.shape[:2], np.inf, np.float32)
    best_scale, best_zero = np.ones(w.shape[:2], np.float32), np.zeros(w.shape[:2], np.float32)
    for scale, zero in _candidates(w, signed):
        low = -(LEVELS + 1) // 2 if signed else -zero[..., np.newaxis]
        q = np.clip(np.rint(w / scale[..., np.newaxis]), low, low + LEVELS)
        dot, square = (w * q * weighing).sum(axis=2), (q * q * weighing).sum(axis=2)
        scale = np.where(dot > 0, dot / np.maximum(square, _TINY), scale)  # the best for these integers
        error = ((q * scale[..., np.newaxis] - w) ** 2 * weighing).sum(axis=2)
        better = error < least
        least[better], best_scale[better], best_zero[better] = error[better], scale[better], zero[better]
    grid = Grid(size, d, best_scale, best_zero.astype(np.int8), signed)
    return grid, float(least.sum(dtype=np.float64))


def _candidates(w: np.ndarray, signed: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Scales and zero points [outputs, blocks] for the weights [outputs, blocks, size]."""
    low, high = np.minimum(w.min(axis=2), 0), np.maximum(w.max(axis=2), 0)
    span = 2 * np.maximum(-low, high) if signed else high - low
    for factor in SHRINK.astype(np.float32):
        scale = factor * span / LEVELS
        scale = np.where(scale > _TINY, scale, 1).astype(np.float32)
        zero = np.zeros_like(scale) if signed else np.clip(np.rint(-factor * low / scale), 0, LEVELS)
        yield scale, zero
