"""Quantised values: products by int8 weights (QConv, QStemConv, QDepthwiseConv, QGemm), and movement of their integers.

    y = (x_scale w_scale[n]) (sum of (x - x_zero_point) w + bias[n])

A product is taken where its input comes from a DequantizeLinear and its weights from one of int8 constants; all others
run in float32 on what the DequantizeLinears make. Where the group's last node quantises the result, and it is only
clamped before, 1 / y_scale is part of the scale, and the clamp is that of the integers.

Packed weights of a group, [tap][c][n]: panels of PANEL columns, in each [tap][ceil(c / DEPTH)][PANEL columns][DEPTH
channels], so that 64 bytes in a row are what one instruction multiplies; channels and columns beyond are zero. Those of
a stem, whose channels are few: the same of one tap with all taps' channels. Those of a depthwise convolution:
[tap][channels padded to PANEL].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgeort.lowering import layout, where_int8
from edgeort.lowering.context import Group, Lowering, integer, number
from edgeort.lowering.matrix import window
from edgeort.lowering.params import PARAMS
from edgeort.lowering.program import epilogue, result
from edgeort.lowering.typed import CODES
from edgeort.passes.algebra import clip_bounds
from edgeort.passes.edit import operand
from edgeort.passes.functions import NHWC
from edgeort.passes.quantised import (
    BYTES,
    HIGH,
    LOW,
    Constant,
    Quantity,
    dequantized,
    dequantized_constant,
    integers_of,
    quantity,
)

DEPTH = 4  # channels whose products one instruction sums
_RANGE = 255  # of x - x_zero_point
_INT32 = 2**31
_MOST_BIAS = 2**30

PRODUCTS = ((NHWC, "Conv"), ("", "Gemm"), ("", "MatMul"))


@dataclass(frozen=True)
class Product:
    """A product of quantised values. weight: int8 [tap, channel of a group, column]; the others one number a column."""

    x: ir.Value  # integers
    x_quantity: Quantity
    stored: np.ndarray  # the weights in the node's own layout
    weight: np.ndarray
    bias: np.ndarray  # int32
    scale: np.ndarray  # float64: x_scale w_scale
    groups: int
    result: ir.Value  # of the product, or of an addition behind it that is in the bias
    program: tuple[ir.Node, ...]  # what follows

    @property
    def depthwise(self) -> bool:
        return self.weight.shape[1] == 1 and self.weight.shape[2] == self.groups

    @property
    def stem(self) -> bool:
        """Whether channels are so few that taps are gathered side by side: their k has no gaps."""
        taps, channels, _ = self.weight.shape
        return self.groups == 1 and taps > 1 and channels <= DEPTH


def read(ctx: Lowering, node: ir.Node, group: Group) -> Product | str:
    """The product that `node` is, or why it runs in float32."""
    source = dequantized(node.inputs[0])
    weight = dequantized_constant(node.inputs[1])
    if source is None:
        return "its input is not quantised to eight bits"
    if weight is None:
        return "its weights are not quantised constants"
    found = quantity(source)
    assert found is not None
    taps = _taps(node, weight)
    if isinstance(taps, str):
        return taps
    integers, scales = taps
    if integers.min(initial=0) < LOW or integers.max(initial=0) > HIGH:
        return "its weights do not fit int8 with a zero point of 0"
    columns = integers.shape[2]
    scale = np.broadcast_to(scales.reshape(-1), (columns,)).astype(np.float64) * found.scale
    bias = _bias(ctx, node, columns)
    if bias is None:
        return "its bias is not a constant"
    added = _added(ctx, node, group, columns)
    program = group.program if added is None else group.program[1:]
    bias = bias if added is None else bias + added
    integers, scale = _make_room(integers, scale, bias)
    rounded = np.rint(bias / scale)
    if not (np.abs(integers).sum(axis=(0, 1)) * _RANGE + np.abs(rounded) < _INT32).all():
        return "its sums may not fit int32"
    return Product(
        integers_of(source),
        found,
        weight.integers,
        integers.astype(np.int8),
        rounded.astype(np.int32),
        scale,
        integer(node, "group", 1) if node.op_type == "Conv" else 1,
        (node if added is None else group.program[0]).outputs[0],
        program,
    )


def _make_room(integers: np.ndarray, scale: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights and scales such that the bias of each column fits int32.

    A column of nearly no weights may have a bias beyond. Its scale grows by a power of two: what its weights lose is as
    far below the bias as the bias is above the weights.
    """
    with np.errstate(divide="ignore"):
        factor = np.exp2(np.ceil(np.log2(np.abs(bias) / (scale * _MOST_BIAS))).clip(min=0))
    return np.rint(integers / factor).astype(np.int32) if (factor > 1).any() else integers, scale * factor


def _taps(node: ir.Node, weight: Constant) -> tuple[np.ndarray, np.ndarray] | str:
    """The weights as [tap, channel, column] and their scales; or why not."""
    array = weight.integers
    if node.op_type == "Conv":
        axis = 0
        taps = array.reshape(*array.shape[:2], -1).transpose(2, 1, 0)
    elif array.ndim != 2:
        return "its weights are no matrix"
    else:
        transposed = integer(node, "transB", 0)
        if integer(node, "transA", 0) or number(node, "alpha", 1.0) != 1.0:
            return "it transposes or scales its input"
        axis = 0 if transposed else 1
        taps = (array.T if transposed else array)[None]
    if weight.axis not in (None, axis):
        return "its weights have a scale for each input channel"
    return taps, weight.scale


def _bias(ctx: Lowering, node: ir.Node, columns: int) -> np.ndarray | None:
    """The node's own bias as real numbers, float64."""
    value = operand(node, 2)
    if value is None:
        return np.zeros(columns)
    given = ctx.constant(value)
    if given is None or given.size not in (1, columns) or given.shape[-1:] not in ((), (given.size,)):
        return None
    return np.broadcast_to(given.reshape(-1).astype(np.float64) * number(node, "beta", 1.0), (columns,))


def _added(ctx: Lowering, node: ir.Node, group: Group, columns: int) -> np.ndarray | None:
    """One constant a column that the group's first node after the product adds to it, when nothing else reads that."""
    if not group.program or group.program[0].op_type != "Add":
        return None
    out, add = node.outputs[0], group.program[0]
    others = [ctx.constant(value) for value in add.inputs if value is not out]
    if len(others) != 1 or others[0] is None or any(out in later.inputs for later in group.program[1:]):
        return None
    return others[0].reshape(-1) if others[0].shape[-1:] == (columns,) == (others[0].size,) else None


def product(ctx: Lowering, node: ir.Node, group: Group) -> str | None:
    """Emits a product of PRODUCTS with the group's program, or says why the node runs in float32."""
    made = read(ctx, node, group)
    if isinstance(made, str):
        return made
    if ctx.rates is not None and not made.depthwise:
        reason = where_int8.slower(node, group, made.stored, ctx.rates)
        if reason is not None:
            return reason
    quantisation, scale, program = _result(made)
    header, code, operands = epilogue(ctx, made.result, program, 5)
    _, channels, columns = made.weight.shape
    if node.op_type == "Conv":
        shape = window(node, made.stored.shape[2:], channels * made.groups, columns)
        conv = PARAMS["ConvParams"].pack(epilogue=header, **shape)
        op, params = "QConv", PARAMS["QConvParams"].pack(quantisation=quantisation, conv=conv)
        if made.depthwise:
            op = "QDepthwiseConv"
        elif made.stem:
            op = "QStemConv"
    else:
        params = PARAMS["QGemmParams"].pack(quantisation=quantisation, k=channels, n=columns, epilogue=header)
        op = "QGemm"
    inputs = [ctx.q8(made.x), *_constants(ctx, node, made, scale), *operands]
    ctx.emit(op, node, params + code, inputs=inputs, outputs=[result(ctx, (group.program or (node,))[-1])])
    return None


def _result(made: Product) -> tuple[bytes, np.ndarray, Sequence[ir.Node]]:
    """The Quantisation struct, the scales of the sums, and the program that remains."""
    fields = {"x_zero_point": made.x_quantity.zero_point, "wide": int(made.weight.min(initial=0) == LOW)}
    found = quantity(made.program[-1]) if made.program else None
    lo, hi = LOW, HIGH
    if found is None:
        return PARAMS["Quantisation"].pack(lo=lo, hi=hi, **fields), made.scale, made.program
    fields |= {"quantised": 1, "zero_point": found.zero_point}
    clips = [clip_bounds(node) for node in made.program[:-1]]
    if None in clips:
        return PARAMS["Quantisation"].pack(lo=lo, hi=hi, **fields), made.scale, made.program
    for bounds in clips:
        assert bounds is not None
        least, most = (found.quantize(bound) for bound in bounds)
        lo, hi = min(max(lo, least), most), min(max(hi, least), most)
    return PARAMS["Quantisation"].pack(lo=lo, hi=hi, **fields), made.scale / found.scale, ()


def _constants(ctx: Lowering, node: ir.Node, made: Product, scale: np.ndarray) -> list[int]:
    """The tensors of weights, bias, sums of weights and scales."""
    sums = made.weight.sum(axis=(0, 1), dtype=np.int32)
    vectors = {"bias": (made.bias, "i32"), "sums": (sums, "i32"), "scale": (scale.astype(np.float32), "f32")}
    if made.depthwise:
        weights = depthwise(made.weight[:, 0])
    else:
        taps = made.weight.reshape(1, -1, made.weight.shape[2]) if made.stem else made.weight
        weights = np.concatenate([panels(part) for part in np.split(taps, made.groups, axis=2)])
    tensors = [ctx.weights(f"{node.name}.weights", weights, CODES["i8"])]
    for name, (values, dtype) in vectors.items():
        parts = [values] if made.depthwise else np.split(values, made.groups)
        tensors.append(ctx.weights(f"{node.name}.{name}", np.concatenate([padded(p) for p in parts]), CODES[dtype]))
    return tensors


# Kernels that move bytes, whatever they stand for.
_MOVES = frozenset(
    (
        "Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity", "MaxPool",
        "Pad", "Reshape", "Resize", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze",
    )
)  # fmt: skip


def is_late(node: ir.Node) -> bool:
    """Whether the node is a DequantizeLinear that programs and products see through, emitted when others read it."""
    return dequantized(node.outputs[0]) is node or dequantized_constant(node.outputs[0]) is not None


def moves(ctx: Lowering, node: ir.Node) -> bool:
    """Whether the node moves values that are of type q8 in the plan."""
    return node.op_type in _MOVES and any(value in ctx.quantised for value in node.inputs)


def move(ctx: Lowering, node: ir.Node, lower: Callable[[Lowering], None]) -> None:
    """Runs `lower` with a Lowering in which every value of 8-bit integers is of type q8."""
    inner = _Bytes(plan=ctx.plan, opset=ctx.opset)
    inner.outer = ctx
    lower(inner)


class _Bytes(Lowering):
    """A view of `outer`."""

    outer: Lowering

    def code(self, value: ir.Value) -> int:
        return layout.Q8 if value.dtype in BYTES else self.outer.code(value)

    def constant(self, value: ir.Value | None) -> np.ndarray | None:
        return self.outer.constant(value)

    def value(self, value: ir.Value | None) -> int:
        return self.outer.q8(value) if value is not None and value.dtype in BYTES else self.outer.value(value)

    def result(self, value: ir.Value) -> int:
        return self.outer.q8_result(value) if value.dtype in BYTES else self.outer.result(value)


def panels(taps: np.ndarray) -> np.ndarray:
    """Packs int8 [tap, channel, column] of one group, flat."""
    count, channels, columns = taps.shape
    depth, wide = -(-channels // DEPTH), -(-columns // layout.PANEL)
    padded = np.zeros((count, depth * DEPTH, wide * layout.PANEL), np.int8)
    padded[:, :channels, :columns] = taps
    split = padded.reshape(count, depth, DEPTH, wide, layout.PANEL)
    return np.ascontiguousarray(split.transpose(3, 0, 1, 4, 2)).reshape(-1)


def depthwise(taps: np.ndarray) -> np.ndarray:
    """Packs int8 [tap, channel], flat."""
    return padded(taps).reshape(-1)


def padded(values: np.ndarray) -> np.ndarray:
    """`values` with zeros behind the last axis, up to whole panels."""
    out = np.zeros((*values.shape[:-1], -(-values.shape[-1] // layout.PANEL) * layout.PANEL), values.dtype)
    out[..., : values.shape[-1]] = values
    return out
