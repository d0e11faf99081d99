"""float16, bfloat16 and types of 8 bits and fewer that are only stored: computed in float32, small integers in int32.

Kernels that only move elements take any type; every other node that reads or writes such a value is lowered between
casts, so that its results are rounded once, to the type that the model says. passes/widen_halves.py leaves few of the
half types.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from edgeort.lowering import typed
from edgeort.lowering.context import F32, Lowering
from edgeort.passes.widen_halves import MOVES

# The type -> the type that it is computed in.
WIDE = {typed.CODES["f16"]: F32, typed.CODES["bf16"]: F32, **typed.SMALL}

# Operators whose kernels never look at the value of a float.
_MOVES = MOVES | {"BitCast", "Cast", "CastLike", "If", "Loop"}


def computes(ctx: Lowering, node: ir.Node) -> bool:
    """Whether the node computes with values of a type that has no arithmetic."""
    return node.op_type not in _MOVES and any(
        v is not None and ctx.code(v) in WIDE for v in (*node.inputs, *node.outputs)
    )


def in_wide_type(ctx: Lowering, node: ir.Node, lower: Callable[[Lowering], None]) -> None:
    """Runs `lower` with a Lowering in which every such value is of its wide type, and casts the results."""
    inner = _Wide(plan=ctx.plan, opset=ctx.opset, rates=ctx.rates)
    inner.begin(ctx, node)
    lower(inner)
    for value in inner.made:
        typed.cast(ctx, node, inner.tensors[value], ctx.code(value), ctx.result(value))


class _Wide(Lowering):
    """A view of `outer`. Its own tensors are the wide forms of values whose type has no arithmetic."""

    outer: Lowering
    node: ir.Node
    made: list[ir.Value]

    def begin(self, outer: Lowering, node: ir.Node) -> None:
        self.outer, self.node, self.made = outer, node, []

    def code(self, value: ir.Value) -> int:
        code = self.outer.code(value)
        return WIDE.get(code, code)

    def constant(self, value: ir.Value | None) -> np.ndarray | None:
        array = self.outer.constant(value)
        if array is None or value is None or self.outer.code(value) not in WIDE:
            return array
        return array.astype(np.float32 if self.code(value) == F32 else np.int32)

    def value(self, value: ir.Value | None) -> int:
        if value is None or self.outer.code(value) not in WIDE:
            return self.outer.value(value)
        if value not in self.tensors:
            array, code = self.constant(value), self.code(value)
            if array is not None:
                self.tensors[value] = self.weights(value.name or "", array, code)
            else:
                self.tensors[value] = typed.cast(self.outer, self.node, self.outer.value(value), code)
        return self.tensors[value]

    def result(self, value: ir.Value) -> int:
        if self.outer.code(value) not in WIDE:
            return self.outer.result(value)
        self.tensors[value] = self.plan.activation(f"{value.name}.wide", self.code(value))
        self.made.append(value)
        return self.tensors[value]
