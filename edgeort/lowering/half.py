"""float16 and bfloat16: stored as such, computed in float32.

Kernels that only move elements take any type; every other node that reads or writes a half-precision value is lowered
between casts, so that its results are rounded once, to the type that the model says.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from edgeort.lowering import typed
from edgeort.lowering.context import F32, Lowering

HALF = frozenset((typed.CODES["f16"], typed.CODES["bf16"]))

# Operators whose kernels never look at the value of a float.
MOVES = frozenset(
    (
        "BitCast", "Cast", "CastLike", "Compress", "Concat", "ConstantOfShape", "DepthToSpace", "Expand", "Flatten",
        "Gather", "GatherElements", "GatherND", "Identity", "Reshape", "ReverseSequence", "Shape", "Size", "Slice",
        "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Trilu", "Unsqueeze", "Where",
    )
)  # fmt: skip


def computes(ctx: Lowering, node: ir.Node) -> bool:
    """Whether the node computes with float16 or bfloat16 values."""
    return node.op_type not in MOVES and any(
        v is not None and ctx.code(v) in HALF for v in (*node.inputs, *node.outputs)
    )


def in_float32(ctx: Lowering, node: ir.Node, lower: Callable[[Lowering], None]) -> None:
    """Runs `lower` with a Lowering in which every half-precision value is float32, and casts the results."""
    inner = _Float32(plan=ctx.plan, opset=ctx.opset, rates=ctx.rates)
    inner.begin(ctx, node)
    lower(inner)
    for value in inner.made:
        typed.cast(ctx, node, inner.tensors[value], ctx.code(value), ctx.result(value))


class _Float32(Lowering):
    """A view of `outer`. Its own tensors are the float32 forms of half-precision values."""

    outer: Lowering
    node: ir.Node
    made: list[ir.Value]

    def begin(self, outer: Lowering, node: ir.Node) -> None:
        self.outer, self.node, self.made = outer, node, []

    def code(self, value: ir.Value) -> int:
        code = self.outer.code(value)
        return F32 if code in HALF else code

    def constant(self, value: ir.Value | None) -> np.ndarray | None:
        array = self.outer.constant(value)
        return (
            array.astype(np.float32)
            if array is not None and value is not None and self.outer.code(value) in HALF
            else array
        )

    def value(self, value: ir.Value | None) -> int:
        if value is None or self.outer.code(value) not in HALF:
            return self.outer.value(value)
        if value not in self.tensors:
            array = self.constant(value)
            if array is not None:
                self.tensors[value] = self.weights(value.name or "", array)
            else:
                self.tensors[value] = typed.cast(self.outer, self.node, self.outer.value(value), F32)
        return self.tensors[value]

    def result(self, value: ir.Value) -> int:
        if self.outer.code(value) not in HALF:
            return self.outer.result(value)
        self.tensors[value] = self.plan.activation(f"{value.name}.f32")
        self.made.append(value)
        return self.tensors[value]
