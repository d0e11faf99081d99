"""Resize and Upsample, rearrangements between depth and space, sampling at computed places."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from edgeort.lowering.context import Group, Lowering, choice, integer, integers, number, unsupported
from edgeort.lowering.params import PARAMS
from edgeort.passes.functions import NHWC

Handler = Callable[[Lowering, ir.Node, Group], None]

# The order is that of the enumerations in runtime/kernels/resize/axis.h.
_MODES = ("nearest", "linear", "cubic")
_TRANSFORMS = (
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "tf_half_pixel_for_nn",
    "tf_crop_and_resize",
)
_NEAREST = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil", "simple")
_POLICIES = ("stretch", "not_larger", "not_smaller")
_GRID_MODES = {"nearest": 0, "linear": 1, "bilinear": 1, "cubic": 2, "bicubic": 2}
_PADDINGS = ("zeros", "border", "reflection")


def _resize(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """Resize of opset 11 and later: x, region, scales, sizes; before: x, scales, with asymmetric coordinates."""
    old = ctx.opset < 11
    inputs = [node.inputs[0], None, node.inputs[1], None] if old else [*node.inputs, None, None, None][:4]
    mode = choice(node, "mode", _MODES, "nearest")
    transform = choice(node, "coordinate_transformation_mode", _TRANSFORMS, "asymmetric" if old else "half_pixel")
    crop = _TRANSFORMS[transform] == "tf_crop_and_resize"
    if (mode or crop) and not ctx.is_f32(node.inputs[0]):
        raise unsupported(node, "only mode = nearest has a kernel for this element type")
    axes = integers(node, "axes")
    params = PARAMS["ResizeParams"].pack(
        mode=mode,
        transform=transform,
        nearest=choice(node, "nearest_mode", _NEAREST, "simple" if old else "round_prefer_floor"),
        policy=choice(node, "keep_aspect_ratio_policy", _POLICIES, "stretch"),
        exclude_outside=integer(node, "exclude_outside", 0),
        antialias=integer(node, "antialias", 0),
        cubic_a=number(node, "cubic_coeff_a", -0.75),
        extrapolation=number(node, "extrapolation_value", 0.0),
        axes_count=-1 if axes is None else len(axes),
        axes=axes or [],
    )
    if not crop:
        inputs[1] = None
    ctx.emit("Resize", node, params, inputs=[_operand(ctx, value) for value in inputs])


def _operand(ctx: Lowering, value: ir.Value | None) -> int:
    """The tensor of an optional operand; an empty constant stands for an absent one."""
    array = ctx.constant(value)
    return -1 if array is not None and array.size == 0 else ctx.value(value)


def _upsample(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """Upsample is the Resize of opset 10; before opset 9 its scales are an attribute."""
    mode = choice(node, "mode", _MODES, "nearest")
    if mode and not ctx.is_f32(node.inputs[0]):
        raise unsupported(node, "only mode = nearest has a kernel for this element type")
    params = PARAMS["ResizeParams"].pack(
        mode=mode, transform=_TRANSFORMS.index("asymmetric"), nearest=_NEAREST.index("simple"), axes_count=-1
    )
    if len(node.inputs) > 1:
        scales = ctx.value(node.inputs[1])
    else:
        scales = ctx.weights(f"{node.name}.scales", np.asarray(node.attributes["scales"].value, np.float32))
    ctx.emit("Resize", node, params, inputs=[ctx.value(node.inputs[0]), -1, scales])


def _depth_and_space(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """DepthToSpace, SpaceToDepth. flag: bit 0 is channels first, bit 1 is column-row-depth order."""
    column_row_depth = choice(node, "mode", ("DCR", "CRD"), "DCR") == 1
    flag = int(node.domain != NHWC) + 2 * int(column_row_depth)
    ctx.emit(node.op_type, node, PARAMS["AxisParams"].pack(axis=integer(node, "blocksize", 1), flag=flag))


def _grid_sample(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """axis: the mode; flag: the padding, plus 4 where corners are aligned."""
    if not ctx.is_f32(*node.inputs):
        raise unsupported(node, "only float32 has a kernel")
    mode = tuple(_GRID_MODES.values())[choice(node, "mode", tuple(_GRID_MODES), "linear")]
    padding = choice(node, "padding_mode", _PADDINGS, "zeros")
    flag = padding + 4 * integer(node, "align_corners", 0)
    ctx.emit("GridSample", node, PARAMS["AxisParams"].pack(axis=mode, flag=flag))


def _affine_grid(ctx: Lowering, node: ir.Node, group: Group) -> None:
    if not ctx.is_f32(node.inputs[0]):
        raise unsupported(node, "only float32 has a kernel")
    ctx.emit("AffineGrid", node, PARAMS["AxisParams"].pack(flag=integer(node, "align_corners", 0)))


def _roi_align(ctx: Lowering, node: ir.Node, group: Group) -> None:
    if not ctx.is_f32(*node.inputs[:2]):
        raise unsupported(node, "only float32 has a kernel")
    default = "half_pixel" if ctx.opset >= 16 else "output_half_pixel"
    half = choice(node, "coordinate_transformation_mode", ("output_half_pixel", "half_pixel"), default) == 1
    params = PARAMS["RoiAlignParams"].pack(
        height=integer(node, "output_height", 1),
        width=integer(node, "output_width", 1),
        samples=integer(node, "sampling_ratio", 0),
        scale=number(node, "spatial_scale", 1.0),
        offset=0.5 if half else 0.0,
        maximum=choice(node, "mode", ("avg", "max"), "avg"),
    )
    ctx.emit("RoiAlign", node, params)


HANDLERS: dict[tuple[str, str], Handler] = {
    ("", "Resize"): _resize,
    ("", "Upsample"): _upsample,
    ("", "DepthToSpace"): _depth_and_space,
    ("", "SpaceToDepth"): _depth_and_space,
    (NHWC, "DepthToSpace"): _depth_and_space,
    (NHWC, "SpaceToDepth"): _depth_and_space,
    ("", "GridSample"): _grid_sample,
    ("", "AffineGrid"): _affine_grid,
    ("", "RoiAlign"): _roi_align,
}
