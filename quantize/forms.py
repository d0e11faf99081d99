"""How a layer takes its input, and how its weights are stored.

    static    eight bits, one range for the tensor, from samples; int8 weights
    dynamic   eight bits, a range for every row, found as the model runs (MatMul and Gemm); int8 weights
    float     as it is: only the weights are int8
    fine      as static, but int16 weights
    wide      as static, but sixteen bits for the tensor
    blocks    as float, but the weights are four bits, in blocks (blocks.py, MatMul and Gemm)
    half      as float, but the weights are float16 (half_floats.py)

Rows behind a normalisation, a softmax or a product of two activations, as transformers have them, differ too much from
each other for one range. So a MatMul or Gemm is static only when what it reads comes from static layers and inputs by
moves and elementwise functions alone. Layers of gates (gates.py) take floats, and those before logarithms (spectra.py)
have float16 weights, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum

import onnx_ir as ir

from edgeort.passes.edit import constant
from edgeort.quantize.layers import UNARY, Layer

MAX_DYNAMIC_ROWS = 60_000  # of a weight: 255 * 127 times as much is still an int32


class Form(StrEnum):
    """Of a layer's input and weights."""

    STATIC = "static"
    DYNAMIC = "dynamic"
    FLOAT = "float"
    FINE = "int16 weights"
    WIDE = "16-bit activations"
    BLOCKS = "int4 weights"
    HALF = "float16 weights"

    @property
    def is_static(self) -> bool:
        """Whether the input has one range, from samples."""
        return self in (Form.STATIC, Form.FINE, Form.WIDE)


NEWER = frozenset({Form.FINE, Form.WIDE, Form.BLOCKS})  # that need `preparing.WIDE_OPSET`
ACTIVATIONS = (Form.STATIC, Form.DYNAMIC, Form.FLOAT)  # that may be asked for, all with int8 weights


# fmt: off
_THROUGH = frozenset({
    *UNARY, "Add", "AveragePool", "BatchNormalization", "Clip", "Concat", "DepthToSpace", "Div", "Expand", "Flatten",
    "Gather", "GlobalAveragePool", "GlobalMaxPool", "Identity", "MaxPool", "Mul", "Pad", "Relu", "Reshape", "Resize",
    "Slice", "SpaceToDepth", "Split", "Squeeze", "Sub", "Tile", "Transpose", "Unsqueeze",
})
# fmt: on


def forms(layers: Iterable[Layer], floats: Mapping[ir.Node, Form], wanted: Mapping[str, Form]) -> dict[str, Form]:
    """The form of every layer by name: that of `wanted`, which are by layer or by "" for all, else the fitting one.

    `floats` are the forms of layers that take floats, which "" does not change.
    """
    found: dict[str, Form] = {}
    static: set[ir.Node] = set()
    for layer in layers:
        fitting = floats.get(layer.node, Form.STATIC)
        if fitting is Form.STATIC and can_be_dynamic(layer) and not _comes_from(layer.input, static):
            fitting = Form.DYNAMIC
        chosen = wanted.get(layer.name, fitting if layer.node in floats else wanted.get("", fitting))
        if chosen is Form.DYNAMIC and not can_be_dynamic(layer):
            chosen = fitting
        if chosen is Form.BLOCKS and not can_be_blocks(layer):
            chosen = Form.FLOAT
        if chosen.is_static:
            static.add(layer.node)
        found[layer.name] = chosen
    return found


def can_be_dynamic(layer: Layer) -> bool:
    """Whether it is a product of rows by a matrix, and not too long for int32."""
    rows = layer.weight.shape[1 - layer.weight_axis]
    return layer.node.op_type in ("Gemm", "MatMul") and rows <= MAX_DYNAMIC_ROWS


def can_be_blocks(layer: Layer) -> bool:
    """Whether it is a product of rows by a matrix."""
    return layer.node.op_type in ("Gemm", "MatMul")


def _comes_from(value: ir.Value, static: Collection[ir.Node]) -> bool:
    """Whether nothing but static layers, inputs of the model and constants is behind `value`."""
    seen, pending = {value}, [value]
    while pending:
        current = pending.pop()
        node = current.producer()
        if node is None or node in static or constant(current) is not None:
            continue
        if node.domain or node.op_type not in _THROUGH:
            return False
        new = {read for read in node.inputs if read is not None} - seen
        seen |= new
        pending.extend(new)
    return True
