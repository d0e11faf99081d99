"""What the nodes of a plan cost, whatever device runs them: multiply-adds, and bytes read and written.

Bytes are those of operands and results as the plan stores them, each once; views, and what is known once shapes are,
move nothing. Sizes of values that the plan alone has are those of the value they are named for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import onnx_ir as ir

from edgeort.lowering import layout, storage
from edgeort.lowering.plan import PlanBuilder
from edgeort.model import counting

# Kernels whose result is their operand's bytes, or is known once shapes are.
VIEWS = frozenset({"Flatten", "Identity", "Reshape", "Shape", "Size", "Squeeze", "Unsqueeze"})
# Kernels that may have the name of the product whose operand they convert, or whose epilogue they are.
_NAMED_FOR_OTHERS = frozenset({"Elementwise", "QuantisedBytes"})


@dataclass(frozen=True)
class Cost:
    """Of one node; None where a dimension that it depends on is not known."""

    macs: int | None
    moved_bytes: int | None


def costs(plan: PlanBuilder, graph: ir.Model, inputs: Mapping[str, tuple[int, ...]]) -> list[Cost]:
    """A cost for each node of the plan, in its order.

    `graph` is what the plan was lowered from, `inputs` are the shapes of its inputs by name.
    """
    graph = _fixed(graph, inputs)
    macs: dict[str, int | None] = {}
    shapes = {str(value.name): counting.fixed(value) for value in graph.graph.inputs}
    for node in graph.graph:
        shapes.update({str(value.name): counting.fixed(value) for value in node.outputs})
        if counting.multiplies(node):
            macs[node.name or node.op_type] = counting.multiply_adds(node)
    return [
        Cost(0 if made.op in _NAMED_FOR_OTHERS else macs.get(made.name, 0), _moved(plan, index, shapes))
        for index, made in enumerate(plan.nodes)
    ]


def _fixed(graph: ir.Model, inputs: Mapping[str, tuple[int, ...]]) -> ir.Model:
    """A copy in which the names of free dimensions are the numbers that `inputs` give them."""
    sizes: dict[str, int] = {}
    for value in graph.graph.inputs:
        for dim, size in zip(value.shape or (), inputs.get(str(value.name), ()), strict=False):
            if isinstance(dim, ir.SymbolicDim) and dim.value is not None:
                sizes[dim.value] = size
    copy = graph.clone()
    for value, given in ((value, inputs.get(str(value.name))) for value in copy.graph.inputs):
        if given is not None:
            value.shape = ir.Shape(given)
    for node in copy.graph:
        for value in node.outputs:
            if value.shape is not None:
                value.shape = value.shape.evaluate(sizes)
    return copy


def _moved(plan: PlanBuilder, index: int, shapes: Mapping[str, tuple[int, ...] | None]) -> int | None:
    node = plan.nodes[index]
    if node.op in VIEWS:
        return 0
    total = 0
    for at in dict.fromkeys(at for at in (*node.inputs, *node.outputs) if at >= 0):
        tensor = plan.tensors[at]
        if tensor.data is not None:
            less = storage.sparse(tensor.data)
            total += (tensor.data if less is None else less).nbytes
            continue
        name = tensor.name.removesuffix(".integers")
        shape = shapes.get(name)
        if shape is None:
            return None
        total += math.prod(shape) * layout.DTYPES[tensor.dtype][2]
    return total
