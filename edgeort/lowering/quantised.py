"""Products of quantised values by int8 weights: QConv, QStemConv, QDepthwiseConv, QGemm.

    y = (x_scale w_scale[n]) (sum of (x - x_zero_point) w + bias[n])

A product is taken where its input comes from a DequantizeLinear and its weights from one of int8 constants; all others
run in float32 on what the DequantizeLinears make. Where the group's last node quantises the result, and it is only
clamped and multiplied by constants before, these and 1 / y_scale are part of the scale, and the clamp is that of the
integers.

Packed weights of a group, [tap][c][n]: panels of PANEL columns, in each [tap][ceil(c / DEPTH)][PANEL columns][DEPTH
channels], so that 64 bytes in a row are what one instruction multiplies; channels and columns beyond are zero. Those of
a stem, whose channels are few: the same of one tap with all taps' channels. Those of a depthwise convolution:
[tap][channels padded to PANEL].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgeort.lowering import layout, steps, where_int8
from edgeort.lowering.context import Group, Lowering, integer, number
from edgeort.lowering.matrix import window
from edgeort.lowering.params import PARAMS
from edgeort.lowering.program import epilogue, result
from edgeort.lowering.typed import CODES
from edgeort.passes.algebra import clip_bounds
from edgeort.passes.edit import operand
from edgeort.passes.functions import NHWC
from edgeort.passes.quantised import (
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
_SMALL = 2**15 - 1  # less a step, for scales are rounded

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

    def largest_sums(self) -> np.ndarray:
        """A bound of |sum| of each column, float64."""
        weight = self.weight.astype(np.float64)
        folded = self.bias - self.x_quantity.zero_point * weight.sum(axis=(0, 1))
        return np.asarray(np.abs(folded) - LOW * np.abs(weight).sum(axis=(0, 1)))

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
    if weight.block is not None:
        return "its weights have a scale for each block"
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
    out = node.outputs[0]
    if not group.program or group.program[0].op_type != "Add" or any(out in n.inputs for n in group.program[1:]):
        return None
    return _column_constant(ctx, group.program[0], out, columns)


def _column_constant(ctx: Lowering, node: ir.Node, value: ir.Value, columns: int) -> np.ndarray | None:
    """The constant of one number a column that `node` combines `value` with."""
    others = [ctx.constant(other) for other in node.inputs if other is not value]
    if len(others) != 1 or others[0] is None:
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
    quantisation, scale, program = _result(ctx, made)
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
    inputs = [ctx.q8(made.x), *_constants(ctx, node, made, scale), *operands, *_steps(ctx, node, made)]
    ctx.emit(op, node, params + code, inputs=inputs, outputs=[result(ctx, (group.program or (node,))[-1])])
    return None


def _result(ctx: Lowering, made: Product) -> tuple[bytes, np.ndarray, Sequence[ir.Node]]:
    """The Quantisation struct, the scales of the sums, and the program that remains."""
    fields = {"x_zero_point": made.x_quantity.zero_point, "wide": int(made.weight.min(initial=0) == LOW)}
    found = quantity(made.program[-1]) if made.program else None
    if found is not None:
        fields |= {"quantised": 1, "zero_point": found.zero_point}
    folded = None if found is None else _folded(ctx, made, found)
    if folded is None:
        return PARAMS["Quantisation"].pack(lo=LOW, hi=HIGH, **fields), made.scale, made.program
    scale, lo, hi = folded
    small = int((made.largest_sums() * scale < _SMALL).all())
    return PARAMS["Quantisation"].pack(lo=lo, hi=hi, small=small, **fields), scale, ()


def _folded(ctx: Lowering, made: Product, found: Quantity) -> tuple[np.ndarray, int, int] | None:
    """The scales and the limits of integers that do what the program does; None where there are none.

    It may be of clamps, whose bounds become the same integers in every column, and of factors, one a column.
    """
    factor, lo, hi = np.ones(made.weight.shape[2]), LOW, HIGH
    values = [made.result, *(node.outputs[0] for node in made.program)]
    for value, node in zip(reversed(values[:-2]), reversed(made.program[:-1]), strict=True):
        bounds = clip_bounds(node)
        if bounds is None:
            by = _column_constant(ctx, node, value, factor.size) if node.op_type == "Mul" else None
            if by is None or not (by > 0).all():
                return None
            factor = factor * by
            continue
        least, most = ({found.quantize(float(number)) for number in bound * factor} for bound in bounds)
        if len(least) > 1 or len(most) > 1:
            return None
        # What comes later clamps these bounds too.
        lo, hi = (min(max(limit, lo), hi) for limit in (least.pop(), most.pop()))
    return made.scale * factor / found.scale, lo, hi


def _constants(ctx: Lowering, node: ir.Node, made: Product, scale: np.ndarray) -> list[int]:
    """The tensors of weights, bias, sums of weights and scales."""
    sums = made.weight.sum(axis=(0, 1), dtype=np.int32)
    vectors = {"bias": (made.bias, "i32"), "sums": (sums, "i32"), "scale": (scale.astype(np.float32), "f32")}
    if made.depthwise:
        weights = depthwise(made.weight[:, 0])
    else:
        weights = _packed(made)
    tensors = [ctx.weights(f"{node.name}.weights", weights, CODES["i8"])]
    for name, (values, dtype) in vectors.items():
        parts = [values] if made.depthwise else np.split(values, made.groups)
        tensors.append(ctx.weights(f"{node.name}.{name}", np.concatenate([padded(p) for p in parts]), CODES[dtype]))
    return tensors


def _packed(made: Product) -> np.ndarray:
    """The weights of a product that is not depthwise, flat."""
    taps = made.weight.reshape(1, -1, made.weight.shape[2]) if made.stem else made.weight
    return np.concatenate([panels(part) for part in np.split(taps, made.groups, axis=2)])


def _steps(ctx: Lowering, node: ir.Node, made: Product) -> list[int]:
    """The tensor of steps of a product of one tap, all of whose quads are whole; else none."""
    taps, channels, _ = made.weight.shape
    if made.depthwise or not (made.stem or (taps == 1 and channels % DEPTH == 0)):
        return []
    found = steps.steps(_packed(made), -(-taps * channels // DEPTH))
    return [] if found is None else [ctx.weights(f"{node.name}.steps", found, CODES["u64"])]


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
