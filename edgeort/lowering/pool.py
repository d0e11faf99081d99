"""Pooling. The channels-last functions run on vectors of channels; a node that kept ONNX's layout runs the same kernels
on N * C images of one channel."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from edgeort.lowering import layout
from edgeort.lowering.context import Group, Lowering, choice, integer, integers, number, unsupported
from edgeort.lowering.params import PARAMS
from edgeort.lowering.program import read_integers
from edgeort.passes.functions import NHWC

_AUTO_PAD = ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")
_U8, _I8 = 1, 2  # codes of layout.DTYPES


def _params(node: ir.Node) -> bytes:
    kernel = integers(node, "kernel_shape") or []
    spatial = len(kernel)
    if not 1 <= spatial <= 3:
        raise unsupported(node, f"has {spatial} spatial dimensions; kernels exist for 1 to 3")
    pads = integers(node, "pads") or [0] * (2 * spatial)

    def three(values: list[int] | None, fill: int) -> list[int]:
        return [fill] * (3 - spatial) + (values or [fill] * spatial)

    return PARAMS["PoolParams"].pack(
        spatial=spatial,
        channels_first=int(node.domain != NHWC),
        kernel=three(kernel, 1),
        stride=three(integers(node, "strides"), 1),
        dilation=three(integers(node, "dilations"), 1),
        pad_begin=three(pads[:spatial], 0),
        pad_end=three(pads[spatial:], 0),
        auto_pad=choice(node, "auto_pad", _AUTO_PAD, "NOTSET"),
        ceil_mode=integer(node, "ceil_mode", 0),
        count_include_pad=integer(node, "count_include_pad", 0),
        column_major=integer(node, "storage_order", 0),
        p=number(node, "p", 2.0),
    )


def _max_pool(ctx: Lowering, node: ir.Node, group: Group) -> None:
    if ctx.code(node.outputs[0]) not in (0, _U8, _I8, layout.Q8):
        raise unsupported(node, "only float32, uint8 and int8 have a kernel")
    outputs = ctx.results(node)
    if len(outputs) > 1 and outputs[1] >= 0:
        values = outputs[0] if outputs[0] >= 0 else ctx.result(node.outputs[0])
        ctx.emit("MaxPoolIndices", node, _params(node), outputs=[values, outputs[1]])
    else:
        ctx.emit("MaxPool", node, _params(node), outputs=outputs[:1])


def _float_only(ctx: Lowering, node: ir.Node) -> None:
    if not ctx.is_f32(node.inputs[0]):
        raise unsupported(node, "only float32 has a kernel")


def _pool(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """LpPool, and AveragePool of float32."""
    _float_only(ctx, node)
    ctx.emit(node.op_type, node, _params(node))


def _average(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """AveragePool; of integers, unless pads count, which are 0 and not the integer 0."""
    _float_only(ctx, node)
    if integer(node, "count_include_pad", 0):
        _pool(ctx, node, group)
        return
    x, y = read_integers(ctx, node)
    ctx.emit("AveragePool", node, _params(node), inputs=[x], outputs=[y])


def _global_average(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """GlobalAveragePool."""
    _float_only(ctx, node)
    x, y = read_integers(ctx, node)
    ctx.emit("GlobalAveragePool", node, _global_params(node), inputs=[x], outputs=[y])


def _global_params(node: ir.Node) -> bytes:
    return PARAMS["AxisParams"].pack(flag=int(node.domain != NHWC), value=number(node, "p", 2.0))


def _global(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """GlobalMaxPool, GlobalLpPool."""
    _float_only(ctx, node)
    ctx.emit(node.op_type, node, _global_params(node))


def _max_unpool(ctx: Lowering, node: ir.Node, group: Group) -> None:
    _float_only(ctx, node)
    ctx.emit("MaxUnpool", node, _params(node))


_BOTH_LAYOUTS: dict[str, Callable[[Lowering, ir.Node, Group], None]] = {
    "MaxPool": _max_pool,
    "AveragePool": _average,
    "LpPool": _pool,
    "GlobalAveragePool": _global_average,
    "GlobalMaxPool": _global,
    "GlobalLpPool": _global,
}

HANDLERS: dict[tuple[str, str], Callable[[Lowering, ir.Node, Group], None]] = {
    **{(domain, name): handler for domain in ("", NHWC) for name, handler in _BOTH_LAYOUTS.items()},
    ("", "MaxUnpool"): _max_unpool,
}
