"""Recognises products of what a DynamicQuantizeLinear makes, as ONNX Runtime's dynamic quantisation writes them.

    Cast<float>(MatMulInteger(q, w, z, zw)) * (r * s)   ->   TensorQuantMatMul(x, w, zw, s)

where q, r, z = DynamicQuantizeLinear(x), w [k, n] and zw are constants, w - zw fits int8 or zw is one number, and s
is a constant with one number, or one a column. The right side is a function of such nodes, which lowering knows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgeort.passes.context import PassContext
from edgeort.passes.edit import add_constant, constant, integer, is_op, new_node, only_user, operand, rank, replace_node
from edgeort.passes.functions import composite
from edgeort.passes.quantised import HIGH, LOW, UNSIGNED_BIAS

_MOST = (2**31 - 1) // (2 * UNSIGNED_BIAS - 1) ** 2  # products that a sum of int32 holds


@dataclass(frozen=True)
class _Match:
    last: ir.Node  # the product's last node
    x: ir.Value
    scales: np.ndarray  # float32, [] or [n]


def recognise_dynamic_products(model: ir.Model, ctx: PassContext) -> int:
    """Rewrites the main graph; returns how many products it recognised."""
    count = 0
    for node in list(model.graph):
        found = _match(node) if is_op(node, "MatMulInteger") else None
        if found is None:
            continue
        weights = _weights(node)
        if isinstance(weights, str):
            ctx.refuse("recognise_dynamic_products", node, weights)
            continue
        columns = weights[0].shape[1]
        if found.scales.size not in (1, columns):
            continue
        arrays = (*weights, np.broadcast_to(found.scales, columns))
        inputs = [add_constant(model.graph, array, f"{node.name}_operand") for array in arrays]
        domain = composite(model, "TensorQuantMatMul")
        stem = f"{node.name}_dynamic"
        made = new_node(model.graph, "TensorQuantMatMul", [found.x, *inputs], stem=stem, domain=domain)
        replace_node(model.graph, found.last, made)
        count += 1
    return count


def _match(node: ir.Node) -> _Match | None:
    """The product that a MatMulInteger begins."""
    q, zero = operand(node, 0), operand(node, 2)
    source = None if q is None else q.producer()
    if source is None or not is_op(source, "DynamicQuantizeLinear") or q is not source.outputs[0]:
        return None
    cast = only_user(node.outputs[0])
    if zero is not source.outputs[2] or not is_op(cast, "Cast"):
        return None
    assert cast is not None
    product = only_user(cast.outputs[0])
    if integer(cast, "to", 0) != ir.DataType.FLOAT.value or product is None or not is_op(product, "Mul"):
        return None
    factor = next((value for value in product.inputs if value is not cast.outputs[0]), None)
    x = source.inputs[0]
    scales = None if factor is None else _scales(factor.producer(), source.outputs[1])
    if scales is None or x is None or scales.ndim > (rank(x) or 1):  # these would give the result more dimensions
        return None
    return _Match(product, x, scales.reshape(-1 if scales.size > 1 else ()))


def _scales(node: ir.Node | None, of_tensor: ir.Value) -> np.ndarray | None:
    """The constant that `node` multiplies the tensor's scale by, one number, or one a column."""
    if node is None or not is_op(node, "Mul") or of_tensor not in node.inputs:
        return None
    known = next((array for value in node.inputs if (array := constant(value)) is not None), None)
    if known is None or known.dtype != np.float32:
        return None
    return known if known.size == 1 or known.size == known.shape[-1] else None


def stored(weight: np.ndarray, zero: np.ndarray) -> tuple[np.ndarray, int] | None:
    """int8 [k, n] and a number that together are weights of 8 bits less their zero points; None where none are."""
    numbers = weight.astype(np.int32) - zero.astype(np.int32).reshape(-1)
    if numbers.min(initial=0) >= LOW and numbers.max(initial=0) <= HIGH:
        return numbers.astype(np.int8), 0
    if zero.size > 1:
        return None
    middle = UNSIGNED_BIAS if weight.dtype == np.uint8 else 0
    return (weight.astype(np.int32) - middle).astype(np.int8), middle - int(zero.reshape(()))


def _weights(node: ir.Node) -> tuple[np.ndarray, np.ndarray] | str:
    """The weights [k, n] and their zero points, or why the product stays as it is."""
    weight, points = constant(operand(node, 1)), operand(node, 3)
    if weight is None or weight.ndim != 2:
        return "its weights are no constant matrix"
    zero = np.zeros((), weight.dtype) if points is None else constant(points)
    if zero is None or zero.size not in (1, weight.shape[1]):
        return "the zero points of its weights are no constants"
    if len(weight) > _MOST:
        return f"its sums of {len(weight)} products may not fit int32"
    return (weight, zero) if stored(weight, zero) is not None else "its weights less their zero points do not fit int8"
