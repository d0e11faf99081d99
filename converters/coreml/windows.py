"""Windows of convolutions and pools: ONNX's pads and auto_pad as MIL's pad_type and pad."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx_ir as ir
from coremltools.converters.mil.mil import Var

from edgeort.converters.coreml.emission import Refused, static_shape
from edgeort.passes import edit


def padding(
    node: ir.Node, x: Var, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> list[tuple[int, int]]:
    """(before, after) of each spatial axis. Refused where auto_pad meets a free size."""
    mode, axes = edit.text(node, "auto_pad", "NOTSET"), range(len(kernel))
    if mode == "NOTSET":
        pads = edit.ints(node, "pads", [0] * 2 * len(kernel))
        return [(pads[axis], pads[axis + len(kernel)]) for axis in axes]
    if mode == "VALID":
        return [(0, 0)] * len(kernel)
    sizes = static_shape(x, f"the size that auto_pad {mode} pads")[2:]
    found = []
    for axis in axes:
        span = dilations[axis] * (kernel[axis] - 1) + 1
        total = max(0, (-(-sizes[axis] // strides[axis]) - 1) * strides[axis] + span - sizes[axis])
        small, large = total // 2, total - total // 2
        found.append((small, large) if mode == "SAME_UPPER" else (large, small))
    return found


def as_pad(pads: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """The arguments of a MIL operation. Refused where a pad is negative."""
    if any(size < 0 for pair in pads for size in pair):
        raise Refused("a pad is negative")
    if not any(size for pair in pads for size in pair):
        return {"pad_type": "valid"}
    return {"pad_type": "custom", "pad": [size for pair in pads for size in pair]}
