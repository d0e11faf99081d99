"""One Clip for limits in a row: of Relu, Clip with constant limits, and Min and Max with one constant number.

    Clip(Clip(x, a, b), c, d)    ->  Clip(x, a', b')    a' = min(max(a, c), d), b' = min(max(b, c), d)
    Min(Max(x, a), b)            ->  Clip(x, min(a, b), b)
    Max(Min(x, b), a)            ->  Clip(x, a, max(a, b))

onnxscript's own rules (0.7) take max(a, c) and min(b, d), which is another function where the intervals have nothing in
common, and give x too few dimensions where the constant has more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

_FLOATS = frozenset({ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.DOUBLE})
_CLIP_WITH_INPUTS = 11  # the first opset


@dataclass(frozen=True)
class _Limits:
    """min(max(x, low), high), low <= high; infinite where there is no limit."""

    x: ir.Value
    low: float
    high: float

    def behind(self, inner: _Limits) -> _Limits:
        """Both, `inner` first."""
        low, high = (min(max(bound, self.low), self.high) for bound in (inner.low, inner.high))
        return _Limits(inner.x, low, high)


def merge_limits(model: ir.Model) -> ir.passes.PassResult:
    """Merges each with the one before it, where nothing else reads that; bodies of control flow included."""
    opset = model.opset_imports.get("", 1)
    merged = [_merge(node, opset) for graph in model.graphs() for node in list(graph)]
    return ir.passes.PassResult(model, any(merged))


def _merge(node: ir.Node, opset: int) -> bool:
    outer = _limits(node)
    before = None if outer is None else outer.x.producer()
    inner = None if before is None else _limits(before)
    if outer is None or before is None or inner is None:
        return False
    if before.graph is not node.graph or outer.x.is_graph_output() or len(outer.x.uses()) > 1:
        return False
    limits = outer.behind(inner)
    if limits.low == math.inf or limits.high == -math.inf:  # a limit, and none is how that would be written
        return False
    dtype = node.outputs[0].dtype
    assert dtype is not None  # of what has limits
    whole = _relu(limits) or _clip(limits, dtype.numpy(), opset)
    old, new = node.outputs[0], whole[-1].outputs[0]
    new.type, new.shape, new.name = old.type, old.shape, old.name
    graph = node.graph
    assert graph is not None
    ir.convenience.replace_nodes_and_values(graph, node, [node, before], whole, [old], [new])
    return True


def _limits(node: ir.Node) -> _Limits | None:
    x = node.inputs[0] if node.inputs else None
    if node.domain != "" or x is None or node.outputs[0].dtype not in _FLOATS:
        return None
    if node.op_type == "Relu":
        return _Limits(x, 0.0, math.inf)
    if node.op_type == "Clip":
        low, high = (_bound(node, *which) for which in ((1, "min", -math.inf), (2, "max", math.inf)))
        return None if low is None or high is None else _Limits(x, min(low, high), high)
    if node.op_type not in ("Min", "Max") or len(node.inputs) != 2:
        return None
    for x, other in (node.inputs, node.inputs[::-1]):
        number = _number(other)
        if x is not None and number is not None and _keeps_rank(x, other):
            return _Limits(x, number, math.inf) if node.op_type == "Max" else _Limits(x, -math.inf, number)
    return None


def _bound(node: ir.Node, index: int, name: str, default: float) -> float | None:
    value = node.inputs[index] if index < len(node.inputs) else None
    return node.attributes.get_float(name, default) if value is None else _number(value)


def _number(value: ir.Value | None) -> float | None:
    """Of a constant that is one number; not a NaN."""
    tensor = None if value is None or value.is_graph_input() else ir.convenience.get_const_tensor(value)
    number = math.nan if tensor is None or tensor.size != 1 else float(tensor.numpy().reshape(()))
    return None if math.isnan(number) else number


def _keeps_rank(x: ir.Value, other: ir.Value | None) -> bool:
    rank = None if other is None or other.shape is None else len(other.shape)
    return rank == 0 or (rank is not None and x.shape is not None and rank <= len(x.shape))


def _relu(limits: _Limits) -> list[ir.Node]:
    return [ir.node("Relu", [limits.x])] if (limits.low, limits.high) == (0.0, math.inf) else []


def _clip(limits: _Limits, dtype: np.dtype, opset: int) -> list[ir.Node]:
    """A Clip, and before it its constants."""
    bounds = {"min": limits.low, "max": limits.high}
    if opset < _CLIP_WITH_INPUTS:
        finite = {name: bound for name, bound in bounds.items() if math.isfinite(bound)}
        return [ir.node("Clip", [limits.x], finite)]
    constants = {
        name: ir.node("Constant", [], {"value": ir.tensor(np.array(bound, dtype))})
        for name, bound in bounds.items()
        if math.isfinite(bound)
    }
    inputs = [constants[name].outputs[0] if name in constants else None for name in bounds]
    return [*constants.values(), ir.node("Clip", [limits.x, *inputs])]
