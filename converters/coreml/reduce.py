"""Reductions, the greatest and their places, running sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import Var, types

from edgeort.converters.coreml.emission import Emission, Refused, Results, cast
from edgeort.passes import edit


def reduction(name: str) -> Callable[[Emission, ir.Node], Results]:
    """The handler of a reduction that MIL has under that name; `axes` is an attribute or an input."""

    def handler(e: Emission, node: ir.Node) -> Results:
        x = e.input(node)
        axes = _axes(e, node, x)
        if axes is None:
            return mb.identity(x=x)
        narrow = x.dtype == types.bool
        found = getattr(mb, name)(x=cast(x, types.int32) if narrow else x, axes=axes, keep_dims=_keeps(node))
        return cast(found, types.bool) if narrow else found

    return handler


def log_sum(e: Emission, node: ir.Node) -> Results:
    """log(sum(x))."""
    x = e.input(node)
    return mb.log(x=mb.reduce_sum(x=x, axes=_axes(e, node, x) or [], keep_dims=_keeps(node)))


def arg(name: str) -> Callable[[Emission, ir.Node], Results]:
    """ArgMax and ArgMin: the first of equals."""

    def handler(e: Emission, node: ir.Node) -> Results:
        if edit.integer(node, "select_last_index", 0):
            raise Refused("it asks for the last of equals")
        return getattr(mb, name)(x=e.input(node), axis=edit.integer(node, "axis", 0), keep_dims=_keeps(node))

    return handler


def top_k(e: Emission, node: ir.Node) -> Results:
    """TopK for a fixed k."""
    k = int(e.constant(node, 1, "its k").reshape(-1)[0])
    ascending = not edit.integer(node, "largest", 1)
    return mb.topk(x=e.input(node), k=k, axis=edit.integer(node, "axis", -1), ascending=ascending)


def cumulative_sum(e: Emission, node: ir.Node) -> Results:
    """CumSum along a fixed axis."""
    axis = int(e.constant(node, 1, "its axis").reshape(-1)[0])
    flags = {key: edit.integer(node, key, 0) == 1 for key in ("exclusive", "reverse")}
    return mb.cumsum(x=e.input(node), axis=axis, **flags)


def _axes(e: Emission, node: ir.Node, x: Var) -> Sequence[int] | None:
    """The axes to reduce; None where the node does nothing."""
    if "axes" in node.attributes:
        return edit.ints(node, "axes", ())
    axes = [] if edit.operand(node, 1) is None else e.constant(node, 1, "its axes").reshape(-1).tolist()
    if not axes and edit.integer(node, "noop_with_empty_axes", 0):
        return None
    return axes or np.arange(x.rank).tolist()


def _keeps(node: ir.Node) -> bool:
    return edit.integer(node, "keepdims", 1) == 1
