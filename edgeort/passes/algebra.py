"""Reads spelt-out formulas in a normal form, so that a recogniser need not know every way to write one.

0.5 * x * (1 + f),  x * (f + 1) / 2,  (x / 2) * (f + 1), ...   are all   Product(0.5, [x, (f + 1)])
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import onnx_ir as ir

from edgeort.passes.edit import constant, is_op, number, operand


def scalar(value: ir.Value | None) -> float | None:
    """The number in a constant of one element, else None."""
    array = constant(value)
    return float(array.reshape(-1)[0]) if array is not None and array.size == 1 and array.dtype.kind == "f" else None


def near(found: float | None, wanted: float) -> bool:
    """Equal as float32 constants of formulas are: to 1e-5, relative."""
    return found is not None and math.isclose(found, wanted, rel_tol=1e-5, abs_tol=1e-9)


@dataclass
class Product:
    """coefficient * factors[0] * factors[1] * ..., computed by `nodes`."""

    coefficient: float = 1.0
    factors: list[ir.Value] = field(default_factory=list)
    nodes: list[ir.Node] = field(default_factory=list)


def product(value: ir.Value, *, root: bool = True) -> Product:
    """Takes Muls and divisions by constants apart, down to values that something else reads too."""
    node = value.producer()
    if node is None or not (root or _read_once(value)) or not is_op(node, "Mul", "Div"):
        return Product(1.0, [value], [])
    left, right = node.inputs[0], node.inputs[1]
    if left is None or right is None:
        return Product(1.0, [value], [])
    if node.op_type == "Div":
        divisor = scalar(right)
        if not divisor:
            return Product(1.0, [value], [])
        inner = product(left, root=False)
        return Product(inner.coefficient / divisor, inner.factors, [node, *inner.nodes])
    result = Product(1.0, [], [node])
    for side in (left, right):
        found = scalar(side)
        inner = Product(found) if found is not None else product(side, root=False)
        result.coefficient *= inner.coefficient
        result.factors += inner.factors
        result.nodes += inner.nodes
    return result


@dataclass
class Shifted:
    """value + shift, computed by `nodes`."""

    value: ir.Value
    shift: float
    nodes: list[ir.Node]


def shifted(value: ir.Value) -> Shifted:
    """Takes one Add or Sub of a constant apart."""
    node = value.producer()
    if node is not None and is_op(node, "Add", "Sub"):
        left, right = node.inputs[0], node.inputs[1]
        if left is not None and (found := scalar(right)) is not None:
            return Shifted(left, found if node.op_type == "Add" else -found, [node])
        if right is not None and node.op_type == "Add" and (found := scalar(left)) is not None:
            return Shifted(right, found, [node])
    return Shifted(value, 0.0, [])


def clip_bounds(node: ir.Node | None) -> tuple[float, float] | None:
    """The bounds of a Clip with constant bounds, of a Relu, else None."""
    if node is not None and is_op(node, "Relu"):
        return 0.0, math.inf
    if node is None or not is_op(node, "Clip"):
        return None
    bounds = []
    for index, name, default in ((1, "min", -math.inf), (2, "max", math.inf)):
        value = operand(node, index)
        found = number(node, name, default) if value is None else scalar(value)
        if found is None:
            return None
        bounds.append(found)
    return bounds[0], bounds[1]


def only_inside(nodes: Iterable[ir.Node], result: ir.Value) -> bool:
    """Whether nothing outside `nodes` reads what they compute, `result` excepted."""
    inside = set(nodes)
    values = [out for node in inside for out in node.outputs if out is not result]
    return all(not v.is_graph_output() and all(use.node in inside for use in v.uses()) for v in values)


def _read_once(value: ir.Value) -> bool:
    return len(value.uses()) == 1 and not value.is_graph_output()
