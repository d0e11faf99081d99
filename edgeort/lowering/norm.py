"""Normalisations."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from edgeort.lowering import layout
from edgeort.lowering.context import Group, Lowering, integer, integers, number, unsupported
from edgeort.lowering.params import PARAMS
from edgeort.passes.functions import DOMAIN, NHWC

Handler = Callable[[Lowering, ir.Node, Group], None]
_AXIS = PARAMS["AxisParams"]


def _float_only(ctx: Lowering, node: ir.Node) -> None:
    if not ctx.is_f32(*node.inputs):
        raise unsupported(node, "only float32 has a kernel")


def _layer_norm(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """LayerNormalization, edgeort.LayerNorm (whose axis is always the last)."""
    _float_only(ctx, node)
    params = _AXIS.pack(axis=integer(node, "axis", -1), value=number(node, "epsilon", 1e-5))
    ctx.emit("LayerNorm", node, params)


def _rms_norm(ctx: Lowering, node: ir.Node, group: Group) -> None:
    _float_only(ctx, node)
    params = _AXIS.pack(axis=integer(node, "axis", -1), value=number(node, "epsilon", 1e-5))
    ctx.emit("RmsNorm", node, params)


def _group_norm(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """InstanceNormalization is the group norm of one channel a group, which the kernel calls 0 groups."""
    _float_only(ctx, node)
    groups = integer(node, "num_groups", 0)
    if node.op_type == "GroupNormalization" and groups < 1:
        raise unsupported(node, f"num_groups is {groups}")
    params = _AXIS.pack(axis=groups, flag=int(node.domain != NHWC), value=number(node, "epsilon", 1e-5))
    ctx.emit("GroupNorm", node, params)


def _batch_norm(ctx: Lowering, node: ir.Node, group: Group) -> None:
    _float_only(ctx, node)
    if integer(node, "training_mode", 0) or any(value.uses() or value.is_graph_output() for value in node.outputs[1:]):
        raise unsupported(node, "it is in training mode", "export the model in evaluation mode")
    if not integer(node, "spatial", 1):
        raise unsupported(node, "its statistics are of each pixel (spatial = 0), which opset 9 dropped")
    params = _AXIS.pack(flag=int(node.domain != NHWC), value=number(node, "epsilon", 1e-5))
    ctx.emit("BatchNorm", node, params, outputs=ctx.results(node)[:1])


def _lrn(ctx: Lowering, node: ir.Node, group: Group) -> None:
    _float_only(ctx, node)
    params = PARAMS["LrnParams"].pack(
        size=integer(node, "size", 1),
        alpha=number(node, "alpha", 1e-4),
        beta=number(node, "beta", 0.75),
        bias=number(node, "bias", 1.0),
        channels_first=int(node.domain != NHWC),
    )
    ctx.emit("Lrn", node, params)


def _lp_norm(ctx: Lowering, node: ir.Node, group: Group) -> None:
    _float_only(ctx, node)
    ctx.emit("LpNorm", node, _AXIS.pack(axis=integer(node, "axis", -1), flag=integer(node, "p", 2)))


def _mean_variance_norm(ctx: Lowering, node: ir.Node, group: Group) -> None:
    _float_only(ctx, node)
    axes = integers(node, "axes", (0, 2, 3)) or []
    if len(axes) > layout.MAX_RANK:
        raise unsupported(node, f"has {len(axes)} axes")
    ctx.emit("MeanVarianceNorm", node, PARAMS["ListParams"].pack(count=len(axes), values=axes))


_BOTH_LAYOUTS: dict[str, Handler] = {
    "InstanceNormalization": _group_norm,
    "GroupNormalization": _group_norm,
    "BatchNormalization": _batch_norm,
    "LRN": _lrn,
}

HANDLERS: dict[tuple[str, str], Handler] = {
    **{(domain, name): handler for domain in ("", NHWC) for name, handler in _BOTH_LAYOUTS.items()},
    ("", "LayerNormalization"): _layer_norm,
    (DOMAIN, "LayerNorm"): _layer_norm,
    ("", "RMSNormalization"): _rms_norm,
    ("", "LpNormalization"): _lp_norm,
    ("", "MeanVarianceNormalization"): _mean_variance_norm,
}
