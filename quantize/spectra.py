"""Front ends that end in a logarithm, such as spectra of sound in decibels: their layers take floats.

    x -> Conv (a Fourier transform) -> Pow -> Add -> Log -> ...

Eight bits of a tensor are an error of so much anywhere in it. A logarithm makes an error of its share of the number, so
that what is quiet, which most of a spectrum is, would be noise. The layer before the logarithm is one of the front end,
and so is one before that with nothing but linear operators in between, as a filter is.
"""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir

from edgeort.passes.edit import constant, is_op

_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
# fmt: off
_LINEAR = (
    "Add", "BatchNormalization", "Concat", "Expand", "Flatten", "Gather", "Identity", "Mul", "Neg", "Pad", "Reshape",
    "Slice", "Split", "Squeeze", "Sub", "Tile", "Transpose", "Unsqueeze",
)
# fmt: on
_POWERS = ("Abs", "Clip", "Div", "Max", "Pow", "ReduceL2", "ReduceSum", "ReduceSumSquare", "Relu", "Sqrt")


def spectrum_layers(graph: ir.Graph) -> set[ir.Node]:
    """The layers of front ends."""
    found: set[ir.Node] = set()
    logarithms = [node.inputs[0] for node in graph if is_op(node, "Log")]
    pending = _layers_before(logarithms, (*_LINEAR, *_POWERS))
    while pending:
        found |= pending
        pending = _layers_before([node.inputs[0] for node in pending], _LINEAR) - found
    return found


def _layers_before(values: Iterable[ir.Value | None], through: tuple[str, ...]) -> set[ir.Node]:
    """The layers that make `values`, with those operators in between."""
    layers: set[ir.Node] = set()
    pending, seen = list(values), set[ir.Node]()
    while pending:
        value = pending.pop()
        node = None if value is None or constant(value) is not None else value.producer()
        if node is None or node in seen:
            continue
        seen.add(node)
        if is_op(node, *_LAYERS):
            layers.add(node)
        elif is_op(node, *through):
            pending.extend(node.inputs)
    return layers
