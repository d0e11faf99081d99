"""Spells out quantisation that programs do not know, so that it runs in float32.

    DequantizeLinear(q, s, z)   ->   (Cast(q) - Cast(z)) * s
    QuantizeLinear(x, s, z)     ->   Cast(Clip(Round(x / s) + Cast(z), least, greatest))
    MatMulInteger(a, b, za, zb) ->   Cast<int32>(MatMul(Cast(a) - Cast(za), Cast(b) - Cast(zb))), and ConvInteger alike;
                                     b - zb stays a DequantizeLinear where it is constant: its integers are stored
    DynamicQuantizeLinear(x)    ->   the nodes of its definition

for scales that are computed, one for each slice or block of an axis, and types of other than 8 bits; s and z are then
reshaped to [size, 1, ...], or repeated. Small floats are cast as they are. Where nothing but DequantizeLinear reads a
QuantizeLinear's integers of 16 bits, float32 holds them, so that both are one program. Sums of integer products are
exact in float32 below 2^24; beyond, the integer operators stay, unless what reads them makes float32 of them anyway.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from edgeort.passes.context import PassContext
from edgeort.passes.edit import (
    add_constant,
    constant,
    dims,
    integer,
    is_op,
    new_node,
    operand,
    opset,
    rank,
    replace_node,
)
from edgeort.passes.quantised import dequantized_constant, integers_of, quantity

_INTEGERS = frozenset(
    ir.DataType[name] for name in ("UINT2", "INT2", "UINT4", "INT4", "UINT8", "INT8", "UINT16", "INT16", "INT32")
)
_FLOATS = frozenset(
    ir.DataType[name] for name in ("FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ", "FLOAT4E2M1")
)
_WIDE = frozenset((ir.DataType.UINT16, ir.DataType.INT16))
_EXACT = 2**24
_PER_AXIS = 13  # the opset of DequantizeLinear with an axis
_LARGEST_PRODUCT = 255 * 255


def spell_out_quantisation(model: ir.Model, ctx: PassContext) -> int:
    """Rewrites the main graph; returns how many nodes it spelt out."""
    count = 0
    for node in list(model.graph):
        rewrite = _REWRITES.get(node.op_type) if node.domain == "" else None
        if rewrite is None or quantity(node) is not None or dequantized_constant(node.outputs[0]) is not None:
            continue
        reason = rewrite(_Builder(model.graph, node, opset(model)))
        if reason is None:
            count += 1
        else:
            ctx.refuse("spell_out_quantisation", node, reason)
    return count


@dataclass
class _Builder:
    """Adds nodes before the one that they are to replace."""

    graph: ir.Graph
    node: ir.Node
    opset: int

    def add(
        self, op_type: str, *inputs: ir.Value | None, dtype: ir.DataType | None = None, **attributes: Any
    ) -> ir.Value:
        """The result of a new node, of the element type of its first input unless given."""
        made = new_node(self.graph, op_type, inputs, attributes, stem=f"{self.node.name}_{op_type.lower()}")
        first = inputs[0]
        assert first is not None
        made.outputs[0].type = first.type if dtype is None else ir.TensorType(dtype)
        self.graph.insert_before(self.node, made)
        return made.outputs[0]

    def cast(self, value: ir.Value, to: ir.DataType) -> ir.Value:
        """The value in another element type; itself when it has it."""
        if value.dtype == to:
            return value
        known = constant(value)
        if known is not None:
            return add_constant(self.graph, known.astype(to.numpy()), f"{value.name}_cast")
        made = self.add("Cast", value, dtype=to, to=to.value)
        made.shape = value.shape
        return made

    def number(self, value: float, dtype: ir.DataType) -> ir.Value:
        """A scalar constant."""
        return add_constant(self.graph, np.array(value, dtype.numpy()), f"{self.node.name}_number")

    def along(self, value: ir.Value, full: int, axis: int) -> ir.Value:
        """A vector along `axis` of a tensor of rank `full`, to broadcast with it; one of a block, repeated."""
        if block := integer(self.node, "block_size", 0):
            size = dims(self.node.inputs[0])[axis]  # type: ignore[arg-type]
            assert isinstance(size, int)
            blocks = add_constant(self.graph, np.arange(size) // block, f"{value.name}_blocks")
            return self.add("Gather", value, blocks, axis=axis)
        if rank(value) == 0 or axis % full == full - 1:
            return value
        shape = add_constant(
            self.graph, np.array([-1] + [1] * (full - 1 - axis % full), np.int64), f"{value.name}_shape"
        )
        return self.add("Reshape", value, shape)

    def less(self, value: ir.Value, zero: ir.Value | None, full: int, axis: int, to: ir.DataType) -> ir.Value:
        """Cast(value) - Cast(zero)."""
        numbers = self.cast(value, to)
        return numbers if zero is None else self.add("Sub", numbers, self.along(self.cast(zero, to), full, axis))

    def finish(self, op_type: str, *inputs: ir.Value, **attributes: Any) -> None:
        """Puts a last node in place of the old one."""
        made = new_node(self.graph, op_type, inputs, attributes, stem=f"{self.node.name}_spelt")
        replace_node(self.graph, self.node, made)


def _shape_of(node: ir.Node) -> tuple[int, int] | None:
    """Rank and axis of a node with one scale or a vector of them; None for what this pass does not know."""
    x, scale = node.inputs[:2]
    full, axis = rank(x), integer(node, "axis", 1)
    if full is None or x is None or scale is None:
        return None
    if integer(node, "block_size", 0):
        known = rank(scale) == full and -full <= axis < full and isinstance(dims(x)[axis], int)
        return (full, axis) if known else None
    if rank(scale) not in (0, 1):
        return None
    single = rank(scale) == 0 or dims(scale) == [1]
    return (full, -1 if single else axis) if single or -full <= axis < full else None


def _dequantize(build: _Builder) -> str | None:
    node = build.node
    q, scale, found = node.inputs[0], node.inputs[1], _shape_of(node)
    if found is None or q is None or scale is None or scale.dtype is None:
        return "its scales are of a kind that has no kernel"
    if q.dtype not in {*_INTEGERS, *_FLOATS, scale.dtype}:
        return "its integers or scales are of a kind that has no kernel"
    full, axis = found
    numbers = build.less(q, operand(node, 2), full, axis, scale.dtype)
    build.finish("Mul", numbers, build.along(scale, full, axis))
    return None


def _quantize(build: _Builder) -> str | None:
    node = build.node
    x, scale, found, to = node.inputs[0], node.inputs[1], _shape_of(node), integers_of(node).dtype
    if found is None or x is None or scale is None or to not in _INTEGERS | _FLOATS or to is None or x.dtype is None:
        return "its integers or scales are of a kind that has no kernel"
    if build.opset < 11:
        return "Round exists from opset 11 on"
    full, axis = found
    real = build.add("Div", x, build.along(build.cast(scale, x.dtype), full, axis))
    if to in _FLOATS:  # whose zero point is 0
        build.finish("Cast", real, to=to.value, saturate=integer(node, "saturate", 1))
        return None
    rounded = build.add("Round", real)
    if operand(node, 2) is not None:
        zero = build.cast(node.inputs[2], x.dtype)  # type: ignore[arg-type]
        rounded = build.add("Add", rounded, build.along(zero, full, axis))
    least = -(2 ** (to.bitwidth - 1)) if to.is_signed() else 0
    bounds = [build.number(limit, x.dtype) for limit in (least, least + 2**to.bitwidth - 1)]
    if _is_restored(node, to):
        node.outputs[0].type = ir.TensorType(x.dtype)  # clones of the model share the old one
        build.finish("Clip", rounded, *bounds)
    else:
        build.finish("Cast", build.add("Clip", rounded, *bounds), to=to.value)
    return None


def _is_restored(node: ir.Node, to: ir.DataType) -> bool:
    """Whether only DequantizeLinears that this pass knows read the 16-bit integers that a QuantizeLinear makes."""
    out = node.outputs[0]
    readers = [use.node for use in out.uses()]
    return (
        to in _WIDE
        and not out.is_graph_output()
        and all(is_op(reader, "DequantizeLinear") and _shape_of(reader) is not None for reader in readers)
    )


def _dynamic(build: _Builder) -> str | None:
    """The definition of DynamicQuantizeLinear, in the ONNX specification."""
    node, x = build.node, build.node.inputs[0]
    assert x is not None
    zero, most = build.number(0.0, ir.DataType.FLOAT), build.number(255.0, ir.DataType.FLOAT)
    high = build.add("Max", build.add("ReduceMax", x, keepdims=0), zero)
    low = build.add("Min", build.add("ReduceMin", x, keepdims=0), zero)
    scale = build.add("Div", build.add("Sub", high, low), most)
    at = build.add("Div", build.add("Sub", zero, low), scale)
    point = build.add("Round", build.add("Clip", at, zero, most))
    levels = build.add("Add", build.add("Round", build.add("Div", x, scale)), point)
    q = build.cast(build.add("Clip", levels, zero, most), ir.DataType.UINT8)
    made = q, scale, build.cast(point, ir.DataType.UINT8)
    for old, new in zip(node.outputs, made, strict=False):
        name, new.shape = old.name, old.shape
        old.replace_all_uses_with(new, replace_graph_outputs=True)
        old.name, new.name = f"{name}_dynamic", name
    build.graph.remove(node, safe=True)
    return None


def _integer_product(build: _Builder) -> str | None:
    """MatMulInteger and ConvInteger."""
    node = build.node
    a, b = node.inputs[0], node.inputs[1]
    full_a, full_b = rank(a), rank(b)
    if a is None or b is None or full_a is None or full_b is None:
        return "the rank of an operand is unknown"
    convolution = node.op_type == "ConvInteger"
    if not _exact(node, b, convolution):
        return "its sums may not be exact in float32"
    x = build.less(a, operand(node, 2), full_a, 0 if convolution else full_a - 2, ir.DataType.FLOAT)
    axis = 0 if convolution else full_b - 1
    w = _stored(build, b, axis) or build.less(b, operand(node, 3), full_b, axis, ir.DataType.FLOAT)
    attributes: dict[str, Any] = dict(node.attributes)
    product = build.add("Conv" if convolution else "MatMul", x, w, **attributes)
    product.shape = node.outputs[0].shape
    build.finish("Cast", product, to=ir.DataType.INT32.value)
    return None


def _stored(build: _Builder, weight: ir.Value, axis: int) -> ir.Value | None:
    """Constant weights less their zero points, a DequantizeLinear with scales of one: lowering stores its integers.

    Those of MatMul that are no matrix are float32. None where they are computed, and for zero points that it does not
    take.
    """
    zero, integers = operand(build.node, 3), constant(weight)
    points = np.zeros((), np.int32) if zero is None else constant(zero)
    if integers is None or points is None:
        return None
    if points.size == 1:
        points = points.reshape(())
    elif build.opset < _PER_AXIS or points.shape != (integers.shape[axis],):
        return None
    if build.node.op_type == "MatMulInteger" and integers.ndim != 2:  # lowering would dequantise it in each run
        numbers = integers.astype(np.float32) - points.astype(np.float32)
        return add_constant(build.graph, numbers, f"{build.node.name}_numbers")
    points = points.astype(integers.dtype)
    names = (f"{build.node.name}_{name}" for name in ("ones", "zeros"))
    values = np.ones(points.shape, np.float32), points
    operands = (add_constant(build.graph, array, name) for array, name in zip(values, names, strict=True))
    attributes = {"axis": axis} if points.ndim else {}
    made = build.add("DequantizeLinear", weight, *operands, dtype=ir.DataType.FLOAT, **attributes)
    made.shape = weight.shape
    return made


def _exact(node: ir.Node, weight: ir.Value, convolution: bool) -> bool:
    sizes = dims(weight)[1:] if convolution else dims(weight)[-2:][:1]  # of a vector, all
    if all(isinstance(size, int) for size in sizes) and np.prod(sizes) * _LARGEST_PRODUCT < _EXACT:  # type: ignore[arg-type]
        return True
    return _becomes_float(node.outputs[0])


def _becomes_float(value: ir.Value) -> bool:
    """Whether all that reads integers makes float32 of them, or of their sum with others, as with a bias."""
    seen, waiting = {value}, [value]  # each once: a sum may be added to itself
    while waiting:
        value = waiting.pop()
        if value.is_graph_output():
            return False
        for use in value.uses():
            if is_op(use.node, "Cast") and integer(use.node, "to", 0) == ir.DataType.FLOAT.value:
                continue
            total = use.node.outputs[0]
            if not is_op(use.node, "Add"):
                return False
            if total not in seen:
                seen.add(total)
                waiting.append(total)
    return True


_REWRITES: dict[str, Callable[[_Builder], str | None]] = {
    "DequantizeLinear": _dequantize,
    "QuantizeLinear": _quantize,
    "DynamicQuantizeLinear": _dynamic,
    "MatMulInteger": _integer_product,
    "ConvInteger": _integer_product,
}
