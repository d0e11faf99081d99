"""The inputs and outputs of a package.

Core ML knows float32, int32 and pictures, names of letters, digits and underscores, and no rank 0: integers and
booleans go in and out as int32, other floats as float32, a single number as a vector of one. A free dimension is a
range; `edgeort.model.bounds` has its ends.

A picture is x = (pixel * scale - mean) / std in the order of channels that the model was trained on. Core ML's own
image inputs have one factor for all channels and an offset each: pixel * (scale / std) - mean / std, where the std are
equal. Where they differ, the input has the factor `scale` alone, and the program subtracts and multiplies by channel.
To resize and to crop is the app's part (Vision: `imageCropAndScaleOption`), as Core ML has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import coremltools as ct
import numpy as np
import onnx_ir as ir
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import Var, types
from coremltools.converters.mil.mil.passes.defs.preprocess import NameSanitizer

from edgeort.converters.coreml.emission import DTYPES, cast
from edgeort.converters.coreml.options import Options
from edgeort.converters.coreml.package import Feature
from edgeort.errors import InputError, ShapeError, UnsupportedError
from edgeort.model import bounds
from edgeort.passes import edit
from edgeort.recipes.picture import Recipe

_LAYOUTS = {1: "GRAYSCALE", 3: None}


@dataclass(frozen=True)
class Input:
    """An input: its ONNX value, Core ML's type of it, and what describes it."""

    value: ir.Value
    type: Any
    feature: Feature
    channels_last: bool = False

    def placeholder(self) -> Any:
        """The argument of the MIL function."""
        dtype = types.int32 if self.feature.dtype == "int32" else types.fp32
        return mb.placeholder(shape=self.type.shape.symbolic_shape, dtype=dtype)

    def emit(self, var: Var, image: Recipe | None) -> Var:
        """From what Core ML passes in to the ONNX value."""
        if image is not None:
            var = _normalised(var, image)
            return mb.transpose(x=var, perm=[0, 2, 3, 1]) if self.channels_last else var
        if edit.rank(self.value) == 0:
            var = mb.squeeze(x=var, axes=[0])
        assert self.value.dtype is not None
        wanted = DTYPES[self.value.dtype]
        return mb.not_equal(x=var, y=np.int32(0)) if wanted == types.bool else cast(var, wanted)


def inputs(model: ir.Model, options: Options, names: NameSanitizer) -> list[Input]:
    """The inputs of the graph. ShapeError where a free dimension has no range, UnsupportedError for other types."""
    limits = bounds(model)
    symbols: dict[str, Any] = {}
    found = []
    values = [value for value in model.graph.inputs if value.name not in model.graph.initializers]
    for value in values:
        if value.dtype not in DTYPES:
            raise UnsupportedError(f"input {value.name!r} is {value.dtype}, which Core ML has no tensor for")
        dims = _dims(value, limits, symbols)
        if any(isinstance(dim, int) and dim == 0 for dim in dims):
            raise UnsupportedError(f"input {value.name!r} is empty, and Core ML has no empty tensors")
        name = names.sanitize_name(str(value.name), allow_prefix_underscore=False)
        if options.image is not None:
            found.append(_image(value, dims, name, options.image, len(values)))
            continue
        dtype = "float32" if DTYPES[value.dtype] in (types.fp32, types.fp16) else "int32"
        kind = ct.TensorType(name=name, shape=ct.Shape(dims or [1]), dtype=np.dtype(dtype).type)
        found.append(Input(value, kind, Feature(str(value.name), name, dtype, _texts(dims))))
    return found


def _dims(value: ir.Value, limits: dict[str, tuple[int, int]], symbols: dict[str, Any]) -> list[Any]:
    if value.shape is None:
        raise ShapeError(
            f"the rank of input {value.name!r} is not known", hint=f"write --shape {value.name}=1x3x224x224"
        )
    found: list[Any] = []
    for dim in edit.dims(value):
        if isinstance(dim, int):
            found.append(dim)
        elif dim in limits:
            least, most = limits[dim]
            found.append(symbols.setdefault(dim, ct.RangeDim(lower_bound=least, upper_bound=most)))
        else:
            shown = "x".join(str(size) if isinstance(size, int) else "1-8" for size in edit.dims(value))
            raise ShapeError(
                f"input {value.name!r}: dimension {dim or '?'} is free, and Core ML wants the range of it",
                hint=f"write --shape {value.name}={shown}, with the sizes that you need",
            )
    return found


def _texts(dims: Sequence[Any]) -> tuple[int | str, ...]:
    return tuple(dim if isinstance(dim, int) else f"{dim.lower_bound}-{dim.upper_bound}" for dim in dims)


def _image(value: ir.Value, dims: list[Any], name: str, how: Recipe, count: int) -> Input:
    channels = next((dims[axis] for axis in (1, 3) if len(dims) == 4 and dims[axis] in (1, 3)), None)
    if count != 1 or channels is None or dims[0] != 1 or value.dtype not in (ir.DataType.FLOAT, ir.DataType.FLOAT16):
        raise InputError(
            f"input {value.name!r} {list(_texts(dims))} is no picture: Core ML takes one float input of one picture,"
            " 1 or 3 channels",
            hint=f"write --shape {value.name}=1x3x224x224, or build without an image input",
        )
    last = dims[1] not in (1, 3)
    shape = [1, channels, *(dims[1:3] if last else dims[2:])]
    scale, bias = how.multiplier, [0.0] * channels
    if _is_plain(how):
        scale = how.multiplier / how.std[0]
        bias = [-mean / std for mean, std in zip(*_per_channel(how, channels), strict=True)]
    kind = ct.ImageType(
        name=name,
        shape=ct.Shape(shape),
        scale=scale,
        bias=bias if channels == 3 else bias[0],
        color_layout=getattr(ct.colorlayout, _LAYOUTS[channels] or how.color.upper()),
    )
    return Input(value, kind, Feature(str(value.name), name, "image", _texts(shape)), last)


def _is_plain(how: Recipe) -> bool:
    return len(set(how.std)) == 1


def _per_channel(how: Recipe, channels: int) -> tuple[list[float], list[float]]:
    """mean and std for each channel: their means where the picture is grey."""
    if channels == 1:
        return [float(np.mean(how.mean))], [float(np.mean(how.std))]
    return tuple(list(part) * (channels if len(part) == 1 else 1) for part in (how.mean, how.std))  # type: ignore[return-value]


def _normalised(pixels: Var, how: Recipe) -> Var:
    """What Core ML's own scale and bias leave to do."""
    if _is_plain(how):
        return pixels
    mean, std = (np.array(part, np.float32).reshape(1, -1, 1, 1) for part in _per_channel(how, pixels.shape[1]))
    return mb.mul(x=mb.sub(x=pixels, y=mean), y=1 / std)


def output(value: ir.Value, var: Var, name: str) -> tuple[Var, Feature]:
    """The function's result for an output of the graph."""
    if var.rank == 0:
        var = mb.expand_dims(x=var, axes=[0])
    is_float = var.dtype in (types.fp32, types.fp16)
    var = cast(var, types.fp32 if is_float else types.int32)
    shape = tuple(dim if isinstance(dim, int) else str(dim or "?") for dim in edit.dims(value)) if value.shape else ()
    feature = Feature(str(value.name), name, "float32" if is_float else "int32", shape)
    return mb.identity(x=var, name=name), feature
