"""MatMul, Gemm and convolutions: weights packed into panels, bias padded, the epilogue compiled.

Packed weights of k rows and n columns: ceil(n / PANEL) panels, each k rows of PANEL float32, so that a register tile
reads whole cache lines one after the other whatever its ISA level; columns beyond n are zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from edgeort.lowering import computed_weights, layout, winograd
from edgeort.lowering.context import Group, Lowering, attribute, integer, integers, number, text, unsupported
from edgeort.lowering.params import PARAMS
from edgeort.lowering.program import add_scaled, elementwise, epilogue
from edgeort.passes.read_planes import reads_planes

_AUTO_PAD = ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")


def panels(matrix: np.ndarray) -> np.ndarray:
    """Packs float32 [k, n] into panels, flat."""
    k, n = matrix.shape
    padded = np.zeros((k, -(-n // layout.PANEL) * layout.PANEL), np.float32)
    padded[:, :n] = matrix
    return np.ascontiguousarray(padded.reshape(k, -1, layout.PANEL).transpose(1, 0, 2)).reshape(-1)


def padded_bias(bias: np.ndarray, n: int, multiple: int = layout.PANEL) -> np.ndarray:
    """A bias of n values, zero-padded. The contract adds it last, and -0 is packed as +0 so that sums are never -0."""
    out = np.zeros(-(-n // multiple) * multiple, np.float32)
    out[:n] = np.broadcast_to(bias, (n,)) + np.float32(0)
    return out


def _params(name: str, header: bytes, instructions: bytes, **fields: object) -> bytes:
    return PARAMS[name].pack(epilogue=header, **fields) + instructions  # type: ignore[arg-type]


def _gemm(
    ctx: Lowering, node: ir.Node, group: Group, a: int, b: int, bias: int, result: int = -1, **fields: object
) -> None:
    header, code, operands = epilogue(ctx, node.outputs[0], group.program, 3)
    params = _params("GemmParams", header, code, **fields)
    ctx.emit(
        "Gemm",
        node,
        params,
        inputs=[a, b, bias, *operands],
        outputs=[ctx.result(group.output) if result < 0 else result],
    )


def matmul(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """MatMul; a constant 2-D right operand is packed."""
    a, b = node.inputs[:2]
    if not ctx.is_f32(a, b):
        raise unsupported(node, "only float32 products have a kernel")
    weight = ctx.constant(b)
    if weight is None or weight.ndim != 2:
        _gemm(ctx, node, group, ctx.value(a), ctx.value(b), -1, alpha=1.0)
        return
    packed = ctx.weights(f"{b.name}.packed", panels(weight))  # type: ignore[union-attr]
    _gemm(ctx, node, group, ctx.value(a), packed, -1, alpha=1.0, packed=1, k=weight.shape[0], n=weight.shape[1])


def gemm(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """Gemm: alpha and beta fold into constant operands; a bias that is not one value a column is added after."""
    a, b, c = (*node.inputs, None, None)[:3]
    if not ctx.is_f32(a, b, c):
        raise unsupported(node, "only float32 products have a kernel")
    alpha, beta = np.float32(number(node, "alpha", 1.0)), np.float32(number(node, "beta", 1.0))
    trans_b = integer(node, "transB", 0)
    weight, bias = ctx.constant(b), ctx.constant(c)
    shape: dict[str, Any] = {"transpose_a": integer(node, "transA", 0), "alpha": 1.0}
    if weight is None:
        operand = ctx.value(b)
        shape |= {"transpose_b": trans_b, "alpha": float(alpha)}
        columns = None
    else:
        matrix = (weight.T if trans_b else weight) * alpha
        operand = ctx.weights(f"{b.name}.packed", panels(matrix))  # type: ignore[union-attr]
        shape |= {"packed": 1, "k": matrix.shape[0], "n": matrix.shape[1]}
        columns = matrix.shape[1]
    if c is None or (bias is not None and columns is not None and _per_column(bias, columns)):
        padded = (
            -1 if bias is None else ctx.weights(f"{node.name}.bias", padded_bias(bias.reshape(-1) * beta, columns or 0))
        )
        _gemm(ctx, node, group, ctx.value(a), operand, padded, **shape)
        return
    product = ctx.plan.activation(f"{node.name}.product")
    _gemm(ctx, node, Group(group.name, node, ()), ctx.value(a), operand, -1, **shape, result=product)
    add_scaled(ctx, node, product, ctx.value(c), float(beta), ctx.result(node.outputs[0]))
    if group.program:
        elementwise(ctx, group.program)


def _per_column(bias: np.ndarray, n: int) -> bool:
    return bias.size in (1, n) and bias.shape in ((), (1,), (n,), (1, n), (1, 1))


def conv(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """edgeort.nhwc.Conv: depthwise (a channel a group), of a picture's planes, or a product over row pointers."""
    weight, bias = ctx.constant(node.inputs[1]), ctx.constant(node.inputs[2])
    if not ctx.is_f32(*node.inputs):
        raise unsupported(node, "only float32 convolutions have a kernel")
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
    taps = weight.reshape(channels, per_group, -1).transpose(2, 1, 0).astype(np.float32)  # [tap, c, o]
    depthwise = per_group == 1 and channels == groups
    if winograd.pays(node, weight, group.output):
        biases, packed = padded_bias(bias, channels), winograd.pack(weight, (integers(node, "strides") or [1])[0])
        _convolution(ctx, node, group, "WinogradConv", kernel, packed, biases, per_group, channels)
        return
    if depthwise:
        packed = taps.reshape(-1, channels)
    else:
        parts = np.split(taps.reshape(-1, channels), groups, axis=1)
        packed = np.concatenate([panels(part) for part in parts])
    n = channels // groups
    biases = (
        padded_bias(bias, channels)
        if depthwise
        else np.concatenate([padded_bias(b, n) for b in np.split(bias, groups)])
    )
    op = "DepthwiseConv" if depthwise else "StemConv" if reads_planes(node) else "Conv"
    _convolution(ctx, node, group, op, kernel, packed, biases, per_group * groups, channels)


def conv_transpose(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """edgeort.nhwc.ConvTranspose: each output gathers the taps that reach it, in order."""
    weight, bias = ctx.constant(node.inputs[1]), ctx.constant(node.inputs[2])
    if not ctx.is_f32(*node.inputs):
        raise unsupported(node, "only float32 convolutions have a kernel")
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
        "auto_pad": _AUTO_PAD.index(text(node, "auto_pad", "NOTSET")),
        "channels_in": c_in,
        "channels_out": c_out,
    }


def _convolution(
    ctx: Lowering,
    node: ir.Node,
    group: Group,
    op: str,
    kernel: tuple[int, ...],
    packed: np.ndarray,
    bias: np.ndarray,
    c_in: int,
    c_out: int,
) -> None:
    weights = ctx.weights(f"{node.inputs[1].name}.packed", packed.reshape(-1))  # type: ignore[union-attr]
    _emit_convolution(ctx, node, group, op, kernel, (weights, ctx.weights(f"{node.name}.bias", bias)), c_in, c_out)


def _emit_convolution(
    ctx: Lowering,
    node: ir.Node,
    group: Group,
    op: str,
    kernel: tuple[int, ...],
    weights_and_bias: tuple[int, int],
    c_in: int,
    c_out: int,
) -> None:
    header, code, operands = epilogue(ctx, node.outputs[0], group.program, 3)
    params = _params("ConvParams", header, code, **window(node, kernel, c_in, c_out))
    inputs = [ctx.value(node.inputs[0]), *weights_and_bias, *operands]
    ctx.emit(op, node, params, inputs=inputs, outputs=[ctx.result(group.output)])
