"""The dimensions of a node's outputs from the names of its inputs' dimensions, where ONNX's own inference gives up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from edgeort.passes import elementwise
from edgeort.passes.edit import constant, dims, integer, ints, is_op, operand, text
from edgeort.passes.layout_edit import read_axes

Dim = int | str | None

_POOLS = ("MaxPool", "AveragePool", "LpPool")
_SAME_SHAPE = (
    "Identity",
    "Cast",
    "Dropout",
    "Softmax",
    "LogSoftmax",
    "BatchNormalization",
    "InstanceNormalization",
    "GroupNormalization",
    "LayerNormalization",
    "LRN",
    "QuantizeLinear",
    "DequantizeLinear",
)
_REDUCE = (
    "ReduceSum",
    "ReduceMean",
    "ReduceMax",
    "ReduceMin",
    "ReduceProd",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceSumSquare",
)


def output_dims(node: ir.Node) -> list[list[Dim] | None]:
    """The dimensions of the outputs, as far as this module knows better than ONNX's inference.

    Nothing where the operands are of ranks that the operator cannot have: the runtime will say so.
    """
    try:
        return _output_dims(node)
    except (LookupError, StopIteration, ValueError, ZeroDivisionError):
        return []


def _output_dims(node: ir.Node) -> list[list[Dim] | None]:
    x = node.inputs[0] if node.inputs else None
    if x is None or node.domain not in ("", "edgeort"):
        return []
    if is_op(node, "Conv", *_POOLS):
        return [_window(node, x)] * len(node.outputs)
    if is_op(node, "ConvTranspose"):
        return [_transposed_window(node, x)]
    if is_op(node, "Resize"):
        return [_resize(node, x)]
    if elementwise.is_program_operator(node) or is_op(node, "Where", "Sum"):
        return [broadcast([v for v in node.inputs if v is not None])]
    if is_op(node, *_SAME_SHAPE):
        return [dims(x) if x.shape is not None else None]
    if is_op(node, "Concat"):
        return [_concat(node)]
    if is_op(node, "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool") and x.shape is not None:
        return [[*dims(x)[:2], *[1] * (len(x.shape) - 2)]]
    if is_op(node, "MatMul"):
        return [_matmul(node, x)]
    if is_op(node, "Transpose") and x.shape is not None:
        return [[dims(x)[a] for a in ints(node, "perm", reversed(range(len(x.shape))))]]
    if is_op(node, "Reshape"):
        return [_reshape(node, x)]
    if is_op(node, "Slice", "Split", "Gather", "Squeeze", "Unsqueeze", *_REDUCE) and x.shape is not None:
        return [_rearranged(node, x)] * len(node.outputs)
    return []


def broadcast(values: Sequence[ir.Value]) -> list[Dim] | None:
    """The dimensions of an elementwise result; None where a rank is unknown."""
    if any(v.shape is None for v in values):
        return None
    return _broadcast_dims([dims(v) for v in values])


def _broadcast_dims(shapes: Sequence[Sequence[Dim]]) -> list[Dim]:
    full = max(len(s) for s in shapes)
    result: list[Dim] = []
    for axis in range(-full, 0):
        sizes = {s[axis] for s in shapes if len(s) >= -axis} - {1}
        larger = [s for s in sizes if isinstance(s, int)]
        result.append(larger[0] if larger else 1 if not sizes else sizes.pop() if len(sizes) == 1 else None)
    return result


def _window(node: ir.Node, x: ir.Value) -> list[Dim] | None:
    """Conv and pooling: floor((d + pads - window) / stride) + 1."""
    weight = operand(node, 1)
    if x.shape is None or len(x.shape) < 3 or (node.op_type == "Conv" and (weight is None or weight.shape is None)):
        return None
    source, spatial = dims(x), len(x.shape) - 2
    kernel: list[Dim] = list(ints(node, "kernel_shape", ()))
    if not kernel and weight is not None and weight.shape is not None:
        kernel = dims(weight)[2:]
    if any(not isinstance(k, int) for k in kernel):
        return None
    channels = dims(weight)[0] if node.op_type == "Conv" and weight is not None else source[1]
    strides, dilations = ints(node, "strides", [1] * spatial), ints(node, "dilations", [1] * spatial)
    pads, auto = ints(node, "pads", [0] * 2 * spatial), text(node, "auto_pad", "NOTSET")
    result: list[Dim] = [source[0], channels]
    for i in range(spatial):
        size, step, window = source[2 + i], strides[i], (int(kernel[i] or 0) - 1) * dilations[i] + 1
        room = pads[i] + pads[spatial + i] - window if auto == "NOTSET" else -window
        if not isinstance(size, str):
            result.append(None)
        elif step == 1 and (auto.startswith("SAME") or room == -1):
            result.append(size)
        elif auto.startswith("SAME"):
            result.append(f"floor(({size} + {step - 1})/{step})")
        else:
            result.append(None if integer(node, "ceil_mode", 0) else _strided(size, room, step))
    return result


def _strided(size: str, room: int, step: int) -> str:
    """The expression floor((size + room) / step) + 1, with the constant terms of `size` and `room` merged."""
    if size.endswith(" + 1"):
        size, room = size.removesuffix(" + 1"), room + 1
    total = size if room == 0 else f"{size} {'-' if room < 0 else '+'} {abs(room)}"
    return f"floor(({total})/{step}) + 1" if step > 1 else f"{total} + 1"


def _transposed_window(node: ir.Node, x: ir.Value) -> list[Dim] | None:
    """ConvTranspose with explicit pads: (d - 1) stride + window - pads + output_padding."""
    weight = operand(node, 1)
    if x.shape is None or weight is None or weight.shape is None or "output_shape" in node.attributes:
        return None
    source, kernel, spatial = dims(x), dims(weight), len(x.shape) - 2
    if text(node, "auto_pad", "NOTSET") != "NOTSET" or any(not isinstance(k, int) for k in kernel[1:]):
        return None
    strides, dilations = ints(node, "strides", [1] * spatial), ints(node, "dilations", [1] * spatial)
    pads, extra = ints(node, "pads", [0] * 2 * spatial), ints(node, "output_padding", [0] * spatial)
    result: list[Dim] = [source[0], int(kernel[1] or 0) * integer(node, "group", 1)]
    for i in range(spatial):
        size, step, window = source[2 + i], strides[i], (int(kernel[2 + i] or 0) - 1) * dilations[i] + 1
        shift = window - step - pads[i] - pads[spatial + i] + extra[i]
        scaled = f"{step}*({size})" if step > 1 else size
        result.append(None if not isinstance(size, str) else scaled if shift == 0 else f"{scaled} + {shift}")
    return result


def _resize(node: ir.Node, x: ir.Value) -> list[Dim] | None:
    """Resize by whole factors."""
    scales = constant(operand(node, 2))
    if x.shape is None or scales is None or scales.size != len(x.shape) or "axes" in node.attributes:
        return None
    result: list[Dim] = []
    for size, scale in zip(dims(x), scales.tolist(), strict=True):
        whole = isinstance(size, str) and float(scale).is_integer()
        result.append(size if scale == 1 else f"{int(scale)}*({size})" if whole else None)
    return result


def _concat(node: ir.Node) -> list[Dim] | None:
    values = [v for v in node.inputs if v is not None]
    if any(v.shape is None for v in values):
        return None
    shapes = [dims(v) for v in values]
    axis = integer(node, "axis", 0) % len(shapes[0])
    result: list[Dim] = []
    for i in range(len(shapes[0])):
        sizes = [s[i] for s in shapes if s[i] is not None]
        result.append(None if i == axis or not sizes else next((s for s in sizes if isinstance(s, int)), sizes[0]))
    return result


def _matmul(node: ir.Node, x: ir.Value) -> list[Dim] | None:
    """MatMul: leading dimensions broadcast, then rows of the first and columns of the second operand."""
    other = node.inputs[1]
    if x.shape is None or len(x.shape) < 2 or other is None or other.shape is None or len(other.shape) < 2:
        return None
    return [*_broadcast_dims([dims(x)[:-2], dims(other)[:-2]]), dims(x)[-2], dims(other)[-1]]


def _reshape(node: ir.Node, x: ir.Value) -> list[Dim] | None:
    target = entries(operand(node, 1))
    if target is None or integer(node, "allowzero", 0):
        return None
    source = dims(x) if x.shape is not None else []
    result = [(source[i] if i < len(source) else None) if e == 0 else e for i, e in enumerate(target)]
    if -1 in result:
        place = result.index(-1)
        result[place] = _rest(source, result[:place] + result[place + 1 :])
    return result


def _rest(source: Sequence[Dim], others: Sequence[Dim]) -> Dim:
    """The size that Reshape's -1 stands for, where it is a number or one of the source's named sizes."""
    if None in others or None in source or not source:
        return None
    named, number, divisor = [d for d in source if isinstance(d, str)], 1, 1
    for size in source:
        number *= size if isinstance(size, int) else 1
    for size in others:
        if isinstance(size, int):
            divisor *= size
        elif size in named:
            named.remove(size)
        else:
            return None
    if not divisor or number % divisor:
        return None
    quotient = number // divisor
    return quotient if not named else named[0] if len(named) == 1 and quotient == 1 else None


def entries(value: ir.Value | None) -> list[Dim] | None:
    """What is known of a one-dimensional integer tensor that was computed from shapes; None: not even its length."""
    array = constant(value)
    if array is not None:
        return [int(e) for e in array.reshape(-1)] if array.dtype.kind == "i" else None
    if value is None:
        return None
    node = value.producer()
    found = None if node is None else _entries_of(node)
    if found is None and value.shape is not None and len(value.shape) == 1 and isinstance(value.shape[0], int):
        return [None] * value.shape[0]
    return found


def _entries_of(node: ir.Node) -> list[Dim] | None:
    x = node.inputs[0] if node.inputs else None
    if is_op(node, "Shape") and x is not None and x.shape is not None:
        start, end = node.attributes.get("start"), node.attributes.get("end")
        return dims(x)[start.as_int() if start else None : end.as_int() if end else None]
    if is_op(node, "Cast", "Identity", "Unsqueeze", "Squeeze"):
        return entries(x)
    if is_op(node, "Concat"):
        parts = [entries(v) for v in node.inputs]
        return None if any(p is None for p in parts) else [e for p in parts for e in p or []]
    source = entries(x) if is_op(node, "Gather", "Slice") else None
    if source is None:
        return None
    picked = [constant(v) for v in node.inputs[1:]]
    if any(p is None for p in picked):
        return None
    if is_op(node, "Gather"):
        return [source[int(i)] for i in np.asarray(picked[0]).reshape(-1)]
    numbers = [int(np.asarray(p).reshape(-1)[0]) for p in picked if p is not None and p.size == 1]
    if len(numbers) != len(picked):
        return None
    return source[numbers[0] : numbers[1] : numbers[3] if len(numbers) > 3 else 1]


def _rearranged(node: ir.Node, x: ir.Value) -> list[Dim] | None:
    """Operators that keep some axes as they are; what they do to the others is left to ONNX's inference."""
    source = dims(x)
    if is_op(node, "Gather"):
        axis, indices = integer(node, "axis", 0) % len(source), node.inputs[1]
        return None if indices is None or indices.shape is None else source[:axis] + dims(indices) + source[axis + 1 :]
    if is_op(node, "Split"):
        axes = [integer(node, "axis", 0)]
    else:
        found, known = read_axes(node, 3 if is_op(node, "Slice") else 1)
        if found is None or not known:
            return None
        axes = found
    if is_op(node, "Unsqueeze"):
        full = len(source) + len(axes)
        new, rest = {a % full for a in axes}, iter(source)
        return [1 if a in new else next(rest) for a in range(full)]
    touched = {a % len(source) for a in axes}
    if is_op(node, "Slice", "Split"):
        return [None if a in touched else size for a, size in enumerate(source)]
    kept = is_op(node, *_REDUCE) and integer(node, "keepdims", 1)
    return [1 if a in touched else size for a, size in enumerate(source) if kept or a not in touched]
