"""com.microsoft MatMulNBits: a product by a constant matrix of 4 or 8 bits in blocks along k.

    y = x W^T + bias      W[n, k] = (q[n, k] - zero_point[n, k / block_size]) * scale[n, k / block_size]

q is packed along k, the first number in the lowest bits, each block in whole bytes; so are zero points of uint8, each
row in whole bytes; those of a float type are as they are, and without any they are half of the range. g_idx [k] says
the block of each k where it is not k / block_size. With accuracy_level 4 x may become int8 in the same blocks, and does
where zero points are integers and no g_idx is given (ONNX Runtime, ContribOperators.md).
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeort.lowering import compressed, qblocks
from edgeort.lowering.context import Group, Lowering, integer, unsupported
from edgeort.lowering.matrix import emit_product, padded_bias
from edgeort.passes.edit import operand
from edgeort.passes.quantised import Constant

DOMAIN, NAME = "com.microsoft", "MatMulNBits"
_BITS = (4, 8)
_INT8 = 4  # the accuracy level at which rows may become bytes


def matmul_nbits(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """The product, with the group's program."""
    packed, scale = (ctx.constant(operand(node, index)) for index in (1, 2))
    if packed is None or scale is None:
        raise unsupported(node, "its weights and scales must be constants")
    k, n, bits, block = (integer(node, name, 0) for name in ("K", "N", "bits", "block_size"))
    bits = bits or _BITS[0]
    blocks = -(-k // max(block, 1))
    if bits not in _BITS or block < 1 or packed.size * 8 != n * blocks * block * bits or scale.size != n * blocks:
        raise unsupported(node, f"{packed.size} bytes are no {n} x {k} weights of {bits} bits in blocks of {block}")
    q = _unpacked(packed.reshape(-1), bits).reshape(n, -1)[:, :k].T
    zero = _zero_points(ctx, node, (n, blocks), bits).T
    source = Constant(q, zero.astype(np.int32), scale.reshape(n, blocks).T.astype(np.float32), 0, block)
    order = ctx.constant(operand(node, 4))
    plain = zero.dtype.kind != "f" and (order is None or np.array_equal(order, np.arange(k) // block))
    rows = np.arange(k) // block if order is None else order
    given, bias = operand(node, 5), -1
    if given is not None:
        numbers = ctx.constant(given)
        if numbers is None:
            raise unsupported(node, "its bias must be constant")
        bias = ctx.weights(f"{node.name}.bias", padded_bias(numbers.reshape(-1), n))
    if plain and integer(node, "accuracy_level", 0) == _INT8 and qblocks.can_be(block):
        qblocks.product(ctx, node, group, qblocks.Blocks(q, zero, source.scale, block, bits), bias)
        return
    weight = source.numbers if plain else (q - zero.astype(np.float32)[rows]) * source.scale[rows]
    name = str(node.inputs[1].name)  # type: ignore[union-attr]
    panels = compressed.pack(ctx, name, weight, source if plain else None, lambda w: [w])
    emit_product(ctx, node, group, ctx.value(node.inputs[0]), panels, bias, alpha=1.0, packed=1, k=k, n=n)


def _unpacked(data: np.ndarray, bits: int) -> np.ndarray:
    """Bytes -> the numbers of so many bits in them, uint8 [bytes, 8 / bits]."""
    return data[:, None] >> np.arange(0, 8, bits, dtype=np.uint8) & np.uint8(2**bits - 1)


def _zero_points(ctx: Lowering, node: ir.Node, shape: tuple[int, int], bits: int) -> np.ndarray:
    """[n, blocks]: integers, or numbers where the model has such."""
    value = operand(node, 3)
    if value is None:
        return np.full(shape, 2 ** (bits - 1), np.int32)
    given = ctx.constant(value)
    if given is None:
        raise unsupported(node, "its zero points must be constant")
    if given.dtype == np.uint8:
        rows = _unpacked(given.reshape(-1), bits).reshape(shape[0], -1)
        return rows[:, : shape[1]].astype(np.int32)
    return given.reshape(shape).astype(np.float32)
