"""Zeroes the subnormal weights of products.

    Conv(x, w)      ->  Conv(x, w')      w' = w where |w| >= 2^-126, else 0; the same for ConvTranspose, Gemm and MatMul

Channels that training has given up decay to such weights, and a multiply-add that reads one takes a hundred times as
long on many CPUs. A sum of k products changes by less than k 2^-126 max |x|: where the largest weight is 2^-62 or
more, by less than k 2^-64 of what that one contributes for an x of equal magnitudes, far below the rounding of the
sum.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeort.passes.context import PassContext
from edgeort.passes.edit import constant, is_op, operand
from edgeort.passes.linear import LINEAR, replace_constant

_LEAST_NORMAL = np.finfo(np.float32).smallest_normal
_LARGE = np.float32(2.0**-62)


def zero_subnormals(model: ir.Model, ctx: PassContext) -> int:
    """Rewrites the main graph; returns how many nodes have new weights."""
    count = 0
    for node in model.graph:
        weight = constant(operand(node, 1)) if is_op(node, *LINEAR) else None
        if weight is None or weight.dtype != np.float32:
            continue
        size = np.abs(weight)
        subnormal = (size > 0) & (size < _LEAST_NORMAL)
        if not subnormal.any():
            continue
        if not size.max() >= _LARGE:
            ctx.refuse("zero_subnormals", node, "no weight is much larger than its subnormal ones")
            continue
        replace_constant(model.graph, node, 1, np.where(subnormal, np.float32(0), weight), "normal_weight")
        count += 1
    return count
