"""Writes operators on quantised operands as the float operator between DequantizeLinear and QuantizeLinear.

    QLinearConv(x, sx, zx, w, sw, zw, sy, zy, b)   ->   QuantizeLinear(Conv(DQ(x), DQ(w), DQ(b)), sy, zy)
    QLinearMatMul(a, sa, za, b, sb, zb, sy, zy)    ->   QuantizeLinear(MatMul(DQ(a), DQ(b)), sy, zy)

The scale of the bias b, int32, is sx sw. ONNX defines the operators so, but for the roundings of float32.
"""

from __future__ import annotations

import onnx_ir as ir

from edgeort.passes.context import PassContext
from edgeort.passes.edit import add_constant, constant, dims, is_op, new_node, operand, opset, rank, replace_node


def split_qlinear(model: ir.Model, ctx: PassContext) -> int:
    """Rewrites the main graph; returns how many operators it split."""
    count = 0
    for node in list(model.graph):
        if not is_op(node, "QLinearConv", "QLinearMatMul"):
            continue
        if any(rank(node.inputs[i]) not in (0, 1) for i in (1, 4)):
            ctx.refuse("split_qlinear", node, "it has a scale for each row")
        elif opset(model) < 13 and not _single(node.inputs[4]):
            ctx.refuse("split_qlinear", node, "DequantizeLinear has one scale for each channel from opset 13 on")
        else:
            _split(model.graph, node)
            count += 1
    return count


def _split(graph: ir.Graph, node: ir.Node) -> None:
    a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero = node.inputs[:8]
    convolution = node.op_type == "QLinearConv"
    operands: list[ir.Value | None] = [
        _restored(graph, node, a, a_scale, a_zero, 0),
        _restored(graph, node, b, b_scale, b_zero, 0 if convolution else -1),
    ]
    bias = operand(node, 8)
    if bias is not None:
        operands.append(_restored(graph, node, bias, _product(graph, node, b_scale, a_scale), None, 0))
    product = new_node(
        graph, node.op_type.removeprefix("QLinear"), operands, node.attributes, stem=f"{node.name}_product"
    )
    out = node.outputs[0]
    product.outputs[0].type, product.outputs[0].shape = ir.TensorType(ir.DataType.FLOAT), out.shape
    graph.insert_before(node, product)
    replace_node(
        graph, node, new_node(graph, "QuantizeLinear", [product.outputs[0], y_scale, y_zero], stem=f"{node.name}")
    )


def _product(graph: ir.Graph, node: ir.Node, b_scale: ir.Value | None, a_scale: ir.Value | None) -> ir.Value:
    """The scale of the bias; a constant where both are, as a layer runs in int8 only with a bias that is known."""
    stem, b, a = f"{node.name}_bias_scale", constant(b_scale), constant(a_scale)
    if a is not None and b is not None:
        return add_constant(graph, b * a, stem)
    scale = new_node(graph, "Mul", [b_scale, a_scale], stem=stem)
    scale.outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
    scale.outputs[0].shape = None if b_scale is None else b_scale.shape
    graph.insert_before(node, scale)
    return scale.outputs[0]


def _restored(
    graph: ir.Graph, node: ir.Node, value: ir.Value | None, scale: ir.Value | None, zero: ir.Value | None, axis: int
) -> ir.Value:
    assert value is not None
    attributes = {} if _single(scale) else {"axis": axis}
    inputs = [value, *(_scalar(graph, node, v) if _single(scale) else v for v in (scale, zero) if v is not None)]
    restore = new_node(graph, "DequantizeLinear", inputs, attributes, stem=f"{value.name}_restored")
    restore.outputs[0].type, restore.outputs[0].shape = ir.TensorType(ir.DataType.FLOAT), value.shape
    graph.insert_before(node, restore)
    return restore.outputs[0]


def _single(scale: ir.Value | None) -> bool:
    return scale is not None and (rank(scale) == 0 or dims(scale) == [1])


def _scalar(graph: ir.Graph, node: ir.Node, value: ir.Value) -> ir.Value:
    """A value of one element without axes, as DequantizeLinear wants it before opset 13."""
    if rank(value) == 0:
        return value
    array = constant(value)
    if array is not None:
        return add_constant(graph, array.reshape(()), f"{value.name}_scalar")
    squeeze = new_node(graph, "Squeeze", [value], stem=f"{value.name}_scalar", like=value)
    squeeze.outputs[0].shape = ir.Shape([])
    graph.insert_before(node, squeeze)
    return squeeze.outputs[0]
