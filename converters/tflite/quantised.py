"""QuantizeLinear and DequantizeLinear, where no operator on integers takes them in."""

from __future__ import annotations

import onnx_ir as ir

from edgeort.converters.tflite.graph import Quant
from edgeort.converters.tflite.refusal import Refuse
from edgeort.converters.tflite.writer import Writer
from edgeort.passes.quantised import dequantized, numbers_of, quantity


def quantize(ctx: Writer, node: ir.Node) -> None:
    """QUANTIZE, of float32 or of integers of another scale."""
    found = quantity(node)
    if found is None:
        raise Refuse("its scale is computed as the model runs, one of several, or of other than 8 bits")
    source, quant = ctx.integers(node.inputs[0]), Quant.of(found)
    if source is None:
        source = ctx.tensor(node.inputs[0])
    elif ctx.about(source).quant == quant:
        ctx.put(node.outputs[0], source)
        return
    made = ctx.graph.tensor(str(node.outputs[0].name), ctx.shape(node.outputs[0]), "int8", quant)
    ctx.graph.add("QUANTIZE", [source], [made])
    ctx.put(node.outputs[0], made)


def dequantize(ctx: Writer, node: ir.Node) -> None:
    """Nothing yet: who reads it takes the integers, or has a DEQUANTIZE made."""
    value = node.outputs[0]
    if numbers_of(value) is None and dequantized(value) is None:
        raise Refuse("its scale is computed as the model runs, one of several, or of other than 8 bits")
