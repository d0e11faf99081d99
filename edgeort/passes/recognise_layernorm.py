"""Recognises layer normalisation over the last axis that is spelt out in primitives; float32 only.

    d = x - ReduceMean<-1>(x)
    n = d / Sqrt(ReduceMean<-1>(d * d) + epsilon)            d * d, d ^ 2;  / Sqrt, * Reciprocal(Sqrt), * Pow(-1/2)
    y = n * scale + bias                                     both optional: ones and zeros
                                      ->   LayerNormalization<-1, epsilon>(x, scale, bias)     (Ba et al. 2016, eq. 3-4)

Below opset 17 the model-local function edgeort.LayerNorm of the same formula takes its place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgeort.passes import functions
from edgeort.passes.algebra import near, only_inside, scalar, shifted
from edgeort.passes.context import PassContext
from edgeort.passes.edit import (
    add_constant,
    constant,
    dims,
    integer,
    ints,
    is_op,
    new_node,
    only_user,
    operand,
    opset,
    rank,
    replace_node,
)


@dataclass
class Norm:
    """(x - mean) / sqrt(variance + epsilon), computed by `nodes`."""

    x: ir.Value
    epsilon: float
    nodes: list[ir.Node]


def recognise_layernorm(model: ir.Model, ctx: PassContext) -> int:
    """Rewrites the main graph front to back; returns how many formulas it replaced."""
    count = 0
    for node in list(model.graph):
        found = _read(node) if node.graph is not None else None
        if found is None:
            continue
        size = dims(found.x)[-1] if found.x.shape is not None and len(found.x.shape) else None
        if found.x.dtype != ir.DataType.FLOAT:
            ctx.refuse("recognise_layernorm", node, f"it normalises {found.x.dtype}, not float32")
        elif not isinstance(size, int):
            ctx.refuse("recognise_layernorm", node, "the size of the axis it normalises over is only known at run time")
        elif not only_inside(found.nodes, node.outputs[0]):
            ctx.refuse("recognise_layernorm", node, "a part of the layer normalisation it ends is used elsewhere too")
        else:
            _replace(model, node, found, size)
            count += 1
    return count


def _replace(model: ir.Model, node: ir.Node, found: Norm, size: int) -> None:
    graph, last, stem = model.graph, node, node.name or "layernorm"
    scale, last = _affine(last, "Mul", size, found.nodes)
    bias, last = _affine(last, "Add", size, found.nodes)
    gamma = add_constant(graph, np.ones(size, np.float32) if scale is None else scale, f"{stem}_scale")
    beta = add_constant(graph, np.zeros(size, np.float32) if bias is None else bias, f"{stem}_bias")
    attributes: dict[str, int | float] = {"epsilon": found.epsilon}
    if opset(model) >= 17:
        op_type, domain, attributes["axis"] = "LayerNormalization", "", -1
    else:
        op_type, domain = "LayerNorm", functions.composite(model, "LayerNorm")
    new = new_node(graph, op_type, [found.x, gamma, beta], attributes, stem=stem, domain=domain)
    replace_node(graph, last, new)
    rest = set(found.nodes) - {last}
    while spent := [n for n in rest if not any(out.uses() for out in n.outputs)]:
        graph.remove(spent, safe=True)
        rest.difference_update(spent)


def _affine(node: ir.Node, op_type: str, size: int, nodes: list[ir.Node]) -> tuple[np.ndarray | None, ir.Node]:
    """The constant of a Mul or Add after `node` with one number an element of the last axis, and the new last node."""
    user = only_user(node.outputs[0])
    if user is None or not is_op(user, op_type):
        return None, node
    for value in user.inputs:
        array = constant(value)
        if array is None or array.size not in (1, size) or array.shape[-1:] not in ((size,), (1,), ()):
            continue
        if array.ndim <= (rank(node.outputs[0]) or 1):
            nodes.append(user)
            return np.ascontiguousarray(np.broadcast_to(array.reshape(-1), (size,))), user
    return None, node


def _read(node: ir.Node) -> Norm | None:
    """The normalisation that `node` ends."""
    if is_op(node, "Div"):
        numerator, root = node.inputs[0], node.inputs[1]
        return _read_parts(node, numerator, root, inverse=False)
    if is_op(node, "Mul"):
        for index in (0, 1):
            found = _read_parts(node, node.inputs[index], node.inputs[1 - index], inverse=True)
            if found is not None:
                return found
    return None


def _read_parts(node: ir.Node, deviation: ir.Value | None, root: ir.Value | None, *, inverse: bool) -> Norm | None:
    subtract = None if deviation is None else deviation.producer()
    roots = _square_root(root, inverse)
    if subtract is None or not is_op(subtract, "Sub") or roots is None:
        return None
    x, mean = subtract.inputs[0], subtract.inputs[1]
    inside = shifted(roots[1])
    variance = _mean_of(inside.value)
    if x is None or mean is None or variance is None or not inside.nodes or inside.shift <= 0:
        return None
    squares = _squared(variance[0])
    means = _mean_of(mean)
    if squares is None or means is None or means[0] is not x:
        return None
    other = squares[0].producer()  # exporters may compute x - mean a second time for the variance
    if other is None or not is_op(other, "Sub") or other.inputs[0] is not x:
        return None
    again = None if other.inputs[1] is None else _mean_of(other.inputs[1])
    if again is None or again[0] is not x:
        return None
    nodes = [node, subtract, other, means[1], again[1], variance[1], *roots[0], *inside.nodes, *squares[1]]
    return Norm(x, inside.shift, list(dict.fromkeys(nodes)))


def _square_root(value: ir.Value | None, inverse: bool) -> tuple[list[ir.Node], ir.Value] | None:
    """The nodes of Sqrt(v), or of 1 / Sqrt(v) when `inverse`, and v."""
    node = None if value is None else value.producer()
    if node is None or not node.inputs or node.inputs[0] is None:
        return None
    if is_op(node, "Pow") and near(scalar(node.inputs[1]), -0.5 if inverse else 0.5):
        return [node], node.inputs[0]
    if not inverse:
        return ([node], node.inputs[0]) if is_op(node, "Sqrt") else None
    if is_op(node, "Reciprocal"):
        inner = _square_root(node.inputs[0], False)
    elif is_op(node, "Div") and near(scalar(node.inputs[0]), 1.0):
        inner = _square_root(node.inputs[1], False)
    else:
        return None
    return None if inner is None else ([node, *inner[0]], inner[1])


def _mean_of(value: ir.Value) -> tuple[ir.Value, ir.Node] | None:
    """What a ReduceMean over the last axis with keepdims averages, and the node."""
    node = value.producer()
    if node is None or not is_op(node, "ReduceMean") or not integer(node, "keepdims", 1) or node.inputs[0] is None:
        return None
    array = constant(operand(node, 1))
    axes = ints(node, "axes", ()) if array is None else [int(a) for a in array.reshape(-1)]
    full = rank(node.inputs[0])
    if axes == [-1] or (full is not None and axes == [full - 1]):
        return node.inputs[0], node
    return None


def _squared(value: ir.Value) -> tuple[ir.Value, list[ir.Node]] | None:
    """The operand of a square by Pow or Mul, and the node."""
    node = value.producer()
    if node is None or node.inputs[0] is None:
        return None
    if is_op(node, "Pow") and near(scalar(node.inputs[1]), 2.0):
        return node.inputs[0], [node]
    if is_op(node, "Mul") and node.inputs[0] is node.inputs[1]:
        return node.inputs[0], [node]
    return None
