"""What the nodes of a plan cost, whatever device runs them: multiply-adds, functions evaluated, bytes read and written.

Functions are exponentials and the like in programs. Bytes are those of operands and results as the plan stores them,
each once; views, what is known once shapes are, and parts that lie in the whole (runtime/core/slices.h) move nothing.
Sizes of values that the plan alone has are those of the value they are named for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import onnx_ir as ir

from edgeort.lowering import layout
from edgeort.lowering.params import PARAMS
from edgeort.lowering.plan import PlanBuilder
from edgeort.model import counting

# Kernels whose result is their operand's bytes, or is known once shapes are.
VIEWS = frozenset({"Flatten", "Identity", "Reshape", "Shape", "Size", "Squeeze", "Unsqueeze"})
_LOOKUPS = frozenset({"Gather", "GatherElements", "GatherND", "Slice"})  # read of their table what they write
_JOINTS = frozenset({"Concat", "Split"})  # in place along the channels of a feature map
_MAP = 4
# Kernels with a program behind them, or that are one: the parameters that end with it.
_PROGRAMS = {
    "Elementwise": "ElementwiseParams",
    **dict.fromkeys(("Gemm", "CompressedGemm"), "GemmParams"),
    **dict.fromkeys(
        (
            *("Conv", "CompressedConv", "ConvTranspose", "DepthwiseConv", "GroupedConv", "StemConv"),
            *("DepthwiseConvTranspose", "WinogradConv", "WinogradStemConv"),
        ),
        "ConvParams",
    ),
    **dict.fromkeys(("QConv", "QDepthwiseConv", "QStemConv"), "QConvParams"),
    "QGemm": "QGemmParams",
    "BlockQGemm": "BlockQGemmParams",
    "DynamicQGemm": "DynamicQGemmParams",
    "SparseGemm": "SparseGemmParams",
}
_FUNCTIONS = frozenset(
    (
        "Pow", "ReversePow", "Exp", "Log", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh",
        "Acosh", "Atanh", "Elu", "Selu", "Celu", "Sigmoid", "Tanh", "Erf", "Silu", "Swish", "Gelu", "GeluTanh", "Mish",
        "Softplus",
    )
)  # fmt: skip
# Kernels that may have the name of the product whose operand they convert, or whose epilogue they are.
_NAMED_FOR_OTHERS = frozenset({"Elementwise", "QuantisedBytes"})


@dataclass(frozen=True)
class Cost:
    """Of one node; None where a dimension that it depends on is not known."""

    macs: int | None
    functions: int | None
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
    found = []
    for index, made in enumerate(plan.nodes):
        sums = 0 if made.op in _NAMED_FOR_OTHERS else macs.get(made.name, 0)
        found.append(Cost(sums, _functions(plan, index, shapes), _moved(plan, index, shapes)))
    return found


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
                value.shape = ir.Shape([_evaluated(dim, sizes) for dim in value.shape])
    return copy


def _evaluated(dim: int | ir.SymbolicDim, sizes: Mapping[str, int]) -> int | ir.SymbolicDim:
    """The number that a dimension is; itself where that depends on more than `sizes`."""
    if isinstance(dim, int):
        return dim
    if dim.value is not None and dim.value in sizes:
        return sizes[dim.value]
    try:
        return ir.Shape([dim]).evaluate(dict(sizes))[0]
    except ValueError:  # names need not be expressions: "/conv/y_dim2", "batch size"
        return dim


Shapes = Mapping[str, tuple[int, ...] | None]


def _functions(plan: PlanBuilder, index: int, shapes: Shapes) -> int | None:
    node = plan.nodes[index]
    if node.op not in _PROGRAMS:
        return 0
    code = node.params[PARAMS[_PROGRAMS[node.op]].size :]
    steps = [layout.UOPS[code[at]] for at in range(0, len(code), layout.INSTRUCTION.size)]
    count = sum(step in _FUNCTIONS for step in steps)
    shape = _shape(plan, node.outputs[0], shapes)
    return 0 if count == 0 else None if shape is None else count * math.prod(shape)


def _moved(plan: PlanBuilder, index: int, shapes: Shapes) -> int | None:
    node = plan.nodes[index]
    if node.op in VIEWS:
        return 0
    if node.op in _LOOKUPS:
        made = _shape(plan, node.outputs[0], shapes)
        return None if made is None else 2 * math.prod(made) * _size_of(plan, node.outputs[0])
    total = 0
    for at in dict.fromkeys(at for at in (*node.inputs, *node.outputs) if at >= 0):
        tensor = plan.tensors[at]
        if tensor.data is not None:
            total += plan.stored(tensor.data).nbytes
            continue
        shape = _shape(plan, at, shapes)
        if shape is None:
            return None
        if node.op in _JOINTS and len(shape) == _MAP:
            return 0
        total += math.prod(shape) * _size_of(plan, at)
    return total


def _size_of(plan: PlanBuilder, tensor: int) -> int:
    return layout.DTYPES[plan.tensors[tensor].dtype][2]


def _shape(plan: PlanBuilder, tensor: int, shapes: Shapes) -> tuple[int, ...] | None:
    return shapes.get(plan.tensors[tensor].name.removesuffix(".integers"))
