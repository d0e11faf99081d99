"""Windows that slide over planes, those of convolutions and pools, and their padding.

LiteRT pads by none (VALID) or so that the output is ceil(input / stride), the odd element at the end (SAME).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgeort.converters.tflite import schema
from edgeort.converters.tflite.refusal import Refuse
from edgeort.converters.tflite.writer import Writer
from edgeort.passes.edit import ints, text


@dataclass(frozen=True)
class Window:
    """(height, width) each; `pads` are the two begins, then the two ends."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]

    @property
    def reach(self) -> tuple[int, ...]:
        """The elements that a window spans."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    def options(self, padding: str) -> dict[str, int]:
        """The fields that all windows have."""
        return {"padding": schema.PADDINGS[padding], "stride_h": self.strides[0], "stride_w": self.strides[1]}


def window(ctx: Writer, node: ir.Node, kernel: Sequence[int], *, transposed: bool = False) -> Window:
    """What the node's attributes say, with pads that are found from the shapes where `auto_pad` or ceil_mode do.

    Ends of pads are as large as the output needs them. Refuse for three spatial axes.
    """
    dims = len(kernel)
    if dims > 2:
        raise Refuse(f"it has {dims} spatial axes, and only one or two are written")
    strides, dilations = ints(node, "strides", (1,) * dims), ints(node, "dilations", (1,) * dims)
    sizes, out = ctx.shape(node.inputs[0])[1:-1], ctx.shape(node.outputs[0])[1:-1]
    begins, ends = [], []
    for axis in range(dims):
        reach = (kernel[axis] - 1) * dilations[axis] + 1
        small, large = (sizes, out) if transposed else (out, sizes)
        total = (small[axis] - 1) * strides[axis] + reach - large[axis]
        begin = _begin(node, axis, dims, total)
        begins.append(begin)
        ends.append(total - begin)
    lead = (2 - dims) * (0,)
    ones = (2 - dims) * (1,)
    return Window((*ones, *kernel), (*ones, *strides), (*ones, *dilations), (*lead, *begins, *lead, *ends))


def _begin(node: ir.Node, axis: int, dims: int, total: int) -> int:
    mode = text(node, "auto_pad", "NOTSET")
    if mode in ("NOTSET", ""):
        return ints(node, "pads", (0,) * 2 * dims)[axis]
    if mode == "VALID":
        return 0
    return max(total, 0) // 2 if mode == "SAME_UPPER" else -(-max(total, 0) // 2)


def same_begin(size: int, reach: int, stride: int) -> int:
    """What SAME puts before `size` elements."""
    return max((-(-size // stride) - 1) * stride + reach - size, 0) // 2


def pad(ctx: Writer, x: int, found: Window, value: float = 0) -> tuple[int, str]:
    """The input padded as far as the operator does not do it, and what the operator is told: SAME or VALID.

    A negative pad at an end is input that no window reads; a negative one before is cut off. `value` is padded.
    """
    _, *sizes, _ = ctx.about(x).shape
    before, after = found.pads[:2], found.pads[2:]
    if all(b == 0 for b in before) and all(a <= 0 for a in after):
        return x, "VALID"
    out = [(s + b + a - r) // t + 1 for s, b, a, r, t in
           zip(sizes, before, after, found.reach, found.strides, strict=True)]  # fmt: skip
    same = [same_begin(s, r, t) for s, r, t in zip(sizes, found.reach, found.strides, strict=True)]
    if same == list(before) and out == [-(-s // t) for s, t in zip(sizes, found.strides, strict=True)]:
        return x, "SAME"
    if min(before) < 0:
        raise Refuse("its pads are negative")
    return padded(
        ctx, x, [(0, 0), *((b, max(a, 0)) for b, a in zip(before, after, strict=True)), (0, 0)], value
    ), "VALID"


def padded(ctx: Writer, x: int, amounts: Sequence[tuple[int, int]], value: float = 0) -> int:
    """PAD by real zeros, PADV2 by another value: (before, after) for each axis."""
    tensor = ctx.about(x)
    shape = [d + b + a for d, (b, a) in zip(tensor.shape, amounts, strict=True)]
    table = ctx.graph.constant("paddings", np.asarray(amounts, np.int32))
    if value == 0:
        return ctx.step("PAD", [x, table], shape)
    return ctx.step("PADV2", [x, table, filler(ctx, x, value)], shape)


def filler(ctx: Writer, x: int, value: float) -> int:
    """A scalar of the tensor's type and scale; integers take the nearest that there is."""
    tensor = ctx.about(x)
    if tensor.quant is None:
        return ctx.number(value, tensor.dtype)
    scaled = np.rint(np.float64(value) / tensor.quant.scale[0]) + tensor.quant.zero_point[0]
    limits = np.iinfo(tensor.dtype)
    return ctx.graph.constant("filler", np.asarray(np.clip(scaled, limits.min, limits.max), tensor.dtype), tensor.quant)
