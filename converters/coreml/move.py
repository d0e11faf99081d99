"""Operators that move elements: Transpose, Concat, Split, Slice, DepthToSpace and their like."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import Var, types

from edgeort.converters.coreml.emission import Emission, Refused, Results, cast, positive, static_shape
from edgeort.passes import edit

_END = np.iinfo(np.int32).max  # an end from here on is that of the axis


def transpose(e: Emission, node: ir.Node) -> Results:
    """Transpose; without `perm` the axes are reversed."""
    x = e.input(node)
    return mb.transpose(x=x, perm=edit.ints(node, "perm", range(x.rank)[::-1]))


def concat(e: Emission, node: ir.Node) -> Results:
    """Concat; empty operands are left out."""
    parts = [e.var(value) for value in node.inputs]
    axis = edit.integer(node, "axis", 0)
    full = [part for part in parts if part.shape[axis] != 0]
    return mb.identity(x=full[0]) if len(full) == 1 else mb.concat(values=full, axis=axis)


def split(e: Emission, node: ir.Node) -> Results:
    """Split into parts of known sizes, or into equal ones, the last of which may be smaller."""
    x, axis = e.input(node), edit.integer(node, "axis", 0)
    count = len(node.outputs)
    if count == 1:
        return mb.identity(x=x)
    if "split" in node.attributes:
        sizes = edit.ints(node, "split", ())
    elif edit.operand(node, 1) is not None:
        sizes = e.constant(node, 1, "its sizes").tolist()
    elif isinstance(x.shape[axis], (int, np.integer)):
        each = -(-int(x.shape[axis]) // count)
        sizes = [each] * (count - 1) + [int(x.shape[axis]) - each * (count - 1)]
    else:
        return mb.split(x=x, num_splits=count, axis=axis)
    if any(size <= 0 for size in sizes):
        raise Refused("a part is empty")
    return mb.split(x=x, split_sizes=sizes, axis=axis)


def slice_axes(e: Emission, node: ir.Node) -> Results:
    """Slice, with fixed axes and steps."""
    x = e.input(node)
    if "starts" in node.attributes:
        starts, ends = (np.array(edit.ints(node, key, ())) for key in ("starts", "ends"))
        axes, steps = edit.ints(node, "axes", range(len(starts))), [1] * len(starts)
    else:
        starts, ends = e.known(node, 1), e.known(node, 2)
        count = e.input(node, 1).shape[0]
        axes = _list(e, node, 3, range(count), "its axes")
        steps = _list(e, node, 4, [1] * count, "its steps")
    axes = [positive(axis, x.rank) for axis in axes]
    if starts is None or ends is None:
        return _computed(e, node, x, axes, steps)
    begin, end, stride = [0] * x.rank, [0] * x.rank, [1] * x.rank
    begin_mask, end_mask = [True] * x.rank, [True] * x.rank
    for start, stop, axis, step in zip(starts.tolist(), ends.tolist(), axes, steps, strict=True):
        stride[axis] = step
        begin[axis], begin_mask[axis], end[axis], end_mask[axis] = _ends(start, stop, step, x.shape[axis])
    return mb.slice_by_index(
        x=x, begin=begin, end=end, stride=stride, begin_mask=begin_mask, end_mask=end_mask
    )


def _list(e: Emission, node: ir.Node, index: int, default: Sequence[int], what: str) -> list[int]:
    return list(default) if edit.operand(node, index) is None else e.constant(node, index, what).tolist()


def _ends(start: int, stop: int, step: int, size: object) -> tuple[int, bool, int, bool]:
    """begin, whether it is the axis's own, end, whether that is its own. Clamped as ONNX does where the size is known."""
    if isinstance(size, (int, np.integer)):
        begin, end, _ = slice(start, stop, step).indices(int(size))
        if len(range(begin, end, step)) == 0:
            raise Refused("the result is empty")
        if step < 0:
            return begin, False, max(end, 0), end < 0
        return begin, begin == 0, end, end == size
    if step < 0:
        if start not in (-1, _END) or stop > -_END + 1:
            raise Refused("it runs backwards over a part of a free dimension")
        return 0, True, 0, True
    return start, start == 0, min(stop, _END), stop >= _END


def _computed(e: Emission, node: ir.Node, x: Var, axes: Sequence[int], steps: Sequence[int]) -> Var:
    """The same with starts and ends that the graph computes."""
    if any(step != 1 for step in steps):
        raise Refused("its starts are computed by the graph, and its steps are not 1")
    begins, ends = [], []
    for axis in range(x.rank):
        for index, found, default in ((1, begins, 0), (2, ends, _END)):
            if axis in axes:
                found.append(mb.slice_by_size(x=e.input(node, index), begin=[list(axes).index(axis)], size=[1]))
            else:
                found.append(np.array([default], np.int32))
    return mb.slice_by_index(
        x=x,
        begin=mb.concat(values=begins, axis=0) if x.rank > 1 else begins[0],
        end=mb.concat(values=ends, axis=0) if x.rank > 1 else ends[0],
        begin_mask=[axis not in axes for axis in range(x.rank)],
        end_mask=[axis not in axes or _is_endless(e, node, list(axes).index(axis)) for axis in range(x.rank)],
    )


def _is_endless(e: Emission, node: ir.Node, index: int) -> bool:
    ends = e.known(node, 2)
    return ends is not None and int(ends[index]) >= _END


def depth_to_space(e: Emission, node: ir.Node) -> Results:
    """DepthToSpace: DCR is MIL's own, CRD its pixel_shuffle."""
    block = edit.integer(node, "blocksize", 1)
    if edit.text(node, "mode", "DCR") == "CRD":
        return mb.pixel_shuffle(x=e.input(node), upscale_factor=block)
    return mb.depth_to_space(x=e.input(node), block_size=block)


def space_to_depth(e: Emission, node: ir.Node) -> Results:
    """SpaceToDepth."""
    return mb.space_to_depth(x=e.input(node), block_size=edit.integer(node, "blocksize", 1))


def trilu(e: Emission, node: ir.Node) -> Results:
    """Trilu by MIL's band_part, which keeps the main diagonal: others by a mask of known size."""
    x = e.input(node)
    diagonal = 0 if edit.operand(node, 1) is None else int(e.constant(node, 1, "its k").reshape(-1)[0])
    is_upper = edit.integer(node, "upper", 1) == 1
    if diagonal == 0 and x.dtype == types.fp32:
        return mb.band_part(x=x, lower=0 if is_upper else -1, upper=-1 if is_upper else 0)
    rows, columns = static_shape(x, "its shape")[-2:]
    ones = np.ones((rows, columns), np.int32)
    mask = np.triu(ones, diagonal) if is_upper else np.tril(ones, diagonal)
    number = cast(x, types.int32) if x.dtype == types.bool else x
    return cast(mb.mul(x=number, y=mask.astype(types.nptype_from_builtin(number.dtype))), x.dtype)


def reverse_sequence(e: Emission, node: ir.Node) -> Results:
    """ReverseSequence."""
    return mb.reverse_sequence(
        x=e.input(node),
        lengths=e.input(node, 1),
        seq_axis=edit.integer(node, "time_axis", 0),
        batch_axis=edit.integer(node, "batch_axis", 1),
    )
