"""MatMul, Gemm and convolutions: weights packed into panels, bias padded, the epilogue compiled.

Packed weights of k rows and n columns: ceil(n / PANEL) panels, each k rows of PANEL float32, so that a register tile
reads whole cache lines one after the other whatever its ISA level; columns beyond n are zero. Those of Gemm, MatMul and
Conv may be compressed (lowering/compressed.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from edgeort.lowering import compressed, computed_weights, layout, sparse, winograd, winograd_stem
from edgeort.lowering.bias import take_bias
from edgeort.lowering.compressed import Panels, panels
from edgeort.lowering.context import Group, Lowering, attribute, choice, integer, integers, number, unsupported
from edgeort.lowering.params import PARAMS
from edgeort.lowering.program import add_scaled, elementwise, epilogue
from edgeort.passes.quantised import dequantized_constant
from edgeort.passes.read_planes import reads_planes

_AUTO_PAD = ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")
_IN_FLOAT32 = (
    "compute it in float32: module.float() before a PyTorch export, FloatTensorType for skl2onnx, "
    "or a Cast before the node"
)


def padded_bias(bias: np.ndarray, n: int, multiple: int = layout.PANEL) -> np.ndarray:
    """A bias of n values, zero-padded. The contract adds it last, and -0 is packed as +0 so that sums are never -0."""
    out = np.zeros(-(-n // multiple) * multiple, np.float32)
    out[:n] = np.broadcast_to(bias, (n,)) + np.float32(0)
    return out


def _params(name: str, header: bytes, instructions: bytes, **fields: object) -> bytes:
    return PARAMS[name].pack(epilogue=header, **fields) + instructions  # type: ignore[arg-type]


def emit_product(
    ctx: Lowering, node: ir.Node, group: Group, a: int, b: int | Panels, bias: int, result: int = -1, **fields: object
) -> None:
    """Emits a product of two tensors, with the group's program; `fields` are those of GemmParams."""
    packed = b if isinstance(b, Panels) else Panels("", b, [])
    header, code, operands = epilogue(ctx, group.tile, group.program, 3 + len(packed.inputs))
    params = _params("GemmParams", header, code, **fields)
    ctx.emit(
        f"{packed.prefix}Gemm",
        node,
        params,
        inputs=[a, packed.weights, bias, *packed.inputs, *operands],
        outputs=[ctx.result(group.output) if result < 0 else result],
    )


def matmul(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """MatMul; a constant 2-D right operand is packed."""
    a, b = node.inputs[:2]
    if not ctx.is_f32(a, b):
        raise unsupported(node, "only float32 products have a kernel", _IN_FLOAT32)
    weight = ctx.constant(b)
    if weight is None or weight.ndim != 2:
        emit_product(ctx, node, group, ctx.value(a), ctx.value(b), -1, alpha=1.0)
        return
    k, n = weight.shape
    bias, group = take_bias(ctx, group, n)
    if sparse.pays(ctx, node, weight):
        sparse.product(ctx, node, group, weight, padded_bias(np.zeros(1) if bias is None else bias, n))
        return
    packed = compressed.pack(ctx, str(b.name), weight, dequantized_constant(b), lambda w: [w])  # type: ignore[union-attr]
    padded = -1 if bias is None else ctx.weights(f"{node.name}.bias", padded_bias(bias, n))
    emit_product(ctx, node, group, ctx.value(a), packed, padded, alpha=1.0, packed=1, k=k, n=n)


def gemm(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """Gemm: alpha and beta fold into constant operands; a bias that is not one value a column is added after."""
    a, b, c = (*node.inputs, None, None)[:3]
    if not ctx.is_f32(a, b, c):
        raise unsupported(node, "only float32 products have a kernel", _IN_FLOAT32)
    alpha, beta = np.float32(number(node, "alpha", 1.0)), np.float32(number(node, "beta", 1.0))
    trans_b = integer(node, "transB", 0)
    weight, bias = ctx.constant(b), ctx.constant(c)
    shape: dict[str, Any] = {"transpose_a": integer(node, "transA", 0), "alpha": 1.0}
    operand: int | Panels
    if weight is not None and (c is None or bias is not None) and not shape["transpose_a"]:
        matrix = (weight.T if trans_b else weight) * alpha
        terms = np.zeros(1, np.float32) if bias is None else bias.reshape(-1) * beta
        if (bias is None or _per_column(bias, matrix.shape[1])) and sparse.pays(ctx, node, matrix):
            sparse.product(ctx, node, group, matrix, padded_bias(terms, matrix.shape[1]))
            return
    if weight is None:
        operand = ctx.value(b)
        shape |= {"transpose_b": trans_b, "alpha": float(alpha)}
        columns = None
    else:
        source = dequantized_constant(b) if alpha == 1 else None
        k, columns = weight.shape[::-1] if trans_b else weight.shape
        operand = compressed.pack(ctx, str(b.name), weight * alpha, source, lambda w: [w.T if trans_b else w])  # type: ignore[union-attr]
        shape |= {"packed": 1, "k": k, "n": columns}
    if c is None or (bias is not None and columns is not None and _per_column(bias, columns)):
        padded = (
            -1 if bias is None else ctx.weights(f"{node.name}.bias", padded_bias(bias.reshape(-1) * beta, columns or 0))
        )
        emit_product(ctx, node, group, ctx.value(a), operand, padded, **shape)
        return
    product = ctx.plan.activation(f"{node.name}.product")
    emit_product(ctx, node, Group(group.name, node, ()), ctx.value(a), operand, -1, **shape, result=product)
    add_scaled(ctx, node, product, ctx.value(c), float(beta), ctx.result(node.outputs[0]))
    if group.program:
        elementwise(ctx, group.program)


def _per_column(bias: np.ndarray, n: int) -> bool:
    return bias.size in (1, n) and bias.shape in ((), (1,), (n,), (1, n), (1, 1))


# Channels of a group for which a vector of outputs is better than a product for each (conv/depthwise.h).
GROUPED = (2, 4, 8)


def conv(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """edgeort.nhwc.Conv: depthwise (a channel a group), of a picture's planes, or a product over row pointers."""
    weight, bias = ctx.constant(node.inputs[1]), ctx.constant(node.inputs[2])
    if not ctx.is_f32(*node.inputs):
        raise unsupported(node, "only float32 convolutions have a kernel", _IN_FLOAT32)
    groups = integer(node, "group", 1)
    if weight is None or bias is None:
        channels, per_group, *rest = computed_weights.weight_shape(node)
        operands = (
            computed_weights.conv_weights(ctx, node, groups),
            computed_weights.bias(ctx, node, groups, channels // groups),
        )
        _emit_convolution(ctx, node, group, "Conv", tuple(rest), operands, per_group * groups, channels)
        return
    channels = weight.shape[0]
    per_group, kernel = weight.shape[1], weight.shape[2:]
    name, source = str(node.inputs[1].name), dequantized_constant(node.inputs[1])  # type: ignore[union-attr]
    packed: np.ndarray | Panels
    if _is_product(node, kernel) and sparse.pays(ctx, node, matrix := _columns(weight, 1)[0]):
        sparse.product(ctx, node, group, matrix, padded_bias(bias, channels))
        return
    # Winograd transforms float32 weights: where memory is what counts, those that can be smaller do without it. So do
    # integers, weights of scale 1: their sums are exact (passes/spell_out_quantisation.py), Winograd's are not.
    small = ctx.rates is None and (source is not None or compressed.is_half(weight))
    exact = source is not None and bool((source.scale == 1).all())
    if winograd.pays(node, weight, group.output) and not (small or exact):
        op, packed = "WinogradConv", winograd.pack(weight, (integers(node, "strides") or [1])[0])
        biases = padded_bias(bias, channels)
    elif per_group == 1 and channels == groups:
        op, packed, biases = "DepthwiseConv", _columns(weight, 1)[0], padded_bias(bias, channels)
    elif per_group in GROUPED and channels == per_group * groups and groups > 1:
        op, packed, biases = "GroupedConv", _columns(weight, 1)[0], padded_bias(bias, channels)
    else:
        biases = np.concatenate([padded_bias(b, channels // groups) for b in np.split(bias, groups)])
        if reads_planes(node) and winograd_stem.pays(weight, group.output) and not exact:
            op, packed = "WinogradStemConv", winograd_stem.pack(weight)
        elif reads_planes(node):
            op, packed = "StemConv", panels(_columns(weight, 1)[0])
        else:
            op, packed = "Conv", compressed.pack(ctx, name, weight, source, lambda w: _columns(w, groups))
    _convolution(ctx, node, group, op, kernel, packed, biases, per_group * groups, channels)


def _is_product(node: ir.Node, kernel: tuple[int, ...]) -> bool:
    """Whether each output pixel is a product of the same input pixel."""
    plain = set(kernel) == {1} and integer(node, "group", 1) == 1 and not reads_planes(node)
    return plain and set(integers(node, "strides") or [1]) == {1} and not any(integers(node, "pads") or [0])


def _columns(weight: np.ndarray, groups: int) -> list[np.ndarray]:
    """[o, c, ...] -> [tap * c, o] of each group."""
    channels, per_group = weight.shape[:2]
    taps = weight.reshape(channels, per_group, -1).transpose(2, 1, 0).reshape(-1, channels)
    return np.split(taps, groups, axis=1)


def conv_transpose(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """edgeort.nhwc.ConvTranspose: each output gathers the taps that reach it, in order."""
    weight, bias = ctx.constant(node.inputs[1]), ctx.constant(node.inputs[2])
    if not ctx.is_f32(*node.inputs):
        raise unsupported(node, "only float32 convolutions have a kernel", _IN_FLOAT32)
    groups = integer(node, "group", 1)
    channels_in, n, *kernel = computed_weights.weight_shape(node) if weight is None else weight.shape
    along_x = kernel[-1] if _one_tap_along_x(node, kernel[-1]) else 1
    if weight is None or bias is None:
        operands = (
            computed_weights.conv_transpose_weights(ctx, node, groups, along_x),
            computed_weights.bias(ctx, node, groups, n, along_x),
        )
        _emit_convolution(ctx, node, group, "ConvTranspose", tuple(kernel), operands, channels_in, n * groups)
        return
    if n == 1 and groups == channels_in:
        packed, biases = weight.astype(np.float32).reshape(channels_in, -1).T, padded_bias(bias, channels_in)
        _convolution(ctx, node, group, "DepthwiseConvTranspose", tuple(kernel), packed, biases, groups, groups)
        return
    parts = []
    for part in np.split(weight.reshape(channels_in, n, -1, along_x).astype(np.float32), groups):
        parts.append(panels(part.transpose(2, 0, 3, 1).reshape(-1, along_x * n)))  # [tap, c] x [x, o]
    biases = np.concatenate([padded_bias(np.tile(b, along_x), along_x * n) for b in np.split(bias, groups)])
    _convolution(
        ctx, node, group, "ConvTranspose", tuple(kernel), np.concatenate(parts), biases, channels_in, n * groups
    )


def _one_tap_along_x(node: ir.Node, kernel: int) -> bool:
    """Whether no two outputs along the last axis share a tap: an input pixel then makes them as one product's columns.

    The runtime asks the same (kernels/conv/conv_transpose.cc, geometry).
    """

    def last(name: str, default: int) -> int:
        return (integers(node, name) or [default])[-1]

    pads = integers(node, "pads") or [0, 0]
    one_step = kernel == last("strides", 1) and last("dilations", 1) == 1 and integer(node, "group", 1) == 1
    plain = pads[len(pads) // 2 - 1] == pads[-1] == last("output_padding", 0) == 0
    return one_step and plain and attribute(node, "output_shape") is None


def window(node: ir.Node, kernel: tuple[int, ...], c_in: int, c_out: int) -> dict[str, Any]:
    """The fields of ConvParams but for the epilogue."""
    spatial = len(kernel)
    if not 1 <= spatial <= 3:
        raise unsupported(node, f"has {spatial} spatial dimensions; kernels exist for 1 to 3")

    def three(values: list[int] | None, fill: int) -> list[int]:
        return [fill] * (3 - spatial) + [int(v) for v in (values or [fill] * spatial)]

    pads = integers(node, "pads") or [0] * (2 * spatial)
    return {
        "spatial": spatial,
        "group": integer(node, "group", 1),
        "kernel": three(list(kernel), 1),
        "stride": three(integers(node, "strides"), 1),
        "dilation": three(integers(node, "dilations"), 1),
        "pad_begin": three(pads[:spatial], 0),
        "pad_end": three(pads[spatial:], 0),
        "output_padding": three(integers(node, "output_padding"), 0),
        "output_shape": three(integers(node, "output_shape"), -1) if attribute(node, "output_shape") else [-1] * 3,
        "auto_pad": choice(node, "auto_pad", _AUTO_PAD, "NOTSET"),
        "channels_in": c_in,
        "channels_out": c_out,
    }


def _convolution(
    ctx: Lowering,
    node: ir.Node,
    group: Group,
    op: str,
    kernel: tuple[int, ...],
    packed: np.ndarray | Panels,
    bias: np.ndarray,
    c_in: int,
    c_out: int,
) -> None:
    name = f"{node.inputs[1].name}.packed"  # type: ignore[union-attr]
    made = packed if isinstance(packed, Panels) else Panels("", ctx.weights(name, packed.reshape(-1)), [])
    operands = (made.weights, ctx.weights(f"{node.name}.bias", bias), *made.inputs)
    _emit_convolution(ctx, node, group, f"{made.prefix}{op}", kernel, operands, c_in, c_out)


def _emit_convolution(
    ctx: Lowering,
    node: ir.Node,
    group: Group,
    op: str,
    kernel: tuple[int, ...],
    operands: tuple[int, ...],
    c_in: int,
    c_out: int,
) -> None:
    """`operands` are the weights, the bias, and what else the kernel of that name reads of weights."""
    header, code, more = epilogue(ctx, node.outputs[0], group.program, 1 + len(operands))
    params = _params("ConvParams", header, code, **window(node, kernel, c_in, c_out))
    inputs = [ctx.value(node.inputs[0]), *operands, *more]
    ctx.emit(op, node, params, inputs=inputs, outputs=[ctx.result(group.output)])
