"""What a layer costs more in float than in int8: bytes, and milliseconds by the device's rates.

bytes added = 3 a weight (four bytes, where int8 has one)
time added = MACs (1 / float rate - 1 / int8 rate), 0 where int8 is no faster
share = bytes added / (int8 bytes of all layers) + time added / (int8 time of all layers)

so that bytes and milliseconds add up as parts of the whole model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgeort.passes.edit import dims
from edgeort.quantize.layers import Layer

OVERHEAD_BYTES = 1000  # a float layer costs more than its weights: conversions around it


@dataclass(frozen=True)
class Rates:
    """Multiply-adds that a device does in a millisecond, in float32 and in int8, on the threads that it uses."""

    float32: float
    int8: float


@dataclass(frozen=True)
class Price:
    """`share` is the cost relative to the whole model's; `added_ms` None where no rates are known."""

    share: float
    added_bytes: int
    added_ms: float | None


def of(layers: Sequence[Layer], rates: Rates | None) -> dict[str, Price]:
    """What each layer costs more in float, by name."""
    total_bytes = sum(layer.weight.size for layer in layers)
    total_ms = sum(macs(layer) for layer in layers) / rates.int8 if rates else 0.0
    found = {}
    for layer in layers:
        added_bytes = 3 * layer.weight.size
        share = (added_bytes + OVERHEAD_BYTES) / total_bytes
        added_ms = None
        if rates is not None:
            added_ms = max(macs(layer) / rates.float32 - macs(layer) / rates.int8, 0.0)
            share += added_ms / total_ms
        found[layer.name] = Price(share, added_bytes, added_ms)
    return found


def macs(layer: Layer) -> int:
    """Multiply-adds of one run: each weight once for every position; free dimensions count as 1."""
    shaped = layer.node.inputs[0] if layer.node.op_type == "ConvTranspose" else layer.node.outputs[0]
    shape = [] if shaped is None or shaped.shape is None else list(dims(shaped))
    axis = layer.output_axis % len(shape) if shape else 0
    positions = math.prod(dim for index, dim in enumerate(shape) if index != axis and isinstance(dim, int))
    return int(layer.weight.size) * positions
