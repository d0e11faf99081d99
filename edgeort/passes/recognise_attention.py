"""Recognises attention over heads (Vaswani et al. 2017, arXiv:1706.03762, equation 1); float32 only.

    y = MatMul(Softmax<-1>(MatMul(q, k^T) * scale + mask), v)     q, k^T, v [batch, head, row, column]; mask optional
      ->   Attention<scale, ...>(q', k', v')   or   MaskedAttention<scale, ...>(q', k', v', mask)

scale is the product of the numbers that q, k^T and their product are multiplied with or divided by. q', k', v' are what
stands before the Transposes that bring the heads forward, and before the Split, Slice or Gather that takes each from a
common projection [batch, row, 3, head, column]; the attributes say where in them an operand lies, so that nobody copies
it. A Transpose behind y, which brings the heads back, joins too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgeort.passes import functions
from edgeort.passes.algebra import scalar
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
from edgeort.passes.merge_transposes import perm_of

_FIRST_OPSET = 12  # of Constant<value_int>, which the functions' bodies use


@dataclass
class Operand:
    """[batch, head, row, column] = Transpose<axes>(value); with a part, axes[0] is the axis that it is taken from."""

    value: ir.Value
    axes: list[int]
    part: int | None = None
    scale: float = 1.0


@dataclass
class Attention:
    """What one Softmax is a part of; `last` makes the result, `axes` are those of its Transpose."""

    q: Operand
    k: Operand
    v: Operand
    mask: ir.Value | None
    scale: float
    axes: list[int]
    last: ir.Node


def recognise_attention(model: ir.Model, ctx: PassContext) -> int:
    """Rewrites the main graph; returns how many attentions it replaced."""
    count = 0
    for node in list(model.graph):
        found = _read(node, -1 if opset(model) >= 13 else 1, ctx) if is_op(node, "Softmax") else None
        if found is None:
            continue
        if opset(model) < _FIRST_OPSET:
            ctx.refuse(
                "recognise_attention", node, f"opset {opset(model)} cannot express it; from {_FIRST_OPSET} on it can"
            )
            continue
        _replace(model, found)
        count += 1
    return count


def _read(node: ir.Node, default_axis: int, ctx: PassContext) -> Attention | None:
    """The attention around a Softmax, whose axis is `default_axis` where it names none."""
    scores = node.inputs[0]
    if (
        scores is None
        or rank(scores) != 4
        or scores.dtype != ir.DataType.FLOAT
        or integer(node, "axis", default_axis) not in (-1, 3)
    ):
        return None
    product, mask, scale = _scores(scores)
    last = only_user(node.outputs[0])
    if product is None or last is None or not is_op(last, "MatMul") or last.inputs[0] is not node.outputs[0]:
        return None
    q, k, v = product.inputs[0], product.inputs[1], last.inputs[1]
    if q is None or k is None or v is None or any(rank(x) != 4 for x in (q, k, v)):
        return None
    if mask is not None and (reason := _mask_reason(mask, product.outputs[0])):
        ctx.refuse("recognise_attention", node, reason)
        return None
    axes, after = [0, 1, 2, 3], only_user(last.outputs[0])
    if after is not None and is_op(after, "Transpose") and (perm := perm_of(after)) is not None and perm[-1] == 3:
        axes, last = perm, after
    operands = _operand(q, [3]), _operand(k, [2, 3], swapped=True), _operand(v, [2, 3], scaled=False)
    return Attention(*operands, mask, scale, axes, last)


def _scores(value: ir.Value) -> tuple[ir.Node | None, ir.Value | None, float]:
    """The product behind the scores, the mask added to it, and what it is multiplied with; nothing else may read it."""
    node = _inner(value)
    for index in (0, 1) if is_op(node, "Add") else ():
        assert node is not None
        product, scale = _scaled_product(node.inputs[index])
        if product is not None:
            return product, node.inputs[1 - index], scale
    product, scale = _scaled_product(value)
    return product, None, scale


def _scaled_product(value: ir.Value | None) -> tuple[ir.Node | None, float]:
    scale, node = 1.0, None if value is None else _inner(value)
    while node is not None and (found := _factor(node)) is not None:
        scale *= found[1]
        node = _inner(found[0])
    return (node, scale) if node is not None and is_op(node, "MatMul") else (None, 1.0)


def _inner(value: ir.Value) -> ir.Node | None:
    """The node that makes a value which one node reads."""
    return value.producer() if only_user(value) is not None else None


def _factor(node: ir.Node) -> tuple[ir.Value, float] | None:
    """x and the number, when the node is x times or divided by a number."""
    if not is_op(node, "Mul", "Div"):
        return None
    x, y = node.inputs[0], node.inputs[1]
    number = scalar(y)
    if number and x is not None:
        return x, number if node.op_type == "Mul" else 1 / number
    number = scalar(x)
    return (y, number) if number and y is not None and node.op_type == "Mul" else None


def _operand(value: ir.Value, contiguous: list[int], *, swapped: bool = False, scaled: bool = True) -> Operand:
    """What stands before the copies and numbers that make `value`, with one of the axes `contiguous` last in memory."""
    found = Operand(value, [0, 1, 3, 2] if swapped else [0, 1, 2, 3])
    best = found
    while (node := found.value.producer()) is not None:
        x = node.inputs[0] if node.inputs else None
        if rank(x) is None:
            break
        if scaled and (times := _factor(node)) is not None and rank(times[0]) == rank(found.value):
            found = Operand(times[0], found.axes, found.part, found.scale * times[1])
        elif is_op(node, "Transpose") and x is not None and (perm := perm_of(node)) is not None:
            found = Operand(x, [perm[a] for a in found.axes], found.part, found.scale)
        elif found.part is None and (taken := _part(node)) is not None:
            source, axis, part = taken
            found = Operand(source, [axis, *(a + (a >= axis) for a in found.axes)], part, found.scale)
        else:
            break
        if any(found.axes[a - 4] == len(found.axes) - 1 for a in contiguous):
            best = found
    return best


def _part(node: ir.Node) -> tuple[ir.Value, int, int] | None:
    """x, axis and index, when the node is element `index` of x along `axis`, x of rank 5."""
    if is_op(node, "Gather") and node.inputs[0] is not None and rank(node.inputs[0]) == 5:
        chosen, axis = constant(node.inputs[1]), integer(node, "axis", 0)
        return (
            (node.inputs[0], axis % 5, int(chosen)) if chosen is not None and chosen.ndim == 0 and chosen >= 0 else None
        )
    taken = node.inputs[0].producer() if is_op(node, "Squeeze") and node.inputs[0] is not None else None
    if taken is None or taken.inputs[0] is None or rank(taken.inputs[0]) != 5:
        return None
    axes = _integers(node, 1, "axes")
    if axes is None or len(axes) != 1:
        return None
    axis = axes[0] % 5
    if is_op(taken, "Split") and integer(taken, "axis", 0) % 5 == axis:
        sizes = [dims(out)[axis] if rank(out) == 5 else None for out in taken.outputs]
        index = node.inputs[0].index()  # type: ignore[union-attr]
        return (taken.inputs[0], axis, index) if index is not None and set(sizes) == {1} else None
    return _sliced(taken, axis) if is_op(taken, "Slice") else None


def _sliced(node: ir.Node, axis: int) -> tuple[ir.Value, int, int] | None:
    starts, ends, axes = (_integers(node, i, name) for i, name in ((1, "starts"), (2, "ends"), (3, "axes")))
    steps = constant(operand(node, 4))
    if starts is None or ends is None or axes is None or [a % 5 for a in axes] != [axis] or node.inputs[0] is None:
        return None
    if starts[0] < 0 or ends[0] != starts[0] + 1 or (steps is not None and steps.reshape(-1).tolist() != [1]):
        return None
    return node.inputs[0], axis, starts[0]


def _integers(node: ir.Node, index: int, name: str) -> list[int] | None:
    """A constant list that newer opsets take as an input and older ones as an attribute."""
    array = constant(operand(node, index))
    if array is not None:
        return [int(v) for v in array.reshape(-1)]
    return ints(node, name, ()) or None


def _mask_reason(mask: ir.Value, scores: ir.Value) -> str | None:
    """Why the mask is not known to broadcast into the scores, all of whose columns it must have."""
    if mask.shape is None or scores.shape is None or mask.dtype != ir.DataType.FLOAT or rank(mask) == 0:
        return "the shape of its mask is unknown"
    sizes, full = dims(mask), dims(scores)
    pairs = list(zip(reversed(sizes), reversed(full), strict=False))
    if (
        len(sizes) > len(full)
        or any(size not in (1, whole) or size is None for size, whole in pairs)
        or pairs[0][0] != pairs[0][1]
    ):
        return f"its mask {sizes} is not known to have the columns of the scores {full} and to broadcast into them"
    return None


def _replace(model: ir.Model, found: Attention) -> None:
    graph, stem = model.graph, found.last.name or "attention"
    attributes: dict[str, int | float | list[int]] = {}
    inputs, scale = [], found.scale
    for name, part in (("q", found.q), ("k", found.k), ("v", found.v)):
        value, axes = part.value, part.axes
        if part.part is None:
            value, axes = _with_parts(model, value, found.last), [0, *(a + 1 for a in axes)]
        inputs.append(value)
        attributes |= {f"{name}_perm": axes, f"{name}_part": part.part or 0}
        scale *= part.scale
    attributes |= {"out_perm": found.axes, "scale": float(np.float32(scale))}
    op_type = "Attention" if found.mask is None else "MaskedAttention"
    if found.mask is not None:
        inputs.append(found.mask)
    domain = functions.composite(model, op_type)
    replace_node(graph, found.last, new_node(graph, op_type, inputs, attributes, stem=stem, domain=domain))


def _with_parts(model: ir.Model, value: ir.Value, before: ir.Node) -> ir.Value:
    """A value of rank 4 as one of rank 5 with one part."""
    graph, stem = model.graph, f"{value.name}_parts"
    if opset(model) >= 13:
        node = new_node(graph, "Unsqueeze", [value, add_constant(graph, np.array([0]), stem)], stem=stem)
    else:
        node = new_node(graph, "Unsqueeze", [value], {"axes": [0]}, stem=stem)
    assert value.shape is not None
    node.outputs[0].type, node.outputs[0].shape = value.type, ir.Shape([1, *value.shape])
    graph.insert_before(before, node)
    return node.outputs[0]
