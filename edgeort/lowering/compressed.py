"""How the constant weights of float32 products lie in a plan: in the fewest bits that give the very same numbers.

    4 or 8 bits   (q - zero) * scale, a scale and a zero point for each column of a block of rows: DequantizeLinear
    16 bits       where every weight is a float16
    32 bits       all others

Panels of compressed weights (runtime/kernels/gemm/compressed.h) are [panel, block, row of the block, PANEL]; of 4 bits,
a byte is two rows, the first in the low bits. Rows that fill up the last block are never read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgeort.lowering import layout
from edgeort.lowering.context import Lowering
from edgeort.lowering.typed import CODES
from edgeort.passes.quantised import Constant

Arrange = Callable[[np.ndarray], Sequence[np.ndarray]]  # from a node's weights to a matrix [k, n] for each group

_PAIRS, _INT8, FLOAT16 = CODES["u8"], CODES["i8"], CODES["f16"]
_BITS, _MIDDLE = 4, 8  # of integers 0 to 15
_LEAST, _MOST = -128, 127


@dataclass(frozen=True)
class Panels:
    """Packed weights as plan tensors: `inputs` follow those that every product has. `prefix`: of the kernel's name."""

    prefix: str
    weights: int
    inputs: list[int]


@dataclass(frozen=True)
class _Blocks:
    """Weights (q - zero) * scale: q int32 [k, n], scale and zero [blocks, n] of `rows` rows each."""

    q: np.ndarray
    scale: np.ndarray
    zero: np.ndarray  # int8
    rows: int
    code: int  # of their type in the plan

    @property
    def is_plain(self) -> bool:
        """Whether all zero points are those that need no saying."""
        return bool((self.zero == (_MIDDLE if self.code == _PAIRS else 0)).all())

    def packed(self) -> np.ndarray:
        """[panel, block, row of the block or pair of rows, PANEL]."""
        whole = np.zeros((len(self.scale) * self.rows, self.q.shape[1]), np.uint8 if self.code == _PAIRS else np.int8)
        whole[: len(self.q)] = self.q
        made = panels(whole).reshape(-1, len(self.scale), self.rows, layout.PANEL)
        return made if self.code == _INT8 else made[:, :, ::2] | made[:, :, 1::2] << _BITS


def is_small(weight: np.ndarray, source: Constant | None, arrange: Arrange) -> bool:
    """Whether `pack` compresses those weights."""
    if not weight.size:
        return False
    return (source is not None and _blocks(source, arrange) is not None) or all(map(is_half, arrange(weight)))


def pack(ctx: Lowering, name: str, weight: np.ndarray, source: Constant | None, arrange: Arrange) -> Panels:
    """The weights of one product, and of each of its groups where it has some; `source`: what dequantises them."""
    matrices = arrange(weight)
    blocks = None if source is None else _blocks(source, arrange)
    if blocks is not None:
        code, plain = blocks[0].code, all(part.is_plain for part in blocks)
        tensors = [
            ctx.weights(f"{name}.packed", np.concatenate([part.packed() for part in blocks]), code),
            ctx.weights(f"{name}.scale", np.concatenate([panels(part.scale) for part in blocks])),
            -1 if plain else ctx.weights(f"{name}.zero", np.concatenate([panels(part.zero) for part in blocks]), _INT8),
        ]
        return Panels("Compressed", tensors[0], tensors[1:])
    if all(is_half(part) for part in matrices):
        halves = np.concatenate([panels(part)[:, None] for part in matrices]).astype(np.float16)
        return Panels("Compressed", ctx.weights(f"{name}.packed", halves, FLOAT16), [-1, -1])
    packed = np.concatenate([panels(part).reshape(-1) for part in matrices])
    return Panels("", ctx.weights(f"{name}.packed", packed), [])


def panels(matrix: np.ndarray) -> np.ndarray:
    """[k, n] -> [ceil(n / PANEL), k, PANEL]; columns beyond n are zero, and -0 is +0, which no sum shows."""
    k, n = matrix.shape
    padded = np.zeros((k, -(-n // layout.PANEL) * layout.PANEL), matrix.dtype)
    padded[:, :n] = matrix + matrix.dtype.type(0)
    return np.ascontiguousarray(padded.reshape(k, -1, layout.PANEL).transpose(1, 0, 2))


def is_half(matrix: np.ndarray) -> bool:
    """Whether every number is a float16; the first row says for most that they are not."""
    with np.errstate(over="ignore"):
        return all(np.array_equal(part.astype(np.float16).astype(np.float32), part) for part in (matrix[:1], matrix))


def _blocks(source: Constant, arrange: Arrange) -> list[_Blocks] | None:
    """The quantised form of each group, all of one size of block and one number of bits; None where there is none."""
    scales = [part.astype(np.float32) for part in arrange(np.broadcast_to(source.scales, source.integers.shape))]
    integers = arrange(source.integers)
    k = len(integers[0])
    for rows in dict.fromkeys(min(size, k) for size in (k, source.block or k) if size):
        firsts = [scale[::rows] for scale in scales]
        if all(np.array_equal(np.repeat(a, rows, axis=0)[:k], b) for a, b in zip(firsts, scales, strict=True)):
            return _in_bits(integers, firsts, rows)
    return None


def _in_bits(integers: Sequence[np.ndarray], scales: Sequence[np.ndarray], rows: int) -> list[_Blocks] | None:
    """In 4 bits where 0 and all integers of a column of a block span no more, else in 8; None where those are few."""
    starts = np.arange(0, len(integers[0]), rows)
    least = [np.minimum.reduceat(part, starts, axis=0).clip(max=0) for part in integers]
    most = [np.maximum.reduceat(part, starts, axis=0) for part in integers]
    for code, low, high in ((_PAIRS, 0, 2**_BITS - 1), (_INT8, _LEAST, _MOST)):
        middle = _MIDDLE if code == _PAIRS else 0
        plain = all((a >= low - middle).all() and (b <= high - middle).all() for a, b in zip(least, most, strict=True))
        zeros = [np.full_like(a, middle) if plain else low - a for a in least]
        fits = all((b - a <= high - low).all() for a, b in zip(least, most, strict=True))
        fits = fits and all((zero >= _LEAST).all() and (zero <= _MOST).all() for zero in zeros)
        if fits and (code == _INT8 or rows % 2 == 0):
            return [
                _Blocks(part + np.repeat(zero, rows, axis=0)[: len(part)], scale, zero.astype(np.int8), rows, code)
                for part, scale, zero in zip(integers, scales, zeros, strict=True)
            ]
    return None
