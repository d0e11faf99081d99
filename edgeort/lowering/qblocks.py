"""BlockQGemm: products by weights of 4 or 8 bits in blocks along k, whose rows become bytes as the model runs.

Weights (runtime/kernels/qblocks/qblocks.h) are [panel, block, quad of four rows, column, row of the quad]: signed
bytes, or 0..15, of which two quads share bytes, the first in the low bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgeort.lowering import compressed, layout
from edgeort.lowering.context import Group, Lowering
from edgeort.lowering.params import PARAMS
from edgeort.lowering.program import epilogue
from edgeort.lowering.typed import CODES

_QUAD = 4
# Rows: the widest vectors make so many bytes at once, and the products of so many fit a sum of int32.
_LEAST_BLOCK, _MOST_BLOCK = 4 * _QUAD, 4096 * _QUAD


@dataclass(frozen=True)
class Blocks:
    """Weights (q - zero) * scale: q uint8 [k, n] of `bits` bits; zero, integers, and scale [blocks, n], of `rows` k."""

    q: np.ndarray
    zero: np.ndarray
    scale: np.ndarray
    rows: int
    bits: int

    def packed(self) -> np.ndarray:
        """See above: [panel, block, quad or pair of quads, bytes]."""
        (k, n), blocks, wide = self.q.shape, len(self.scale), -(-self.q.shape[1] // layout.PANEL)
        whole = np.zeros((blocks * self.rows, wide * layout.PANEL), np.uint8)
        whole[:k, :n] = self.q
        quads = whole.reshape(blocks, -1, _QUAD, wide, layout.PANEL).transpose(3, 0, 1, 4, 2)
        quads = np.ascontiguousarray(quads).reshape(wide, blocks, -1, layout.PANEL * _QUAD)
        return quads[:, :, ::2] | quads[:, :, 1::2] << 4 if self.bits == 4 else (quads ^ np.uint8(128)).view(np.int8)


def can_be(block: int) -> bool:
    """Whether there are kernels for blocks of so many rows."""
    return block % _LEAST_BLOCK == 0 and _LEAST_BLOCK <= block <= _MOST_BLOCK


def product(ctx: Lowering, node: ir.Node, group: Group, weights: Blocks, bias: int) -> None:
    """The product of input 0, with the group's program; bias: a tensor of the plan, or -1."""
    k, n = weights.q.shape
    middle, name = 2 ** (weights.bits - 1), str(node.inputs[1].name)  # type: ignore[union-attr]
    header, code, operands = epilogue(ctx, group.tile, group.program, 5)
    less = 0 if weights.bits == 4 else middle  # bytes are signed
    zeros = compressed.panels((weights.zero - less).astype(np.int8))
    constants = [
        ctx.weights(f"{name}.packed", weights.packed(), CODES["u8" if weights.bits == 4 else "i8"]),
        bias,
        ctx.weights(f"{name}.scale", compressed.panels(weights.scale)),
        -1 if (weights.zero == middle).all() else ctx.weights(f"{name}.zero", zeros, CODES["i8"]),
    ]
    params = PARAMS["BlockQGemmParams"].pack(k=k, n=n, epilogue=header)
    inputs = [ctx.value(node.inputs[0]), *constants, *operands]
    ctx.emit("BlockQGemm", node, params + code, inputs=inputs, outputs=[ctx.result(group.output)])
