"""The function of one number through which alone a tensor is read: x * sigmoid(x) behind a convolution, say.

A runtime stores the convolution's result in eight bits before it computes the function, so these bits should hold what
the function makes of them: nothing of what it makes equal.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from edgeort.ort import open_session
from edgeort.passes.edit import constant, is_op
from edgeort.quantize.layers import UNARY
from edgeort.quantize.ranges import Function
from edgeort.quantize.segments import model_of

MOST = 16  # nodes of a function
_ELEMENTWISE = (*UNARY, "Add", "Clip", "Div", "Exp", "Identity", "Max", "Min", "Mul", "Neg", "Pow", "Relu", "Sub")


def function_behind(value: ir.Value, opset: int) -> Function | None:
    """That of `value`, a float32 tensor of a float graph; None where something reads the tensor itself."""
    nodes, result = read_through(value)
    if result is value:
        return None
    session = open_session(model_of(nodes, [value], [result], opset), threads=1)

    def function(x: np.ndarray) -> np.ndarray:
        (found,) = session.run(None, {str(value.name): x.astype(np.float32)})
        return np.asarray(found, np.float64)

    return function


def read_through(value: ir.Value) -> tuple[list[ir.Node], ir.Value]:
    """The nodes of the longest such function, as they run, and its result; [] and `value` where there is none."""
    inside, known = list[ir.Node](), [value]
    found, result = list[ir.Node](), value
    while len(inside) < MOST and (node := next(_ready(inside, known), None)) is not None:
        inside.append(node)
        known.append(node.outputs[0])
        ends = [v for v in known if v.is_graph_output() or any(use.node not in inside for use in v.uses())]
        if ends == [node.outputs[0]]:
            found, result = list(inside), node.outputs[0]
    return found, result


def _ready(inside: list[ir.Node], known: list[ir.Value]) -> Iterator[ir.Node]:
    """The nodes that compute one number from numbers that are `known`, and are not `inside` yet."""
    for value in known:
        for use in value.uses():
            node = use.node
            if node not in inside and is_op(node, *_ELEMENTWISE) and all(_is_number(v, known) for v in node.inputs):
                yield node


def _is_number(value: ir.Value | None, known: list[ir.Value]) -> bool:
    if value is None or value in known:
        return True
    array = constant(value)
    return array is not None and array.size == 1
