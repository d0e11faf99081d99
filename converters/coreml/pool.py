"""Pools over windows and over all of a plane."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import Var

from edgeort.converters.coreml.emission import Emission, Refused, Results, static_shape
from edgeort.converters.coreml.windows import as_pad, padding
from edgeort.passes import edit

Pads = list[tuple[int, int]]


def max_pool(e: Emission, node: ir.Node) -> Results:
    """MaxPool without indices."""
    if len(node.outputs) > 1 and (node.outputs[1].uses() or node.outputs[1].is_graph_output()):
        raise Refused("its second output, the indices, has no counterpart")
    x = e.input(node)
    kernel, strides, pads, extra = _window(node, x)
    pads = [(before, after + more) for (before, after), more in zip(pads, extra, strict=True)]
    return mb.max_pool(x=x, kernel_sizes=kernel, strides=strides, **as_pad(pads))


def average_pool(e: Emission, node: ir.Node) -> Results:
    """AveragePool. What ceil_mode adds at the end counts in no average."""
    x = e.input(node)
    kernel, strides, pads, extra = _window(node, x)
    counts = edit.integer(node, "count_include_pad", 0) == 1 and any(size for pair in pads for size in pair)
    if any(extra) and counts:
        raise Refused("ceil_mode adds to a window that counts its padding")
    pads = [(before, after + more) for (before, after), more in zip(pads, extra, strict=True)]
    return mb.avg_pool(
        x=x, kernel_sizes=kernel, strides=strides, exclude_padding_from_average=not counts, **as_pad(pads)
    )


def global_average_pool(e: Emission, node: ir.Node) -> Results:
    """The mean of each plane."""
    x = e.input(node)
    return mb.reduce_mean(x=x, axes=list(range(2, x.rank)), keep_dims=True)


def global_max_pool(e: Emission, node: ir.Node) -> Results:
    """The maximum of each plane."""
    x = e.input(node)
    return mb.reduce_max(x=x, axes=list(range(2, x.rank)), keep_dims=True)


def _window(node: ir.Node, x: Var) -> tuple[list[int], list[int], Pads, list[int]]:
    """Kernel, strides, pads, and what ceil_mode adds at the end of each axis."""
    kernel = edit.ints(node, "kernel_shape", ())
    if len(kernel) > 3:
        raise Refused(f"it has {len(kernel)} spatial axes, and Core ML takes 1 to 3")
    strides = edit.ints(node, "strides", [1] * len(kernel))
    dilations = edit.ints(node, "dilations", [1] * len(kernel))
    if any(size > 1 for size in dilations):
        raise Refused("its window is dilated")
    pads = padding(node, x, kernel, strides, dilations)
    extra = [0] * len(kernel)
    if edit.integer(node, "ceil_mode", 0):
        extra = _ceil(static_shape(x, "the size that ceil_mode rounds")[2:], kernel, strides, pads)
    return kernel, strides, pads, extra


def _ceil(sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int], pads: Pads) -> list[int]:
    """A last window that starts behind the input and its padding before it is left out (ONNX, AveragePool)."""
    extra = []
    for size, k, stride, (before, after) in zip(sizes, kernel, strides, pads, strict=True):
        steps = -(-(size + before + after - k) // stride)
        if steps * stride >= size + before:
            steps -= 1
        extra.append(max(0, steps * stride + k - size - before - after))
    return extra
