"""Sequences and optionals whose tensors are not known before a run (runtime/kernels/sequences)."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from edgeort.lowering.context import Group, Lowering, integer
from edgeort.lowering.move import axis_params, operand

Handler = Callable[[Lowering, ir.Node, Group], None]


def _plain(op: str) -> Handler:
    return lambda ctx, node, group: ctx.emit(op, node)


def _split(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """SplitToSequence; without sizes, parts of one entry, which may lose their axis."""
    squeezed = operand(node, 1) is None and not integer(node, "keepdims", 1)
    ctx.emit("SplitToSequence", node, axis_params(axis=integer(node, "axis", 0), flag=int(squeezed)))


def _concat(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """ConcatFromSequence."""
    params = axis_params(axis=integer(node, "axis", 0), flag=integer(node, "new_axis", 0))
    ctx.emit("ConcatFromSequence", node, params)


def _element(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """OptionalGetElement, of what may be no optional."""
    x = node.inputs[0]
    optional = x is not None and isinstance(x.type, ir.OptionalType)
    ctx.emit("SequenceAt" if optional else "Identity", node, inputs=[ctx.value(x)])


def _has(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """OptionalHasElement of an optional; what is none is always there, and was resolved."""
    ctx.emit("OptionalHasElement", node)


HANDLERS: dict[tuple[str, str], Handler] = {
    ("", "SequenceConstruct"): _plain("SequenceConstruct"),
    ("", "SequenceEmpty"): _plain("SequenceConstruct"),
    ("", "Optional"): _plain("SequenceConstruct"),
    ("", "SequenceInsert"): _plain("SequenceInsert"),
    ("", "SequenceErase"): _plain("SequenceErase"),
    ("", "SequenceAt"): _plain("SequenceAt"),
    ("", "SequenceLength"): _plain("SequenceLength"),
    ("", "SplitToSequence"): _split,
    ("", "ConcatFromSequence"): _concat,
    ("", "OptionalGetElement"): _element,
    ("", "OptionalHasElement"): _has,
}
