"""Recognises activations that are spelt out in primitives, in any order of their factors and summands; float32 only.

    x * Sigmoid(x)                                          ->  edgeort.Silu(x)
    Clip(a x + b, 0, 1),  Clip(x + 3, 0, 6) / 6             ->  HardSigmoid<a, b>(x)
    x * HardSigmoid<1/6, 1/2>(x),  x * Clip(x + 3, 0, 6) / 6  ->  HardSwish(x)
    x / 2 * (1 + Erf(x / sqrt(2)))                          ->  Gelu(x)
    x / 2 * (1 + Tanh(sqrt(2/pi) (x + 0.044715 x^3)))       ->  Gelu<tanh>(x), edgeort.GeluTanh(x)
    x * Tanh(Softplus(x))                                   ->  Mish(x)
    Clip(Clip(x)), Relu(Clip(x)), Clip(Relu(x)),
    Min(Max(x, a), b), Max(Min(x, b), a) with a <= b        ->  Clip(x, a, b)

The standard operator is used where the model's opset has it, else the model-local function of the same formula.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx_ir as ir

from edgeort.passes import functions
from edgeort.passes.algebra import clip_bounds, near, only_inside, product, scalar, shifted
from edgeort.passes.context import PassContext
from edgeort.passes.edit import add_constant, is_op, new_node, number, operand, opset, rank, replace_node


@dataclass(frozen=True)
class Found:
    """`op_type`(x) with `attributes` is what `nodes` compute."""

    op_type: str
    x: ir.Value
    nodes: list[ir.Node]
    attributes: dict[str, Any] = field(default_factory=dict)


# composite -> (standard operator, first opset that has it, its attributes)
STANDARD: dict[str, tuple[str, int, dict[str, Any]]] = {
    "HardSigmoid": ("HardSigmoid", 1, {}),
    "HardSwish": ("HardSwish", 14, {}),
    "Mish": ("Mish", 18, {}),
    "Gelu": ("Gelu", 20, {}),
    "GeluTanh": ("Gelu", 20, {"approximate": "tanh"}),
    "Clip": ("Clip", 1, {}),
}


def recognise_activations(model: ir.Model, ctx: PassContext) -> int:
    """Rewrites the main graph front to back; returns how many formulas it replaced."""
    count = 0
    for node in list(model.graph):
        if node.graph is None:
            continue
        found = next((f for rule in RULES if (f := rule(node)) is not None), None)
        if found is None:
            continue
        if found.x.dtype != ir.DataType.FLOAT:
            ctx.refuse("recognise_activations", node, f"it ends a {found.op_type}, but of {found.x.dtype}, not float32")
        elif not only_inside(found.nodes, node.outputs[0]):
            reason = f"it ends a {found.op_type}, but a part of it is used elsewhere too"
            ctx.refuse("recognise_activations", node, reason)
        else:
            _replace(model, node, found)
            count += 1
    return count


def _replace(model: ir.Model, node: ir.Node, found: Found) -> None:
    name, since, fixed = STANDARD.get(found.op_type, ("", 0, {}))
    standard = bool(name) and opset(model) >= since
    domain = "" if standard else functions.composite(model, found.op_type)
    attributes, inputs = {**found.attributes, **fixed} if standard else found.attributes, [found.x]
    stem = node.name or found.op_type
    if found.op_type == "Clip" and opset(model) >= 11:
        inputs += [
            add_constant(model.graph, np.array(attributes[b], np.float32), f"{stem}_{b}") for b in ("min", "max")
        ]
        attributes = {}
    new = new_node(model.graph, name if standard else found.op_type, inputs, attributes, stem=stem, domain=domain)
    replace_node(model.graph, node, new)
    rest = set(found.nodes) - {node}
    while spent := [n for n in rest if not any(out.uses() for out in n.outputs)]:
        model.graph.remove(spent, safe=True)
        rest.difference_update(spent)


def _clips(node: ir.Node) -> Found | None:
    """Two bounds in a row that leave an interval."""
    outer = _bounds(node)
    inner_node = None if outer is None else outer[2].producer()
    inner = None if inner_node is None else _bounds(inner_node)
    if outer is None or inner is None or inner_node is None:
        return None
    low, high = max(inner[0], outer[0]), min(inner[1], outer[1])
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        return None
    return Found("Clip", inner[2], [node, inner_node], {"min": low, "max": high})


def _bounds(node: ir.Node) -> tuple[float, float, ir.Value] | None:
    """Lower bound, upper bound and operand of a Clip, Relu, or Min or Max with one constant."""
    known, x = clip_bounds(node), node.inputs[0] if node.inputs else None
    if known is not None and x is not None:
        return (*known, x)
    if not is_op(node, "Min", "Max") or len(node.inputs) != 2:
        return None
    for index in (0, 1):
        other, x = node.inputs[1 - index], node.inputs[index]
        found = scalar(other)
        if found is not None and x is not None and (rank(other) or 0) <= (rank(x) or 0):
            return (found, math.inf, x) if node.op_type == "Max" else (-math.inf, found, x)
    return None


def _hard_sigmoid(node: ir.Node) -> Found | None:
    """Clip(a x + b, 0, 1), or Clip(x + 3, 0, 6) / 6."""
    whole = product(node.outputs[0])
    clip = node if is_op(node, "Clip") else whole.factors[0].producer() if len(whole.factors) == 1 else None
    bounds = clip_bounds(clip)
    if clip is None or bounds is None or clip.inputs[0] is None or not near(bounds[0], 0.0):
        return None
    outer, nodes = (1.0, [clip]) if clip is node else (whole.coefficient, [*whole.nodes, clip])
    if not near(bounds[1] * outer, 1.0):
        return None
    top = product(clip.inputs[0], root=False)
    if len(top.factors) != 1:
        return None
    middle = shifted(top.factors[0])
    inner = product(middle.value, root=False)
    if len(inner.factors) != 1 or not (top.nodes or middle.nodes or inner.nodes):
        return None
    alpha, beta = outer * top.coefficient * inner.coefficient, outer * top.coefficient * middle.shift
    used = [*nodes, *top.nodes, *middle.nodes, *inner.nodes]
    return Found("HardSigmoid", inner.factors[0], used, {"alpha": alpha, "beta": beta})


def _gated(node: ir.Node) -> Found | None:
    """c * x * gate(x)."""
    if not is_op(node, "Mul", "Div"):
        return None
    whole = product(node.outputs[0])
    if len(whole.factors) != 2:
        return None
    for x, gate in (whole.factors, whole.factors[::-1]):
        for name, read in GATES.items():
            nodes = read(x, gate, whole.coefficient)
            if nodes is not None:
                return Found(name, x, [*whole.nodes, *nodes])
    return None


Gate = Callable[[ir.Value, ir.Value, float], "list[ir.Node] | None"]


def _silu(x: ir.Value, gate: ir.Value, coefficient: float) -> list[ir.Node] | None:
    node = gate.producer()
    matches = node is not None and is_op(node, "Sigmoid") and node.inputs[0] is x and near(coefficient, 1.0)
    return [node] if node is not None and matches else None


def _mish(x: ir.Value, gate: ir.Value, coefficient: float) -> list[ir.Node] | None:
    node = gate.producer()
    inner = node.inputs[0].producer() if node is not None and is_op(node, "Tanh") and node.inputs[0] else None
    if node is None or inner is None or not is_op(inner, "Softplus") or inner.inputs[0] is not x:
        return None
    return [node, inner] if near(coefficient, 1.0) else None


def _hard_swish(x: ir.Value, gate: ir.Value, coefficient: float) -> list[ir.Node] | None:
    node = gate.producer()
    if node is None:
        return None
    if is_op(node, "HardSigmoid"):
        parts = number(node, "alpha", 0.2), number(node, "beta", 0.5), coefficient
        matches = all(near(a, b) for a, b in zip(parts, (1 / 6, 0.5, 1.0), strict=True))
        return [node] if matches and node.inputs[0] is x else None
    bounds = clip_bounds(node)
    if bounds is None or node.inputs[0] is None or not (near(bounds[0], 0.0) and near(bounds[1], 6.0)):
        return None
    inner = shifted(node.inputs[0])
    return [node, *inner.nodes] if inner.value is x and near(inner.shift, 3.0) and near(coefficient, 1 / 6) else None


def _gelu(x: ir.Value, gate: ir.Value, coefficient: float) -> list[ir.Node] | None:
    outer = shifted(gate)
    node = outer.value.producer()
    if node is None or not is_op(node, "Erf") or not near(outer.shift, 1.0) or not near(coefficient, 0.5):
        return None
    inner = product(node.inputs[0], root=False) if node.inputs[0] else None
    if inner is None or inner.factors != [x] or not near(inner.coefficient, math.sqrt(0.5)):
        return None
    return [*outer.nodes, node, *inner.nodes]


def _gelu_tanh(x: ir.Value, gate: ir.Value, coefficient: float) -> list[ir.Node] | None:
    outer = shifted(gate)
    node = outer.value.producer()
    if node is None or not is_op(node, "Tanh") or not near(outer.shift, 1.0) or not near(coefficient, 0.5):
        return None
    inner = product(node.inputs[0], root=False) if node.inputs[0] else None
    if inner is None or not near(inner.coefficient, math.sqrt(2 / math.pi)):
        return None
    cubic = _cubic(x, inner.factors)
    return None if cubic is None else [*outer.nodes, node, *inner.nodes, *cubic]


def _cubic(x: ir.Value, factors: list[ir.Value]) -> list[ir.Node] | None:
    """The nodes of x + 0.044715 x^3, or of x (1 + 0.044715 x^2) as two factors; None when it is neither."""
    if len(factors) == 2 and x in factors:
        other = factors[1] if factors[0] is x else factors[0]
        one = shifted(other)
        power = _power(x, one.value, 2)
        return [*one.nodes, *power] if power is not None and near(one.shift, 1.0) else None
    node = factors[0].producer() if len(factors) == 1 else None
    if node is None or not is_op(node, "Add") or x not in node.inputs:
        return None
    other_value = operand(node, 1) if node.inputs[0] is x else operand(node, 0)
    power = None if other_value is None else _power(x, other_value, 3)
    return None if power is None else [node, *power]


def _power(x: ir.Value, value: ir.Value, exponent: int) -> list[ir.Node] | None:
    """The nodes of 0.044715 x^exponent, by Pow or by Muls."""
    found = product(value, root=False)
    nodes, degree = list(found.nodes), 0
    for factor in found.factors:
        node = factor.producer()
        if factor is x:
            degree += 1
        elif node is not None and is_op(node, "Pow") and node.inputs[0] is x and scalar(node.inputs[1]) is not None:
            degree += round(scalar(node.inputs[1]) or 0)
            nodes.append(node)
        else:
            return None
    return nodes if degree == exponent and near(found.coefficient, 0.044715) else None


GATES: dict[str, Gate] = {
    "Silu": _silu,
    "Mish": _mish,
    "HardSwish": _hard_swish,
    "Gelu": _gelu,
    "GeluTanh": _gelu_tanh,
}

RULES: tuple[Callable[[ir.Node], Found | None], ...] = (_clips, _gated, _hard_sigmoid)
