"""What a layout rule answers, and the edits that rules share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgeort.passes import layout
from edgeort.passes.edit import add_constant, constant, ints, new_node, operand, rank, set_attribute


@dataclass(frozen=True)
class Flexible:
    """Indices of the inputs and outputs that become channels-last together, and the edit that does it."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    rewrite: Callable[[], None]


def layout_rank(value: ir.Value | None) -> int | None:
    found = rank(value)
    return found if found in layout.RANKS else None


def nothing() -> None:
    """The edit of operators that work on any layout as they are."""


def replace_constant(model: ir.Model, node: ir.Node, index: int, array: np.ndarray) -> None:
    old = node.inputs[index]
    assert old is not None
    node.replace_input_with(index, add_constant(model.graph, array, f"{old.name}_nhwc"))


def read_axes(node: ir.Node, index: int) -> tuple[list[int] | None, bool]:
    """The `axes` of a node from its attribute or constant input; (None, True) when they are absent."""
    if "axes" in node.attributes:
        return ints(node, "axes", ()), True
    value = operand(node, index)
    if value is None:
        return None, True
    array = constant(value)
    return (None, False) if array is None else ([int(a) for a in array.reshape(-1)], True)


def set_axes(model: ir.Model, node: ir.Node, index: int, axes: Sequence[int]) -> None:
    if "axes" in node.attributes:
        set_attribute(node, "axes", list(axes))
        return
    old = operand(node, index)
    if index >= len(node.inputs):
        node.resize_inputs(index + 1)
    stem = f"{old.name if old is not None else node.name}_nhwc"
    typed = operand(node, 1) if node.op_type == "Slice" else old  # Slice wants one type for all its indices
    dtype = np.int64 if typed is None or typed.dtype is None else typed.dtype.numpy()
    node.replace_input_with(index, add_constant(model.graph, np.array(axes, dtype), stem))


def permute_input(model: ir.Model, node: ir.Node, index: int, order: Sequence[int]) -> None:
    """Reorders a one-dimensional input (sizes, repeats, ...): a constant at once, else by a Gather."""
    value = node.inputs[index]
    assert value is not None
    array = constant(value)
    if array is not None:
        replace_constant(model, node, index, array[list(order)])
        return
    indices = add_constant(model.graph, np.array(order, np.int64), f"{node.name}_order")
    gather = new_node(model.graph, "Gather", [value, indices], {"axis": 0}, stem=f"{value.name}_nhwc", like=value)
    model.graph.insert_before(node, gather)
    node.replace_input_with(index, gather.outputs[0])
