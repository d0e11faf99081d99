"""Squeeze-and-excitation gates (Hu et al. 2018): they multiply a tensor by a number a channel and cost little.

    x -> GlobalAveragePool -> Conv -> Relu -> Conv -> Sigmoid -> g,     y = x * g

An error in g is one of every pixel of a channel, so their layers stay in float.
"""

from __future__ import annotations

import onnx_ir as ir

from edgeort.passes.edit import constant, is_op
from edgeort.quantize.layers import UNARY

POOLS = ("GlobalAveragePool", "ReduceMean", "GlobalMaxPool", "ReduceMax")
_LAYERS = ("Conv", "Gemm", "MatMul")
# fmt: off
_THROUGH = (
    *UNARY, "Add", "BatchNormalization", "Clip", "Concat", "Div", "Flatten", "Mul", "Relu", "Reshape", "Squeeze", "Sub",
    "Transpose", "Unsqueeze",
)
# fmt: on


def gate_layers(graph: ir.Graph) -> set[ir.Node]:
    """The layers that only compute gates."""
    return {layer for node in graph for layer in (_gate(node) or (None, ()))[1]}


def gates(graph: ir.Graph) -> dict[ir.Node, ir.Value]:
    """The products with a gate, and which of their operands it is."""
    return {node: found[0] for node in graph if (found := _gate(node)) is not None}


def _gate(node: ir.Node) -> tuple[ir.Value, set[ir.Node]] | None:
    """The gate that the node multiplies by, and its layers; None where it does not."""
    if not is_op(node, "Mul") or any(constant(value) is not None for value in node.inputs):
        return None
    sides = [
        (value, layers) for value in node.inputs if value is not None and (layers := _from_pools(value)) is not None
    ]
    return sides[0] if len(sides) == 1 else None


def _from_pools(value: ir.Value | None) -> set[ir.Node] | None:
    """The layers between pools and `value`, when nothing but pools and constants goes into it, else None."""
    layers: set[ir.Node] = set()
    seen: set[ir.Node] = set()
    pending, pooled = [value], False
    while pending:
        current = pending.pop()
        if current is None or constant(current) is not None:
            continue
        node = current.producer()
        if node is None or not is_op(node, *POOLS, *_LAYERS, *_THROUGH):
            return None
        if node in seen:
            continue
        seen.add(node)
        if is_op(node, *POOLS):
            pooled = True
            continue
        if is_op(node, *_LAYERS):
            layers.add(node)
        pending.extend(node.inputs)
    return layers if pooled else None
