"""DynamicQuantMatMul and TensorQuantMatMul: products whose rows are quantised as the model runs."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeort.lowering.bias import take_bias
from edgeort.lowering.context import Group, Lowering, unsupported
from edgeort.lowering.params import PARAMS
from edgeort.lowering.program import epilogue
from edgeort.lowering.quantised import padded, panels
from edgeort.lowering.typed import CODES

MOST = (2**31 - 1) // (255 * 128)  # products that a sum of int32 holds


def product(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """Emits DynamicQGemm with the group's program; each row has a range of its own."""
    _emit(ctx, node, group, whole=False)


def tensor_product(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """The same with one range for all rows."""
    _emit(ctx, node, group, whole=True)


def _emit(ctx: Lowering, node: ir.Node, group: Group, whole: bool) -> None:
    x, weight, scale = node.inputs
    integers, scales = ctx.constant(weight), ctx.constant(scale)
    if integers is None or scales is None or not ctx.is_f32(x):
        raise unsupported(node, "its weights and scales must be constants")
    k, n = integers.shape
    if k > MOST:
        raise unsupported(node, f"its sums of {k} products may not fit int32")
    bias, group = take_bias(ctx, group, n)
    header, code, operands = epilogue(ctx, group.tile, group.program, 5)
    wide = int(integers.min(initial=0) == -128)
    params = PARAMS["DynamicQGemmParams"].pack(k=k, n=n, wide=wide, whole=whole, epilogue=header)
    constants = [
        ctx.weights(f"{node.name}.weights", panels(integers[None]), CODES["i8"]),
        -1 if bias is None else ctx.weights(f"{node.name}.bias", padded(bias)),
        ctx.weights(f"{node.name}.sums", padded(integers.sum(axis=0, dtype=np.int32)), CODES["i32"]),
        ctx.weights(f"{node.name}.scale", padded(np.broadcast_to(scales, n)), CODES["f32"]),
    ]
    inputs = [ctx.value(x), *constants, *operands]
    ctx.emit("DynamicQGemm", node, params + code, inputs=inputs, outputs=[ctx.result(group.output)])
