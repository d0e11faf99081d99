"""Reading and writing at indices."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import Var, types

from edgeort.converters.coreml.emission import Emission, Refused, Results, cast, positive
from edgeort.passes import edit

Read = Callable[[Var, Var], Var]


def gather(e: Emission, node: ir.Node) -> Results:
    """Gather."""
    axis = edit.integer(node, "axis", 0)
    indices = e.known(node, 1)
    x = e.input(node)
    size = x.shape[axis]
    if indices is None or not isinstance(size, (int, np.integer)):
        return _read(x, lambda data: mb.gather(x=data, indices=e.input(node, 1), axis=axis))
    fixed = np.where(indices < 0, indices + int(size), indices).astype(np.int32)
    return _read(x, lambda data: mb.gather(x=data, indices=fixed, axis=axis))


def gather_elements(e: Emission, node: ir.Node) -> Results:
    """GatherElements. Core ML wants data and indices of the same size off the axis, ONNX only as much data."""
    x, axis = e.input(node), edit.integer(node, "axis", 0)
    indices = e.input(node, 1)
    axis = positive(axis, x.rank)
    sizes = [have for have in range(x.rank) if have != axis and _differs(x.shape[have], indices.shape[have])]
    for other in sizes:
        if x.shape[other] == 1 or not isinstance(indices.shape[other], (int, np.integer)):
            raise Refused("the sizes of its data and of its indices may differ")
        others = [rest != other for rest in range(x.rank)]
        ends = [0 if rest else int(indices.shape[other]) for rest in others]
        x = mb.slice_by_index(x=x, begin=[0] * x.rank, end=ends, begin_mask=others, end_mask=others)
    return _read(x, lambda data: mb.gather_along_axis(x=data, indices=indices, axis=axis))


def _differs(size: object, other: object) -> bool:
    known = isinstance(size, (int, np.integer)) and isinstance(other, (int, np.integer))
    return known and size != other


def gather_nd(e: Emission, node: ir.Node) -> Results:
    """GatherND."""
    batch_dims = edit.integer(node, "batch_dims", 0)
    given = {}
    if batch_dims:
        e.needs(16, "batch_dims")
        given["batch_dims"] = batch_dims
    return _read(e.input(node), lambda data: mb.gather_nd(x=data, indices=e.input(node, 1), **given))


def _read(x: Var, read: Callable[[Var], Var]) -> Var:
    """Reads booleans as integers, which MIL's gathers take."""
    return cast(read(cast(x, types.int32) if x.dtype == types.bool else x), x.dtype)


_MODES = {"none": "update", "add": "add", "mul": "mul", "max": "max", "min": "min"}


def scatter_elements(e: Emission, node: ir.Node) -> Results:
    """ScatterElements."""
    data, indices, updates = (e.input(node, index) for index in range(3))
    axis, mode = edit.integer(node, "axis", 0), _MODES[edit.text(node, "reduction", "none")]
    return mb.scatter_along_axis(data=data, indices=indices, updates=updates, axis=axis, mode=mode)


def scatter_nd(e: Emission, node: ir.Node) -> Results:
    """ScatterND."""
    data, indices, updates = (e.input(node, index) for index in range(3))
    mode = _MODES[edit.text(node, "reduction", "none")]
    return mb.scatter_nd(data=data, indices=indices, updates=updates, mode=mode)


def one_hot(e: Emission, node: ir.Node) -> Results:
    """OneHot of a fixed depth; indices below 0 count from the end."""
    indices = cast(e.input(node), types.int32)
    depth = int(e.constant(node, 1, "its depth").reshape(-1)[0])
    off, on = e.constant(node, 2, "its values").reshape(-1)
    below = mb.cast(x=mb.less(x=indices, y=np.int32(0)), dtype="int32")
    indices = mb.add(x=indices, y=mb.mul(x=below, y=np.int32(depth)))
    axis = edit.integer(node, "axis", -1)
    axis = positive(axis, indices.rank + 1)
    return mb.one_hot(indices=indices, one_hot_vector_size=np.int32(depth), axis=axis, on_value=on, off_value=off)


def non_zero(e: Emission, node: ir.Node) -> Results:
    """NonZero: MIL has an index a row, ONNX a column."""
    x = e.input(node)
    return mb.transpose(x=mb.non_zero(x=cast(x, types.int32) if x.dtype == types.bool else x), perm=[1, 0])
