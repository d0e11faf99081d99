"""What a layer's speed is worth when it is not int8, in bytes, so that time and size add up.

time added = MACs (1 / float rate - 1 / int8 rate), 0 where int8 is no faster
in bytes = time added / (int8 time of all layers) x (int8 bytes of all layers)

that is, a part of the whole model's time weighs as much as the same part of its bytes. Where no device's rates are
known, it is a byte for each weight. A 16-bit weight takes two products of int8 (passes/split_wide_weights.py), and so
adds MACs / int8 rate where int8 is fast enough for that, else as much as float; half a byte where nothing is known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgeort.passes.edit import dims
from edgeort.passes.split_wide_weights import FASTER
from edgeort.quantize.channels import is_depthwise
from edgeort.quantize.layers import Layer


@dataclass(frozen=True)
class Rates:
    """Multiply-adds that a device does in a millisecond, in float32 and in int8, on the threads that it uses."""

    float32: float
    int8: float


@dataclass(frozen=True)
class Slowness:
    """`in_bytes` is what the lost time weighs; `ms` it is estimated at, None where no rates are known.

    `fine` is the same with 16-bit weights.
    """

    in_bytes: int
    ms: float | None
    fine: Slowness | None = None


def lost_speed(layers: Sequence[Layer], rates: Rates | None) -> dict[str, Slowness]:
    """What each layer loses in float, by name."""
    if rates is None:
        sizes = {layer.name: int(layer.weight.size) for layer in layers}
        return {name: Slowness(size, None, Slowness(size // 2, None)) for name, size in sizes.items()}
    total_bytes = sum(layer.weight.size for layer in layers)
    total_ms = sum(macs(layer) for layer in layers) / rates.int8
    found = {}
    for layer in layers:
        float_ms, int8_ms = macs(layer) / rates.float32, macs(layer) / rates.int8
        added = max(float_ms - int8_ms, 0.0)
        splits = FASTER * int8_ms <= float_ms and not is_depthwise(layer.node)
        lost = [(round(ms / total_ms * total_bytes), ms) for ms in (added, int8_ms if splits else added)]
        found[layer.name] = Slowness(*lost[0], Slowness(*lost[1]))
    return found


def macs(layer: Layer) -> int:
    """Multiply-adds of one run: each weight once for every position; free dimensions count as 1."""
    shaped = layer.node.inputs[0] if layer.node.op_type == "ConvTranspose" else layer.node.outputs[0]
    shape = [] if shaped is None or shaped.shape is None else list(dims(shaped))
    axis = layer.output_axis % len(shape) if shape else 0
    positions = math.prod(dim for index, dim in enumerate(shape) if index != axis and isinstance(dim, int))
    return int(layer.weight.size) * positions
