"""What a layer's speed is worth when it is not int8, in bytes, so that time and size add up.

time added = MACs (1 / float rate - 1 / int8 rate), 0 where int8 is no faster
in bytes = time added / (int8 time of all layers) x (int8 bytes of all layers)

that is, a part of the whole model's time weighs as much as the same part of its bytes. Where no device's rates are
known, it is a byte for each weight.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgeort.passes.edit import dims
from edgeort.quantize.layers import Layer


@dataclass(frozen=True)
class Rates:
    """Multiply-adds that a device does in a millisecond, in float32 and in int8, on the threads that it uses."""

    float32: float
    int8: float


@dataclass(frozen=True)
class Slowness:
    """`in_bytes` is what the lost time weighs; `ms` it is estimated at, None where no rates are known."""

    in_bytes: int
    ms: float | None


def lost_speed(layers: Sequence[Layer], rates: Rates | None) -> dict[str, Slowness]:
    """What each layer loses in float, by name."""
    if rates is None:
        return {layer.name: Slowness(int(layer.weight.size), None) for layer in layers}
    total_bytes = sum(layer.weight.size for layer in layers)
    total_ms = sum(macs(layer) for layer in layers) / rates.int8
    added = {layer.name: max(macs(layer) / rates.float32 - macs(layer) / rates.int8, 0.0) for layer in layers}
    return {name: Slowness(round(ms / total_ms * total_bytes), ms) for name, ms in added.items()}


def macs(layer: Layer) -> int:
    """Multiply-adds of one run: each weight once for every position; free dimensions count as 1."""
    shaped = layer.node.inputs[0] if layer.node.op_type == "ConvTranspose" else layer.node.outputs[0]
    shape = [] if shaped is None or shaped.shape is None else list(dims(shaped))
    axis = layer.output_axis % len(shape) if shape else 0
    positions = math.prod(dim for index, dim in enumerate(shape) if index != axis and isinstance(dim, int))
    return int(layer.weight.size) * positions
