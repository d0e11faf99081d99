"""Operators that work on each element, with broadcasting: arithmetic, comparisons, functions and activations.

What LiteRT has no operator for is written as a few that it has; the formulas stand beside each.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx_ir as ir

from edgeort.converters.tflite import schema
from edgeort.converters.tflite.graph import Quant
from edgeort.converters.tflite.refusal import Refuse
from edgeort.converters.tflite.weights import Weights
from edgeort.converters.tflite.writer import Writer
from edgeort.passes.algebra import clip_bounds
from edgeort.passes.edit import constant, integer, number, text
from edgeort.passes.quantised import dequantized_constant, numbers_of

BINARY: dict[str, str] = {
    "Add": "ADD", "Sub": "SUB", "Mul": "MUL", "Div": "DIV", "Pow": "POW", "Mod": "FLOOR_MOD",
    "Equal": "EQUAL", "Greater": "GREATER", "GreaterOrEqual": "GREATER_EQUAL", "Less": "LESS",
    "LessOrEqual": "LESS_EQUAL", "And": "LOGICAL_AND", "Or": "LOGICAL_OR", "Xor": "NOT_EQUAL",
}  # fmt: skip
NARY: dict[str, str] = {"Max": "MAXIMUM", "Min": "MINIMUM", "Sum": "ADD"}
UNARY: dict[str, str] = {
    "Abs": "ABS", "Ceil": "CEIL", "Cos": "COS", "Exp": "EXP", "Floor": "FLOOR", "Log": "LOG", "Neg": "NEG",
    "Not": "LOGICAL_NOT", "Relu": "RELU", "Round": "ROUND", "Sign": "SIGN", "Sin": "SIN", "Sqrt": "SQRT",
}  # fmt: skip
_FUSING = frozenset(("ADD", "SUB", "MUL", "DIV"))
_ON_INTEGERS = frozenset(("ADD", "SUB", "MUL"))
_MOST_DIMS = 4  # of operands that broadcast within integers

# Integers that LiteRT's kernels give, whatever the model says: (scale, zero point).
_UNIT = Quant((1 / 256,), (-128,))
_SIGNED_UNIT = Quant((1 / 128,), (0,))


def binary(ctx: Writer, node: ir.Node) -> None:
    """One of BINARY: on integers where both operands and the result are, in float32 otherwise."""
    name = BINARY[node.op_type]
    if name == "FLOOR_MOD" and integer(node, "fmod", 0):
        raise Refuse("LiteRT has no fmod")
    if name == "POW" and node.inputs[0].dtype != node.inputs[1].dtype:  # type: ignore[union-attr]
        raise Refuse("its operands are of two types")
    if name == "DIV" and ctx.dtype(node.outputs[0]) != "float32":
        raise Refuse("integer division rounds otherwise in LiteRT")
    pair = [_as_integers(ctx, value) for value in node.inputs] if name in _ON_INTEGERS else [None]
    fits = None not in pair and len(ctx.shape(node.outputs[0])) <= _MOST_DIMS
    site = ctx.site(node, fuses=name in _FUSING, integers=fits)
    inputs = pair if site.quant is not None else [ctx.tensor(value) for value in node.inputs]
    options = site.fused if name in _FUSING else {}
    ctx.write(site, name, [i for i in inputs if i is not None], **options)


def _as_integers(ctx: Writer, value: ir.Value | None) -> int | None:
    """An operand as int8: integers that the model makes or stores, or one number that int8 holds exactly."""
    found = ctx.integers(value)
    if found is not None:
        return found
    stored = dequantized_constant(value) if constant(value) is None else None
    if stored is not None and stored.scale.size == 1 and stored.stored.dtype.itemsize == 1:
        bias = 128 if stored.stored.dtype == np.uint8 else 0
        integers = (stored.stored.astype(np.int32) - bias).astype(np.int8)
        quant = Quant((float(stored.scale.reshape(())),), (int(stored.zero.reshape(())) - bias,))
        return ctx.graph.constant(str(value.name if value else ""), integers, quant)
    numbers = numbers_of(value)
    if numbers is None or numbers.size != 1 or numbers.dtype != np.float32:
        return None
    single = float(numbers.reshape(()))
    if not math.isfinite(single) or single == 0:
        return None
    quant = Quant.symmetric(np.asarray(abs(single) / 127))
    return ctx.graph.constant("number_int8", np.full(numbers.shape, 127 if single > 0 else -127, np.int8), quant)


def nary(ctx: Writer, node: ir.Node) -> None:
    """Max, Min and Sum of any number of operands, two at a time."""
    name = NARY[node.op_type]
    made = ctx.tensor(node.inputs[0])
    for value in node.inputs[1:]:
        other = ctx.tensor(value)
        shape = np.broadcast_shapes(ctx.about(made).shape, ctx.about(other).shape)
        made = ctx.step(name, [made, other], shape)
    _end(ctx, node, made)


def unary(ctx: Writer, node: ir.Node) -> None:
    """One of UNARY; Relu on integers, too."""
    x = ctx.integers(node.inputs[0]) if node.op_type == "Relu" else None
    site = ctx.site(node, integers=x is not None)
    source = ctx.tensor(node.inputs[0]) if site.quant is None or x is None else x
    ctx.write(site, UNARY[node.op_type], [source])


def clip(ctx: Writer, node: ir.Node) -> None:
    """RELU6 and the like where the bounds are theirs, else MINIMUM and MAXIMUM."""
    bounds = clip_bounds(node)
    kind = ctx.dtype(node.outputs[0])
    if any(value is not None and constant(value) is None for value in node.inputs[1:]):
        raise Refuse("its bounds are computed as the model runs")
    if bounds in ((0.0, 6.0), (-1.0, 1.0)) and kind == "float32":
        ctx.write(ctx.site(node), "RELU6" if bounds == (0.0, 6.0) else "RELU_N1_TO_1", [ctx.tensor(node.inputs[0])])
        return
    made = ctx.tensor(node.inputs[0])
    for index, name in ((2, "MINIMUM"), (1, "MAXIMUM")):
        limit = constant(node.inputs[index]) if index < len(node.inputs) else None
        found = limit.reshape(()).item() if limit is not None else (bounds[index - 1] if bounds else math.inf)
        if not math.isinf(found):
            made = ctx.step(name, [made, ctx.number(found, kind)])
    _end(ctx, node, made)


def cast(ctx: Writer, node: ir.Node) -> None:
    """CAST between numbers and booleans; float16 and float32 are one type here."""
    source, target = ctx.dtype(node.inputs[0]), ctx.dtype(node.outputs[0])  # type: ignore[arg-type]
    x = ctx.tensor(node.inputs[0])
    if source == target:
        ctx.same(node, x)
        return
    if ctx.about(x).quant is not None:
        raise Refuse("it casts integers that stand for real numbers")
    kinds: dict[str, Any] = {"in_data_type": schema.TYPES[source], "out_data_type": schema.TYPES[target]}
    ctx.write(ctx.site(node), "CAST", [x], **kinds)


def where(ctx: Writer, node: ir.Node) -> None:
    """SELECT_V2."""
    ctx.write(ctx.site(node), "SELECT_V2", [ctx.tensor(value) for value in node.inputs])


def is_nan(ctx: Writer, node: ir.Node) -> None:
    """x != x."""
    x = ctx.tensor(node.inputs[0])
    ctx.write(ctx.site(node), "NOT_EQUAL", [x, x])


def leaky_relu(ctx: Writer, node: ir.Node) -> None:
    """LEAKY_RELU, on integers where both sides are."""
    x = ctx.integers(node.inputs[0])
    site = ctx.site(node, integers=x is not None)
    source = ctx.tensor(node.inputs[0]) if site.quant is None or x is None else x
    ctx.write(site, "LEAKY_RELU", [source], alpha=number(node, "alpha", 0.01))


def prelu(ctx: Writer, node: ir.Node) -> None:
    """PRELU, whose slope has one dimension less than its input."""
    slope = Weights.of(node.inputs[1]).numbers
    rank = len(ctx.shape(node.inputs[0]))
    slope = slope.reshape((1,) * max(rank - slope.ndim, 0) + slope.shape)
    if slope.ndim and slope.shape[0] != 1:
        raise Refuse("its slopes differ along the first axis")
    if slope.size == 1:
        ctx.write(ctx.site(node), "LEAKY_RELU", [ctx.tensor(node.inputs[0])], alpha=float(slope.reshape(())))
        return
    ctx.write(ctx.site(node), "PRELU", [ctx.tensor(node.inputs[0]), ctx.constant(f"{node.name}_slope", slope[0])])


def logistic(ctx: Writer, node: ir.Node) -> None:
    """LOGISTIC; its integers are 1/256 each."""
    _fixed(ctx, node, "LOGISTIC", _UNIT)


def tanh(ctx: Writer, node: ir.Node) -> None:
    """TANH; its integers are 1/128 each."""
    _fixed(ctx, node, "TANH", _SIGNED_UNIT)


def hard_swish(ctx: Writer, node: ir.Node) -> None:
    """HARD_SWISH of float32: XNNPACK has none of integers, and the kernel beside it takes several times as long."""
    ctx.write(ctx.site(node), "HARD_SWISH", [ctx.tensor(node.inputs[0])])


def gelu(ctx: Writer, node: ir.Node) -> None:
    """GELU; by tanh where the node or its name says so."""
    approximate = node.op_type == "GeluTanh" or text(node, "approximate", "none") == "tanh"
    ctx.write(ctx.site(node), "GELU", [ctx.tensor(node.inputs[0])], approximate=approximate)


def _fixed(ctx: Writer, node: ir.Node, name: str, quant: Quant) -> None:
    """On integers where both sides are, which then are of `quant`."""
    x = ctx.integers(node.inputs[0])
    site = ctx.site(node, integers=x is not None)
    source = ctx.tensor(node.inputs[0]) if site.quant is None or x is None else x
    ctx.write(site, name, [source], quant)


def silu(ctx: Writer, node: ir.Node) -> None:
    """x * LOGISTIC(alpha x), on integers where both sides are and alpha is 1."""
    alpha = number(node, "alpha", 1.0)
    x = ctx.integers(node.inputs[0]) if alpha == 1 else None
    site = ctx.site(node, integers=x is not None)
    source = ctx.tensor(node.inputs[0]) if site.quant is None or x is None else x
    gate = ctx.temporary(f"{node.name}_gate", ctx.about(source).shape, source, None if site.quant is None else _UNIT)
    inner = source if alpha == 1 else ctx.step("MUL", [source, ctx.number(alpha)])
    ctx.graph.add("LOGISTIC", [inner], [gate])
    ctx.write(site, "MUL", [source, gate])


def _end(ctx: Writer, node: ir.Node, made: int) -> None:
    """What was made in steps is the node's value."""
    site = ctx.site(node)
    shape = ctx.shape(site.value)
    if ctx.about(made).shape == shape and ctx.graph.operators and ctx.graph.operators[-1].outputs == [made]:
        ctx.graph.operators[-1].outputs[0] = ctx.result(site)
    else:
        ctx.write(site, "RESHAPE", [made, ctx.ints(shape)], new_shape=shape)
