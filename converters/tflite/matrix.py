"""Products of matrices: FULLY_CONNECTED where the right one is a constant matrix, else BATCH_MATMUL."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from edgeort.converters.tflite.conv import product_scale
from edgeort.converters.tflite.refusal import Refuse
from edgeort.converters.tflite.weights import Weights, bias
from edgeort.converters.tflite.writer import Site, Writer
from edgeort.passes.edit import integer, is_op, number, only_user, operand
from edgeort.passes.quantised import numbers_of

_MOST_DIMS = 5  # of BATCH_MATMUL


def matmul(ctx: Writer, node: ir.Node) -> None:
    """MatMul; an Add of a constant vector behind a constant matrix becomes the bias."""
    numbers = numbers_of(node.inputs[1])
    if numbers is not None and numbers.ndim == 2 and len(ctx.shape(node.inputs[0])) >= 2:
        weights = Weights.of(node.inputs[1]).transpose((1, 0))
        addend = _added(ctx, node, weights.numbers.shape[0])
        if addend is None:
            _connected(ctx, node, node, node.inputs[0], weights, None)
        else:
            add, vector = addend
            ctx.done.add(add)
            _connected(ctx, node, add, node.inputs[0], weights, vector)
        return
    _batched(ctx, node)


def gemm(ctx: Writer, node: ir.Node) -> None:
    """Gemm with constant b and c; alpha and beta go into them."""
    if integer(node, "transA", 0):
        raise Refuse("its first operand is transposed")
    weights, c = Weights.of(node.inputs[1]), operand(node, 2)
    if not integer(node, "transB", 0):
        weights = weights.transpose((1, 0))
    alpha, beta = number(node, "alpha", 1.0), number(node, "beta", 1.0)
    if alpha != 1:
        weights = Weights((weights.numbers * np.float32(alpha)).astype(np.float32))
    vector = None if c is None else numbers_of(c)
    outputs = weights.numbers.shape[0]
    if c is not None and (vector is None or vector.size not in (1, outputs) or math.prod(vector.shape[:-1]) != 1):
        raise Refuse("what it adds is computed as the model runs, or differs from row to row")
    if vector is not None:
        vector = np.broadcast_to(vector.reshape(-1) * np.float32(beta), (outputs,))
    _connected(ctx, node, node, node.inputs[0], weights, vector)


def dynamic(ctx: Writer, node: ir.Node) -> None:
    """edgeort.DynamicQuantMatMul: FULLY_CONNECTED of float32 by int8, which quantises rows as it runs, as this does."""
    integers, scale = numbers_of(node.inputs[1]), numbers_of(node.inputs[2])
    if integers is None or scale is None:
        raise Refuse("its weights are computed as the model runs")
    integers = np.maximum(integers.astype(np.int8), -127)
    numbers = integers.astype(np.float32) * scale
    weights = Weights(numbers, integers, scale.astype(np.float32), 1).transpose((1, 0))
    addend = _added(ctx, node, integers.shape[1])
    last, vector = (node, None) if addend is None else addend
    site = ctx.site(last, fuses=True)
    if addend is not None:
        ctx.done.add(last)
    inputs = [ctx.tensor(node.inputs[0]), weights.raw(ctx, f"{node.name}_weights")]
    inputs += [] if vector is None else [bias(ctx, f"{node.name}_bias", vector, None)]
    _write(ctx, site, inputs)
    ctx.notes.append((node, "LiteRT quantises its rows as the model runs by its own rule"))


def _added(ctx: Writer, node: ir.Node, outputs: int) -> tuple[ir.Node, np.ndarray] | None:
    """The Add of a constant vector that alone reads a product, and the vector."""
    add = only_user(node.outputs[0])
    if add is None or not is_op(add, "Add"):
        return None
    other = add.inputs[1] if add.inputs[0] is node.outputs[0] else add.inputs[0]
    vector = numbers_of(other)
    if vector is None or vector.size != outputs or vector.shape[-1:] != (outputs,) or vector.dtype != np.float32:
        return None
    return (add, vector.reshape(-1)) if len(ctx.shape(add.outputs[0])) == len(ctx.shape(node.outputs[0])) else None


def _connected(
    ctx: Writer, node: ir.Node, last: ir.Node, x: ir.Value | None, weights: Weights, vector: np.ndarray | None
) -> None:
    """FULLY_CONNECTED; `weights` are [outputs, inputs], `last` is the node whose result it writes."""
    integers, name = ctx.integers(x), str(node.inputs[1].name if node.inputs[1] else node.name)
    site = ctx.site(last, fuses=True, integers=integers is not None and weights.fits(0))
    if site.quant is None or integers is None:
        stored = weights if weights.fits(0) else weights.floats()
        inputs, scale = [ctx.tensor(x), stored.tensor(ctx, name)], None
    else:
        inputs, scale = [integers, weights.raw(ctx, name)], product_scale(ctx, integers, weights)
    if vector is not None:
        inputs.append(bias(ctx, f"{name}_bias", vector, scale))
    _write(ctx, site, inputs)


def _write(ctx: Writer, site: Site, inputs: list[int]) -> None:
    ctx.write(site, "FULLY_CONNECTED", inputs, keep_num_dims=True, **site.fused)


def _batched(ctx: Writer, node: ir.Node) -> None:
    """BATCH_MATMUL; a vector operand is a matrix of one row or column."""
    shapes = [ctx.shape(value) for value in node.inputs]
    if max(map(len, shapes)) > _MOST_DIMS:
        raise Refuse(f"its operands have more than {_MOST_DIMS} dimensions")
    pair = [ctx.integers(value) for value in node.inputs]
    plain = min(map(len, shapes)) >= 2
    site = ctx.site(node, integers=plain and None not in pair)
    inputs = [i for i in pair if i is not None] if site.quant else [ctx.tensor(value) for value in node.inputs]
    if plain:
        ctx.write(site, "BATCH_MATMUL", inputs, adj_x=False, adj_y=False)
        return
    left, right = shapes
    for i, shape in enumerate((left, right)):
        if len(shape) == 1:
            shape = (1, *shape) if i == 0 else (*shape, 1)
            inputs[i] = ctx.step("RESHAPE", [inputs[i], ctx.ints(shape)], shape, new_shape=shape)
    matrices = [ctx.about(i).shape for i in inputs]
    shape = (*np.broadcast_shapes(matrices[0][:-2], matrices[1][:-2]), matrices[0][-2], matrices[1][-1])
    ctx.same(node, ctx.step("BATCH_MATMUL", inputs, shape, adj_x=False, adj_y=False))
