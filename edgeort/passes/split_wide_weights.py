"""Makes a product of 8-bit inputs by 16-bit weights two products by 8-bit weights, which have kernels.

    Conv(x, DQ(w, s), b)   ->   Conv(x, DQ(low, s), b) + Conv(x, DQ(high, 256 s))

with DQ = DequantizeLinear, x = DQ(x8), w = 256 high + low and low in -128..127; Gemm and MatMul alike. The sums of both
are exact; their own sum is one of float32. The left side would run in float32, so that it pays where int8 is at least
`FASTER` times as fast. Depthwise convolutions stay: they multiply little, and float32 suits them.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeort.device_profiles.rates import macs_per_cycle
from edgeort.passes.context import PassContext
from edgeort.passes.edit import add_constant, integer, is_op, new_node, operand, replace_node
from edgeort.passes.quantised import HIGH, LOW, Constant, dequantized, dequantized_constant

FASTER = 4  # also enough that `lowering/where_int8.py` leaves no half to float32
_STEP = HIGH - LOW + 1


def split_wide_weights(model: ir.Model, ctx: PassContext) -> int:
    """Rewrites the main graph; returns how many products it split."""
    count = 0
    for node in list(model.graph):
        if not is_op(node, "Conv", "Gemm", "MatMul") or dequantized(node.inputs[0]) is None:
            continue
        weight = dequantized_constant(node.inputs[1])
        if weight is None or _fits(weight.integers):
            continue
        reason = _reason(node, weight, ctx)
        if reason is None:
            _split(model.graph, node, weight)
            count += 1
        else:
            ctx.refuse("split_wide_weights", node, reason)
    return count


def _reason(node: ir.Node, weight: Constant, ctx: PassContext) -> str | None:
    """Why the product stays in float32; None where two of int8 are better."""
    if not _fits(_high(weight.integers)):
        return "its weights are more than 256 times what eight bits hold"
    if ctx.profile is None:
        return "no device says that two products of int8 are faster"
    rates = macs_per_cycle(ctx.profile)
    if rates.int8 < FASTER * rates.float32:
        return f"two products of int8 pay where it is {FASTER} times as fast as float32 on the device"
    if is_op(node, "Conv") and weight.integers.shape[:2] == (integer(node, "group", 1), 1):
        return "it is depthwise"
    return None


def _fits(integers: np.ndarray) -> bool:
    """Whether int8 holds them."""
    return bool(integers.min(initial=0) >= LOW and integers.max(initial=0) <= HIGH)


def _high(integers: np.ndarray) -> np.ndarray:
    return np.asarray((integers - LOW) // _STEP)


def _split(graph: ir.Graph, node: ir.Node, weight: Constant) -> None:
    high, out = _high(weight.integers), node.outputs[0]
    scale = np.asarray(weight.scale, np.float32).reshape(-1 if weight.axis is not None else ())
    halves = {"high": (high, scale * np.float32(_STEP)), "low": (weight.integers - _STEP * high, scale)}
    made = []
    for name, (integers, steps) in halves.items():
        constants = [add_constant(graph, array, f"{node.name}_{name}") for array in (integers.astype(np.int8), steps)]
        axis = {} if weight.axis is None else {"axis": weight.axis}
        restore = new_node(graph, "DequantizeLinear", constants, axis, stem=f"{node.name}_{name}_restored")
        restore.outputs[0].type, restore.outputs[0].shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape(integers.shape)
        bias = [operand(node, 2)] if name == "low" and len(node.inputs) > 2 else []
        inputs = [node.inputs[0], restore.outputs[0], *bias]
        product = new_node(graph, node.op_type, inputs, node.attributes, stem=f"{node.name}_{name}_product", like=out)
        graph.insert_before(node, (restore, product))
        made.append(product.outputs[0])
    replace_node(graph, node, new_node(graph, "Add", made[::-1], stem=str(node.name), like=out))
