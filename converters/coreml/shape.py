"""Shapes: reading them, changing them, and filling tensors of a given shape."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import Var, types

from edgeort.converters.coreml.broadcasting import broadcast_to, is_static
from edgeort.converters.coreml.emission import (
    DTYPES,
    RANK_LIMIT,
    Emission,
    Refused,
    Results,
    cast,
    positive,
    scalar,
)
from edgeort.passes import edit


def same(e: Emission, node: ir.Node) -> Results:
    """Identity, and Dropout outside training."""
    if any(output.uses() or output.is_graph_output() for output in node.outputs[1:]):
        raise Refused("its mask is read")
    return mb.identity(x=e.input(node))


def shape(e: Emission, node: ir.Node) -> Results:
    """Shape, or a part of it."""
    x = e.input(node)
    start, end = edit.integer(node, "start", 0), edit.integer(node, "end", x.rank)
    whole = mb.shape(x=x)
    begin, stop, _ = slice(start, end).indices(x.rank)
    if (begin, stop) == (0, x.rank):
        return whole
    if stop <= begin:
        raise Refused("the part of the shape is empty")
    return mb.slice_by_index(x=whole, begin=[begin], end=[stop])


def size(e: Emission, node: ir.Node) -> Results:
    """The number of elements."""
    return mb.reduce_prod(x=mb.shape(x=e.input(node)), axes=[0], keep_dims=False)


def reshape(e: Emission, node: ir.Node) -> Results:
    """Reshape; a 0 keeps the input's dimension."""
    x, wanted = e.input(node), e.known(node, 1)
    if wanted is None:
        target = e.input(node, 1)
        if target.sym_val is not None and not edit.integer(node, "allowzero", 0):
            numbers = np.asarray(target.sym_val).reshape(-1).tolist()
            if any(isinstance(number, int) and number == 0 for number in numbers):
                ones = mb.shape(x=x)
                parts = [
                    _item(ones if isinstance(n, int) and n == 0 else target, axis) for axis, n in enumerate(numbers)
                ]
                target = mb.concat(values=parts, axis=0)
        return mb.reshape(x=x, shape=target)
    return _reshape(x, wanted.reshape(-1).tolist(), keep_zeros=edit.integer(node, "allowzero", 0) == 1)


def _item(vector: Var, index: int) -> Var:
    return mb.slice_by_size(x=vector, begin=[index], size=[1])


def _reshape(x: Var, wanted: list[int], keep_zeros: bool = False) -> Var:
    if keep_zeros and 0 in wanted:
        raise Refused("the result is empty")
    if not wanted:
        return mb.squeeze(x=x, axes=list(range(x.rank))) if x.rank else mb.identity(x=x)
    zeros = [axis for axis, size in enumerate(wanted) if size == 0]
    free = [axis for axis in zeros if not isinstance(x.shape[axis], (int, np.integer))]
    filled = [x.shape[axis] if size == 0 and axis not in free else size for axis, size in enumerate(wanted)]
    if len(free) == 1 and -1 not in filled:
        filled[free[0]] = -1
        free = []
    if not free:
        return mb.reshape(x=x, shape=[int(size) for size in filled])
    sizes = mb.shape(x=x)
    parts = [_item(sizes, axis) if axis in free else np.array([n], np.int32) for axis, n in enumerate(filled)]
    return mb.reshape(x=x, shape=mb.concat(values=parts, axis=0))


def flatten(e: Emission, node: ir.Node) -> Results:
    """Flatten to two axes."""
    x = e.input(node)
    axis = positive(edit.integer(node, "axis", 1), x.rank)
    if axis == 0:
        return mb.reshape(x=x, shape=[1, -1])
    if axis == 1 and x.rank > 1:
        return _reshape(x, [0, -1])
    if is_static(x):
        return mb.reshape(x=x, shape=[int(np.prod(x.shape[:axis])), -1])
    return mb.flatten2d(x=x, axis=axis)


def squeeze(e: Emission, node: ir.Node) -> Results:
    """Squeeze; without axes every dimension of 1 goes."""
    x, axes = e.input(node), _axes(e, node)
    if axes is None:
        axes = [axis for axis, size in enumerate(x.shape) if size == 1]
    return mb.squeeze(x=x, axes=axes) if axes else mb.identity(x=x)


def unsqueeze(e: Emission, node: ir.Node) -> Results:
    """Unsqueeze; the axes are those of the result."""
    x, axes = e.input(node), _axes(e, node)
    assert axes is not None
    rank = x.rank + len(axes)
    check_rank(rank)
    return mb.expand_dims(x=x, axes=sorted(positive(axis, rank) for axis in axes))


def check_rank(rank: int) -> None:
    """Refuses what Core ML has no tensor for."""
    if rank > RANK_LIMIT:
        raise Refused(f"its result has rank {rank}, and Core ML's tensors have at most {RANK_LIMIT}")


def _axes(e: Emission, node: ir.Node) -> list[int] | None:
    if "axes" in node.attributes:
        return edit.ints(node, "axes", ())
    return None if edit.operand(node, 1) is None else e.constant(node, 1, "its axes").reshape(-1).tolist()


def expand(e: Emission, node: ir.Node) -> Results:
    """Expand; to a shape that the graph computes by a product with ones."""
    x, wanted = e.input(node), e.known(node, 1)
    if wanted is not None and is_static(x):
        return broadcast_to(x, np.broadcast_shapes(tuple(x.shape), tuple(wanted.reshape(-1).tolist())))
    ones = mb.fill(shape=e.input(node, 1), value=np.int32(1) if x.dtype == types.bool else scalar(x, 1))
    number = cast(x, types.int32) if x.dtype == types.bool else x
    return cast(mb.mul(x=number, y=ones), x.dtype)


def tile(e: Emission, node: ir.Node) -> Results:
    """Tile."""
    x, reps = e.input(node), e.known(node, 1)
    number = cast(x, types.int32) if x.dtype == types.bool else x
    return cast(mb.tile(x=number, reps=e.input(node, 1) if reps is None else reps), x.dtype)


def constant_of_shape(e: Emission, node: ir.Node) -> Results:
    """ConstantOfShape."""
    value = node.attributes.get("value")
    number = np.zeros(1, np.float32) if value is None else e.mil_array(value.as_tensor().numpy())
    shape_var = e.input(node)
    item = number.reshape(-1)[0]
    if number.dtype == np.bool_:
        return cast(mb.fill(shape=shape_var, value=np.int32(item)), types.bool)
    return mb.fill(shape=shape_var, value=item)


def arange(e: Emission, node: ir.Node) -> Results:
    """Range."""
    start, end, step = (_scalar_of(e.input(node, index)) for index in range(3))
    return mb.range_1d(start=start, end=end, step=step)


def _scalar_of(x: Var) -> Var:
    return x if x.rank == 0 else mb.squeeze(x=x, axes=list(range(x.rank)))


def declared(value: ir.Value) -> tuple[type | None, Sequence[int | None] | None]:
    """MIL's type and the dimensions (None: free) that the model declares for a value, None where it does not."""
    dtype = None if value.dtype is None else DTYPES.get(value.dtype)
    if value.shape is None:
        return dtype, None
    return dtype, [size if isinstance(size, int) else None for size in edit.dims(value)]
