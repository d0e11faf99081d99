"""Conv and ConvTranspose of one to three spatial axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import Var

from edgeort.converters.coreml.emission import Emission, Refused, Results, static_shape
from edgeort.converters.coreml.windows import as_pad, padding
from edgeort.passes import edit


def conv(e: Emission, node: ir.Node) -> Results:
    """Conv; a bias that the graph computes is added behind."""
    x, weight = e.input(node), e.input(node, 1)
    kernel, strides, dilations = _window(node, x, weight)
    if not _is_stored(weight) and any(size > 1 for size in dilations):
        raise Refused("its weights are computed by the graph and dilated")
    y = mb.conv(
        x=x,
        weight=weight,
        strides=strides,
        dilations=dilations,
        groups=edit.integer(node, "group", 1),
        **as_pad(padding(node, x, kernel, strides, dilations)),
        **_bias(e, node),
    )
    return _add_bias(e, node, y)


def conv_transpose(e: Emission, node: ir.Node) -> Results:
    """ConvTranspose. `output_padding` beyond the pads appends zeros before the bias is added."""
    x, weight = e.input(node), e.input(node, 1)
    if not _is_stored(weight):
        raise Refused("its weights are computed by the graph")
    kernel, strides, dilations = _window(node, x, weight)
    pads, beyond = _transposed_padding(node, x, kernel, strides, dilations)
    late_bias = any(beyond)
    y = mb.conv_transpose(
        x=x,
        weight=weight,
        strides=strides,
        dilations=dilations,
        groups=edit.integer(node, "group", 1),
        **as_pad(pads),
        **({} if late_bias else _bias(e, node)),
    )
    if late_bias:
        y = mb.pad(x=y, pad=[size for end in beyond for size in (0, end)], mode="constant", constant_val=0.0)
    return _add_bias(e, node, y, always=late_bias)


def _window(node: ir.Node, x: Var, weight: Var) -> tuple[list[int], list[int], list[int]]:
    spatial = x.rank - 2
    if not 1 <= spatial <= 3:
        raise Refused(f"it has {spatial} spatial axes, and Core ML takes 1 to 3")
    kernel = list(static_shape(weight, "the shape of its weights")[2:])
    strides = edit.ints(node, "strides", [1] * spatial)
    dilations = edit.ints(node, "dilations", [1] * spatial)
    return kernel, strides, dilations


def _transposed_padding(
    node: ir.Node, x: Var, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> tuple[list[tuple[int, int]], list[int]]:
    """What is cut off around the output, and the zeros that follow each axis."""
    extra = edit.ints(node, "output_padding", [0] * len(kernel))
    mode, wanted = edit.text(node, "auto_pad", "NOTSET"), node.attributes.get("output_shape")
    if wanted is not None or mode.startswith("SAME"):
        sizes = static_shape(x, "the size that it makes")[2:]
        asked = list(wanted.as_ints()) if wanted is not None else [n * s for n, s in zip(sizes, strides, strict=True)]
        total = [
            stride * (size - 1) + more + (k - 1) * dilation + 1 - want
            for size, stride, more, k, dilation, want in zip(
                sizes, strides, extra, kernel, dilations, asked, strict=True
            )
        ]
        halves = [(whole // 2, whole - whole // 2) for whole in total]
        pairs = halves if mode == "SAME_UPPER" else [(large, small) for small, large in halves]
    else:
        pairs = padding(node, x, kernel, strides, dilations)
    ends = [after - more for (_, after), more in zip(pairs, extra, strict=True)]
    pads = [(before, max(0, end)) for (before, _), end in zip(pairs, ends, strict=True)]
    return pads, [max(0, -end) for end in ends]


def _is_stored(weight: Var) -> bool:
    return weight.val is not None or (weight.op is not None and weight.op.op_type.startswith("constexpr_"))


def _bias(e: Emission, node: ir.Node) -> dict[str, np.ndarray]:
    """The argument of a bias that is known."""
    bias = e.known(node, 2)
    return {} if bias is None else {"bias": bias}


def _add_bias(e: Emission, node: ir.Node, y: Var, always: bool = False) -> Var:
    """Adds a bias that is not an argument."""
    bias = e.optional(node, 2)
    if bias is None or (e.known(node, 2) is not None and not always):
        return y
    return mb.add(x=y, y=mb.reshape(x=bias, shape=[1, -1] + [1] * (y.rank - 2)))
