"""Weights and biases of convolutions that the model computes: the runtime packs them, by moving elements.

Of each group, rows and columns of the product are brought into panels as lowering/matrix.py packs constants.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from edgeort.lowering import layout
from edgeort.lowering.context import F32, Lowering, unsupported
from edgeort.lowering.move import axis_params, integer_list
from edgeort.lowering.params import PARAMS


def weight_shape(node: ir.Node) -> tuple[int, ...]:
    """The shape of the weights; an UnsupportedError where it is not known."""
    shape = node.inputs[1].shape  # type: ignore[union-attr]
    if shape is None or not shape.is_static():
        raise unsupported(node, "the shape of its computed weights is unknown")
    return tuple(dim for dim in shape if isinstance(dim, int))


def conv_weights(ctx: Lowering, node: ir.Node, groups: int) -> int:
    """Weights [out, in / groups, *kernel] in panels of rows [tap, in]."""
    out, per_group, *kernel = weight_shape(node)
    taps, n = int(np.prod(kernel)), out // groups
    split = _reshape(ctx, node, ctx.value(node.inputs[1]), [groups, n, per_group, taps])
    rows = _transpose(ctx, node, split, [0, 3, 2, 1])
    return _panels(ctx, node, rows, groups, taps * per_group, n)


def conv_transpose_weights(ctx: Lowering, node: ir.Node, groups: int, along_x: int) -> int:
    """Weights [in, out / groups, *kernel] in panels of rows [tap, in] and columns [x, out]."""
    channels, n, *kernel = weight_shape(node)
    taps, per_group = int(np.prod(kernel)) // along_x, channels // groups
    split = _reshape(ctx, node, ctx.value(node.inputs[1]), [groups, per_group, n, taps, along_x])
    rows = _transpose(ctx, node, split, [0, 3, 1, 4, 2])
    return _panels(ctx, node, rows, groups, taps * per_group, along_x * n)


def bias(ctx: Lowering, node: ir.Node, groups: int, n: int, times: int = 1) -> int:
    """A bias of n values a group, padded to whole panels; `times` as often where columns are several outputs."""
    zero = ctx.weights(f"{node.name}.zero", np.zeros(1, np.float32))
    positive = ctx.plan.activation(f"{node.name}.bias")  # no -0, as in constants
    ctx.emit("Add", node, inputs=[ctx.value(node.inputs[2]), zero], outputs=[positive])
    rows = _reshape(ctx, node, positive, [groups, n])
    if times > 1:
        tiled = ctx.plan.activation(f"{node.name}.tiled")
        ctx.emit("Tile", node, inputs=[rows, integer_list(ctx, node, "times", [1, times])], outputs=[tiled])
        rows = tiled
    return _reshape(ctx, node, _whole_panels(ctx, node, rows, 2, n * times), [-1])


def _panels(ctx: Lowering, node: ir.Node, rows: int, groups: int, k: int, n: int) -> int:
    whole = _whole_panels(ctx, node, _reshape(ctx, node, rows, [groups, k, n]), 3, n)
    split = _reshape(ctx, node, whole, [groups, k, -(-n // layout.PANEL), layout.PANEL])
    return _reshape(ctx, node, _transpose(ctx, node, split, [0, 2, 1, 3]), [-1])


def _whole_panels(ctx: Lowering, node: ir.Node, tensor: int, rank: int, n: int) -> int:
    """Zeros behind the n entries of the last axis, up to a multiple of PANEL."""
    out = ctx.plan.activation(f"{node.name}.padded", F32)
    pads = integer_list(ctx, node, "pads", [0] * (2 * rank - 1) + [-n % layout.PANEL])
    ctx.emit("Pad", node, axis_params(flag=0), inputs=[tensor, pads], outputs=[out])
    return out


def _reshape(ctx: Lowering, node: ir.Node, tensor: int, shape: Sequence[int]) -> int:
    out = ctx.plan.activation(f"{node.name}.reshaped", F32)
    ctx.emit(
        "Reshape", node, axis_params(flag=0), inputs=[tensor, integer_list(ctx, node, "shape", shape)], outputs=[out]
    )
    return out


def _transpose(ctx: Lowering, node: ir.Node, tensor: int, perm: Sequence[int]) -> int:
    out = ctx.plan.activation(f"{node.name}.transposed", F32)
    params = PARAMS["ListParams"].pack(count=len(perm), values=perm)
    ctx.emit("Transpose", node, params, inputs=[tensor], outputs=[out])
    return out
