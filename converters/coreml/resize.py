"""Resize: Core ML's own where it reads the same places, else a gather (nearest) or a product with a matrix an axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import onnx_ir as ir
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import Var, types

from edgeort.converters.coreml import sampling
from edgeort.converters.coreml.emission import Emission, Refused, Results, positive
from edgeort.passes import edit

_HALF_PIXEL = ("half_pixel", "pytorch_half_pixel")


class Axis(NamedTuple):
    """One resized axis: sizes (None: free), and the factor that coordinates are computed with."""

    axis: int
    size: int | None
    out: int | None
    scale: float


def resize(e: Emission, node: ir.Node) -> Results:
    """Resize by known scales or to known sizes."""
    x = e.input(node)
    mode = edit.text(node, "mode", "nearest")
    if edit.integer(node, "antialias", 0):
        raise Refused("it smooths (antialias)")
    transform = edit.text(node, "coordinate_transformation_mode", "half_pixel")
    if node.op_type == "Upsample":
        transform = "asymmetric"
    axes = [axis for axis in _axes(e, node, x) if axis.scale != 1 or axis.size != axis.out]
    if not axes:
        return mb.identity(x=x)
    rounding = edit.text(node, "nearest_mode", "floor" if node.op_type == "Upsample" else "round_prefer_floor")
    if mode == "nearest":
        return _nearest(x, axes, transform, rounding)
    return _own_linear(x, axes, transform) if mode == "linear" else _by_matrix(node, x, axes, transform, mode)


def _own_linear(x: Var, axes: Sequence[Axis], transform: str) -> Var:
    """MIL's bilinear, where it has the mode and the size; else by matrices."""
    plane = all(axis.axis >= x.rank - 2 for axis in axes) and x.rank >= 3
    sampling_mode = {"align_corners": "STRICT_ALIGN_CORNERS", **dict.fromkeys(_HALF_PIXEL, "UNALIGN_CORNERS")}
    sizes = [x.shape[-2], x.shape[-1]]
    for axis in axes:
        if plane:
            sizes[axis.axis - x.rank] = axis.out
    known = all(isinstance(size, (int, np.integer)) for size in (*sizes, *x.shape[-2:]))
    if plane and known and transform in sampling_mode and all(_is_exact(axis) for axis in axes):
        return mb.resize_bilinear(
            x=x,
            target_size_height=int(sizes[0]),
            target_size_width=int(sizes[1]),
            sampling_mode=sampling_mode[transform],
        )
    if plane and not known and transform in (*_HALF_PIXEL, "align_corners"):
        scales = {axis.axis - x.rank: axis.scale for axis in axes}
        return mb.upsample_bilinear(
            x=x,
            scale_factor_height=np.float32(scales.get(-2, 1.0)),
            scale_factor_width=np.float32(scales.get(-1, 1.0)),
            align_corners=transform == "align_corners",
        )
    return _by_matrix(None, x, axes, transform, "linear")


def _is_exact(axis: Axis) -> bool:
    """Whether the factor is the quotient of the sizes, as MIL computes it, and more than one place is read."""
    return axis.out is not None and axis.size is not None and axis.out > 1 and axis.out == axis.size * axis.scale


def _nearest(x: Var, axes: Sequence[Axis], transform: str, rounding: str) -> Var:
    factors = {axis.axis - x.rank: int(axis.scale) for axis in axes}
    plane = x.rank >= 3 and all(index >= -2 for index in factors)
    if plane and all(_repeats(axis, transform, rounding) for axis in axes):
        return mb.upsample_nearest_neighbor(
            x=x, scale_factor_height=factors.get(-2, 1), scale_factor_width=factors.get(-1, 1)
        )
    for axis in axes:
        size, out = _known(axis)
        places = sampling.coordinates(size, out, axis.scale, transform)
        indices = np.array(sampling.nearest(places, size, rounding), np.int32)
        x = mb.gather(x=x, indices=indices, axis=axis.axis)
    return x


def _repeats(axis: Axis, transform: str, rounding: str) -> bool:
    """Whether each input is repeated a whole number of times: output i reads floor(i / factor)."""
    if axis.scale != int(axis.scale):
        return False
    factor, size = int(axis.scale), axis.size or 4  # the pattern is the same for any size
    if transform == "align_corners" and axis.size is None:
        return False
    places = sampling.coordinates(size, size * factor, axis.scale, transform)
    return sampling.nearest(places, size, rounding) == [i // factor for i in range(size * factor)]


def _by_matrix(node: ir.Node | None, x: Var, axes: Sequence[Axis], transform: str, mode: str) -> Var:
    for axis in axes:
        size, out = _known(axis)
        places = sampling.coordinates(size, out, axis.scale, transform)
        if mode == "linear":
            matrix = sampling.linear_matrix(places, size)
        else:
            assert node is not None
            a, outside = edit.number(node, "cubic_coeff_a", -0.75), edit.integer(node, "exclude_outside", 0)
            matrix = sampling.cubic_matrix(places, size, a, outside == 1)
        x = _along(x, axis.axis, matrix)
    return x


def _along(x: Var, axis: int, matrix: np.ndarray) -> Var:
    """The product of an axis with a matrix [size, out]."""
    matrix = matrix.astype(types.nptype_from_builtin(x.dtype))
    if axis == x.rank - 1:
        return mb.matmul(x=x, y=matrix)
    if axis == x.rank - 2:
        return mb.matmul(x=np.ascontiguousarray(matrix.T), y=x)
    perm = [other for other in range(x.rank) if other != axis] + [axis]
    moved = mb.matmul(x=mb.transpose(x=x, perm=perm), y=matrix)
    return mb.transpose(x=moved, perm=np.argsort(perm).tolist())


def _known(axis: Axis) -> tuple[int, int]:
    if axis.size is None or axis.out is None:
        raise Refused(f"axis {axis.axis} is free, and Core ML has no such resize of a free size")
    return axis.size, axis.out


def _axes(e: Emission, node: ir.Node, x: Var) -> list[Axis]:
    """The axes that `scales` or `sizes` speak of. `roi` stands before them from opset 11 on."""
    first = 1 if e.opset < 11 or node.op_type == "Upsample" else 2
    listed = edit.ints(node, "axes", range(x.rank))
    listed = [positive(axis, x.rank) for axis in listed]
    scales = e.known(node, first) if edit.operand(node, first) is not None else None
    if scales is not None and scales.size:
        return [_scaled(x, axis, float(scale)) for axis, scale in zip(listed, scales.reshape(-1), strict=True)]
    if edit.operand(node, first) is not None and scales is None:
        raise Refused("its scales are computed by the graph, and Core ML wants them fixed")
    if edit.text(node, "keep_aspect_ratio_policy", "stretch") != "stretch":
        raise Refused("it keeps the aspect ratio")
    sizes = e.constant(node, 3, "its sizes").reshape(-1).tolist()
    found = []
    for axis, out in zip(listed, sizes, strict=True):
        size = x.shape[axis]
        if not isinstance(size, (int, np.integer)):
            raise Refused(f"axis {axis} is free, and its size is fixed afterwards")
        found.append(Axis(axis, int(size), int(out), out / int(size)))
    return found


def _scaled(x: Var, axis: int, scale: float) -> Axis:
    size = x.shape[axis]
    if not isinstance(size, (int, np.integer)):
        return Axis(axis, None, None, scale)
    return Axis(axis, int(size), int(np.floor(int(size) * np.float32(scale))), scale)
