"""Gives dimensions that ONNX's shape inference leaves open a name, so that later passes can tell equal ones.

    x [N,3,?,?]  ->  x [N,3,x_dim2,x_dim3]
    Conv<3x3, strides 2, pads 1>(x)  ->  [N,16,floor((x_dim2 - 1)/2) + 1,...]     a 3x3 with stride 1: as its input
    Reshape(x, Concat(Shape(x)[0:1], [12, -1]))  ->  Reshape(x, [0, 12, -1])

Two dimensions with the same name are equal for every input; nothing is said of dimensions with different names.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import ShapeInferencePass

from edgeort.passes import elementwise
from edgeort.passes.context import PassContext
from edgeort.passes.edit import add_constant, constant, dims, integer, ints, is_op, operand, rank, text

ROUNDS = 16  # every round reaches past one more Reshape whose target depends on the one before

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


def name_dims(model: ir.Model, ctx: PassContext) -> int:
    """Names dimensions of the main graph; returns how many Reshapes got a constant target."""
    count = 0
    for _ in range(ROUNDS):
        open_shapes = _unranked(model.graph)
        count += _name_once(model)
        if _unranked(model.graph) in (0, open_shapes):
            break
        infer_shapes(model)
    return count


def infer_shapes(model: ir.Model) -> None:
    """ONNX's own inference of all types and shapes, through the model's functions too."""
    ShapeInferencePass(check_type=False, strict_mode=False)(model)


def _unranked(graph: ir.Graph) -> int:
    return sum(value.shape is None for node in graph for value in node.outputs)


def _name_once(model: ir.Model) -> int:
    """One walk from front to back."""
    for value in model.graph.inputs:
        if value.shape is not None:
            value.shape = _named(value)
    count = 0
    for node in model.graph:
        for value, found in zip(node.outputs, _output_dims(node), strict=False):
            _fill(value, found)
        for value in node.outputs:
            if value.shape is not None:
                value.shape = _named(value)
        count += _materialize_reshape(model, node)
    return count


def _named(value: ir.Value) -> ir.Shape:
    """The shape of a value, with its own name and the axis for dimensions that are still unknown."""
    return ir.Shape([d if d is not None else f"{value.name}_dim{i}" for i, d in enumerate(dims(value))])


def _fill(value: ir.Value, found: Sequence[Dim] | None) -> None:
    if found is None or (value.shape is not None and len(value.shape) != len(found)):
        return
    known = dims(value) if value.shape is not None else [None] * len(found)
    # what an exporter declares of an output is a name of its own for a size that has one already
    override = value.is_graph_output()
    merged = [
        new if isinstance(new, int) or old is None or (override and new is not None) else old
        for old, new in zip(known, found, strict=True)
    ]
    value.shape = ir.Shape(merged)


def _output_dims(node: ir.Node) -> list[list[Dim] | None]:
    """The dimensions of the outputs, as far as this module knows better than ONNX's inference."""
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
        whole = isinstance(size, str) and scale == int(scale)
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
    return [
        (source[i] if i < len(source) else None) if entry == 0 else None if entry == -1 else entry
        for i, entry in enumerate(target)
    ]


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


def _materialize_reshape(model: ir.Model, node: ir.Node) -> int:
    """A Reshape whose target is computed, but known up to one dimension, gets a constant target."""
    if not is_op(node, "Reshape") or constant(node.inputs[1]) is not None or integer(node, "allowzero", 0):
        return 0
    x, out = node.inputs[0], node.outputs[0]
    if x is None or rank(out) is None:
        return 0
    source = dims(x) if x.shape is not None else []
    target = []
    for axis, size in enumerate(dims(out)):
        same = isinstance(size, str) and axis < len(source) and source[axis] == size
        target.append(size if isinstance(size, int) else 0 if same else -1)
    if target.count(-1) > 1 or any(size == 0 for size in dims(out)):
        return 0
    node.replace_input_with(1, add_constant(model.graph, np.array(target, np.int64), f"{node.name}_shape"))
    return 1
