"""Removes a Relu or Clip that the range of 8-bit integers implies.

    QuantizeLinear(Clip(x, lo, hi))      ->  QuantizeLinear(x)       lo and hi become the least and the greatest integer
    Clip(DequantizeLinear(q), lo, hi)    ->  DequantizeLinear(q)     what all integers stand for lies in [lo, hi]

round(x / scale) rises with x, so that clipping before it is clipping behind it at the integers of the bounds, which
saturation does by itself.
"""

from __future__ import annotations

import onnx_ir as ir

from edgeort.passes.algebra import clip_bounds
from edgeort.passes.context import PassContext
from edgeort.passes.edit import bypass, is_op, only_user
from edgeort.passes.quantised import HIGH, LOW, Quantity, dequantized, quantity


def drop_clips(model: ir.Model, ctx: PassContext) -> int:
    """Rewrites the main graph; returns how many nodes went away."""
    count = 0
    for node in reversed(list(model.graph)):
        bounds, x = clip_bounds(node), node.inputs[0] if node.inputs else None
        if bounds is None or x is None:
            continue
        before, after = dequantized(x), only_user(node.outputs[0])
        saturates = after is not None and is_op(after, "QuantizeLinear") and _saturates(quantity(after), *bounds)
        if saturates or (before is not None and _lies_within(quantity(before), *bounds)):
            bypass(model.graph, node, x)
            count += 1
    return count


def _saturates(found: Quantity | None, low: float, high: float) -> bool:
    return found is not None and found.quantize(low) == LOW and found.quantize(high) == HIGH


def _lies_within(found: Quantity | None, low: float, high: float) -> bool:
    return found is not None and found.dequantize(LOW) >= low and found.dequantize(HIGH) <= high
