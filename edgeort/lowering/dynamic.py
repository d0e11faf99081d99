"""DynamicQuantMatMul and TensorQuantMatMul: products whose rows are quantised as the model runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgeort.lowering.bias import take_bias
from edgeort.lowering.context import Group, Lowering, unsupported
from edgeort.lowering.params import PARAMS
from edgeort.lowering.program import epilogue
from edgeort.lowering.quantised import padded, panels
from edgeort.lowering.typed import CODES
from edgeort.passes.recognise_dynamic_products import stored

MOST = (2**31 - 1) // (255 * 128)  # products that a sum of int32 holds


def product(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """Emits DynamicQGemm with the group's program; each row has a range of its own."""
    x, weight, scale = node.inputs
    integers, scales = ctx.constant(weight), ctx.constant(scale)
    if integers is None or scales is None or not ctx.is_f32(x):
        raise unsupported(node, "its weights and scales must be constants")
    _emit(ctx, node, group, _Weights(integers, scales, whole=False))


def tensor_product(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """The same of TensorQuantMatMul, with one range for all rows."""
    x, weight, zero, scale = node.inputs
    integers, points, scales = ctx.constant(weight), ctx.constant(zero), ctx.constant(scale)
    found = None if integers is None or points is None else stored(integers, points)
    if found is None or scales is None or not ctx.is_f32(x):
        raise unsupported(node, "its weights, zero points and scales must be constants that int8 holds")
    _emit(ctx, node, group, _Weights(found[0], scales, whole=True, shift=found[1]))


@dataclass(frozen=True)
class _Weights:
    integers: np.ndarray  # int8 [k, n]
    scales: np.ndarray  # float32 [n]
    whole: bool  # whether x has one range
    shift: int = 0  # what the integers are less than they mean


def _emit(ctx: Lowering, node: ir.Node, group: Group, weights: _Weights) -> None:
    integers, (k, n) = weights.integers, weights.integers.shape
    if k > MOST:
        raise unsupported(node, f"its sums of {k} products may not fit int32")
    bias, group = take_bias(ctx, group, n)
    header, code, operands = epilogue(ctx, group.tile, group.program, 5)
    wide = int(integers.min(initial=0) == -128)
    params = PARAMS["DynamicQGemmParams"].pack(
        k=k, n=n, wide=wide, whole=weights.whole, shift=weights.shift, epilogue=header
    )
    constants = [
        ctx.weights(f"{node.name}.weights", panels(integers[None]), CODES["i8"]),
        -1 if bias is None else ctx.weights(f"{node.name}.bias", padded(bias)),
        ctx.weights(f"{node.name}.sums", padded(integers.sum(axis=0, dtype=np.int32)), CODES["i32"]),
        ctx.weights(f"{node.name}.scale", padded(weights.scales), CODES["f32"]),
    ]
    inputs = [ctx.value(node.inputs[0]), *constants, *operands]
    ctx.emit("DynamicQGemm", node, params + code, inputs=inputs, outputs=[ctx.result(group.output)])
