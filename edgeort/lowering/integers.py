"""What only moves quantised integers, and nodes that are emitted when something reads what they make."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from edgeort.lowering import layout
from edgeort.lowering.context import Lowering
from edgeort.passes.quantised import BYTES, dequantized, widens_constant

# Kernels that move bytes, whatever they stand for.
_MOVES = frozenset(
    (
        "Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity", "MaxPool",
        "Pad", "Reshape", "Resize", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze",
    )
)  # fmt: skip


def is_late(node: ir.Node) -> bool:
    """Whether programs and products see through the node, so that it is emitted when others read it."""
    return dequantized(node.outputs[0]) is node or widens_constant(node)


def moves(ctx: Lowering, node: ir.Node) -> bool:
    """Whether the node moves values that are of type q8 in the plan."""
    return node.op_type in _MOVES and any(value in ctx.quantised for value in node.inputs)


def move(ctx: Lowering, node: ir.Node, lower: Callable[[Lowering], None]) -> None:
    """Runs `lower` with a Lowering in which every value of 8-bit integers is of type q8."""
    inner = _Bytes(plan=ctx.plan, opset=ctx.opset)
    inner.outer = ctx
    lower(inner)


class _Bytes(Lowering):
    """A view of `outer`."""

    outer: Lowering

    def code(self, value: ir.Value) -> int:
        return layout.Q8 if value.dtype in BYTES else self.outer.code(value)

    def constant(self, value: ir.Value | None) -> np.ndarray | None:
        return self.outer.constant(value)

    def value(self, value: ir.Value | None) -> int:
        return self.outer.q8(value) if value is not None and value.dtype in BYTES else self.outer.value(value)

    def result(self, value: ir.Value) -> int:
        return self.outer.q8_result(value) if value.dtype in BYTES else self.outer.result(value)
