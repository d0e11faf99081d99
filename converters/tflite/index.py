"""Operators that take elements by index. LiteRT has none below 0: what the model computes is taken modulo the size."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from edgeort.converters.tflite.refusal import Refuse
from edgeort.converters.tflite.writer import Writer
from edgeort.passes.edit import constant, integer


def gather(ctx: Writer, node: ir.Node) -> None:
    """GATHER; one constant index is a SLICE."""
    shape = ctx.shape(node.inputs[0])
    axis = integer(node, "axis", 0) % len(shape)
    x, found = ctx.tensor(node.inputs[0]), constant(node.inputs[1])
    if found is not None and found.size == 1:
        begin, size = [0] * len(shape), list(shape)
        begin[axis], size[axis] = int(found.reshape(())) % shape[axis], 1
        ctx.same(node, ctx.step("SLICE", [x, ctx.ints(begin), ctx.ints(size)], size))
        return
    ctx.forward(node, "GATHER", [x, _places(ctx, node, found, shape[axis])], axis=axis, batch_dims=0)


def _places(ctx: Writer, node: ir.Node, found: np.ndarray | None, size: int) -> int:
    """The tensor of indices from 0."""
    if found is not None:
        return ctx.graph.constant(f"{node.name}_indices", np.where(found < 0, found + size, found).astype(np.int32))
    return _from_zero(ctx, ctx.tensor(node.inputs[1]), np.asarray(size))


def _from_zero(ctx: Writer, places: int, sizes: np.ndarray) -> int:
    """i mod n: ONNX allows -n .. n - 1."""
    table = ctx.graph.constant("sizes", sizes.astype(ctx.about(places).dtype))
    return ctx.step("FLOOR_MOD", [places, table])


def gather_nd(ctx: Writer, node: ir.Node) -> None:
    """GATHER_ND without batch axes."""
    if integer(node, "batch_dims", 0):
        raise Refuse("it has batch axes")
    x, found = ctx.tensor(node.inputs[0]), constant(node.inputs[1])
    depth = ctx.shape(node.inputs[1])[-1]
    sizes = np.asarray(ctx.shape(node.inputs[0])[:depth])
    if found is not None:
        places = ctx.graph.constant(f"{node.name}_indices", np.where(found < 0, found + sizes, found).astype(np.int32))
    else:
        places = _from_zero(ctx, ctx.tensor(node.inputs[1]), sizes)
    ctx.forward(node, "GATHER_ND", [x, places])


def gather_elements(ctx: Writer, node: ir.Node) -> None:
    """GATHER_ND of the elements' whole coordinates, where the indices are constant or the other axes are 1."""
    shape, out = ctx.shape(node.inputs[0]), ctx.shape(node.outputs[0])
    axis, found = integer(node, "axis", 0) % len(shape), constant(node.inputs[1])
    x = ctx.tensor(node.inputs[0])
    if found is not None:
        grid = np.stack(np.meshgrid(*(np.arange(d) for d in out), indexing="ij"), axis=-1)
        grid[..., axis] = np.where(found < 0, found + shape[axis], found)
        ctx.forward(node, "GATHER_ND", [x, ctx.graph.constant(f"{node.name}_indices", grid.astype(np.int32))])
        return
    if any(d != 1 for a, d in enumerate(shape) if a != axis):
        raise Refuse("its indices are computed as the model runs")
    places = _from_zero(ctx, ctx.tensor(node.inputs[1]), np.asarray(shape[axis]))
    rows = ctx.step("RESHAPE", [x, ctx.ints((shape[axis],))], (shape[axis],), new_shape=(shape[axis],))
    ctx.forward(node, "GATHER", [rows, places], axis=0, batch_dims=0)


def lrn(ctx: Writer, node: ir.Node) -> None:
    """edgeort.nhwc.LRN: LOCAL_RESPONSE_NORMALIZATION over an odd number of channels; alpha is a sum's, not a mean's."""
    size = integer(node, "size", 1)
    if size % 2 == 0:
        raise Refuse("it normalises over an even number of channels")
    alpha, beta, bias = (
        node.attributes[n].as_float() if n in node.attributes else d
        for n, d in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0))
    )
    options: dict[str, Any] = {"radius": size // 2, "bias": bias, "alpha": alpha / size, "beta": beta}
    ctx.write(ctx.site(node), "LOCAL_RESPONSE_NORMALIZATION", [ctx.tensor(node.inputs[0])], **options)
