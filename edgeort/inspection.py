"""What a model consists of and costs: operators, parameters, multiply-adds, and what cannot be run.

Needs `onnx` and `onnx_ir` only, so that `edgeort inspect` answers in well under a second.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

import onnx_ir as ir

from edgeort.model import counting
from edgeort.model.inference import infer_shapes
from edgeort.model.shapes import fix_shapes

if TYPE_CHECKING:
    from edgeort.lowering.storage import SparseWeights

LARGEST_TENSORS = 10

Supported = Collection[tuple[str, str]] | Callable[[ir.Node], str | None]
Dims = tuple[int | str, ...]


class Named(Protocol):
    """A device profile, as far as it matters here."""

    @property
    def name(self) -> str: ...


@dataclass(frozen=True)
class Tensor:
    """An input, output or weight: `shape` has `?` for a nameless unknown dimension and is None for an unknown rank."""

    name: str
    dtype: str | None
    shape: Dims | None
    size_bytes: int | None


@dataclass(frozen=True)
class NodeMacs:
    """Multiply-accumulates of one node; None where a dimension that they depend on is not known."""

    node: str
    op_type: str
    macs: int | None


@dataclass(frozen=True)
class Unsupported:
    """A node that cannot be run, and why."""

    node: str
    op_type: str
    reason: str


@dataclass(frozen=True)
class Precisions:
    """How a device's runtime would compute and store a model.

    `nodes` counts the nodes of its plan by precision; `not_int8` are the products of a quantised model that run in
    float32, each with the reason; `weights_bytes` are those of products and tables by how they are stored.
    """

    nodes: dict[str, int]
    not_int8: list[Unsupported]
    weights_bytes: dict[str, int]


@dataclass(frozen=True)
class Inspection:
    """The figures of one model. Operators are named as in ONNX, their domain before `::` unless it is ONNX's own."""

    device: str | None
    producer: str
    ir_version: int
    opsets: dict[str, int]
    inputs: list[Tensor]
    outputs: list[Tensor]
    node_count: int
    operators: dict[str, int]  # most frequent first, nodes of subgraphs counted
    parameter_count: int
    parameter_bytes: dict[str, int]  # by dtype, largest first
    largest_tensors: list[Tensor]
    macs: list[NodeMacs]  # of the nodes that multiply matrices or convolve, in graph order
    total_macs: int  # of those that are known
    unknown_macs: int  # number of nodes that are not; with any, total_macs is a lower bound
    batch_of_one: bool  # the batch is free, and multiply-adds are those of one item
    unsupported: list[Unsupported]
    sparse: Sequence[SparseWeights] = ()  # stored without zeros, where a device is given that can run every node
    precisions: Precisions | None = None  # where a device is given that can run every node

    @property
    def total_parameter_bytes(self) -> int:
        return sum(self.parameter_bytes.values())

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {**asdict(self), "total_parameter_bytes": self.total_parameter_bytes}


def inspect(model: ir.Model, profile: Named | None = None, supported: Supported | None = None) -> Inspection:
    """Count what is in `model`, which is left as it is.

    `supported` says what can be run: a collection of (domain, operator), or a function from a node to None or the
    sentence that says why it cannot; without it, `unsupported` is empty.
    """
    inputs, outputs = ([_tensor(value) for value in values] for values in (model.graph.inputs, model.graph.outputs))
    model = model.clone()
    batch_of_one = _one_item(model)
    model = infer_shapes(model)
    nodes = list(model.graph.all_nodes())
    macs = list(_macs(model, nodes))
    weights = list(_weights(model, nodes))
    by_dtype: Counter[str] = Counter()
    for weight in weights:
        by_dtype[str(weight.dtype)] += weight.size_bytes or 0
    return Inspection(
        device=None if profile is None else profile.name,
        producer=" ".join(part for part in (model.producer_name, model.producer_version) if part),
        ir_version=int(model.ir_version),
        opsets={domain or "ai.onnx": version for domain, version in model.opset_imports.items()},
        inputs=inputs,
        outputs=outputs,
        node_count=len(nodes),
        operators=dict(Counter(_operator(node) for node in nodes).most_common()),
        parameter_count=sum(math.prod(dim for dim in weight.shape or () if isinstance(dim, int)) for weight in weights),
        parameter_bytes=dict(by_dtype.most_common()),
        largest_tensors=sorted(weights, key=lambda weight: (-(weight.size_bytes or 0), weight.name))[:LARGEST_TENSORS],
        macs=macs,
        total_macs=sum(entry.macs or 0 for entry in macs),
        unknown_macs=sum(entry.macs is None for entry in macs),
        batch_of_one=batch_of_one,
        unsupported=list(_unsupported(nodes, supported)),
    )


def _one_item(model: ir.Model) -> bool:
    """Sets a batch to 1 where it is the only free dimension: the first one of the inputs, under one name."""
    free = {
        (axis, dim.value)
        for value in model.graph.inputs
        for axis, dim in enumerate(value.shape or ())
        if not isinstance(dim, int)
    }
    if len(free) != 1 or next(iter(free))[0] != 0 or next(iter(free))[1] is None:
        return False
    fix_shapes(
        model, {str(v.name): [1, *_tail(v)] for v in model.graph.inputs if v.shape and not isinstance(v.shape[0], int)}
    )
    return True


def _tail(value: ir.Value) -> list[int | str]:
    assert value.shape is not None
    return [dim if isinstance(dim, int) else str(dim.value) for dim in value.shape[1:]]


def _operator(node: ir.Node) -> str:
    return f"{node.domain}::{node.op_type}" if node.domain else node.op_type


def _label(node: ir.Node) -> str:
    return node.name or next((value.name for value in node.outputs if value.name), None) or node.op_type


def _tensor(value: ir.Value) -> Tensor:
    dims = None if value.shape is None else tuple(d if isinstance(d, int) else _named(d) for d in value.shape)
    size = None
    if dims is not None and value.dtype not in (None, ir.DataType.STRING, ir.DataType.UNDEFINED):
        assert value.dtype is not None
        known = [dim for dim in dims if isinstance(dim, int)]
        size = -(-math.prod(known) * value.dtype.bitwidth // 8) if len(known) == len(dims) else None
    return Tensor(str(value.name), None if value.dtype is None else value.dtype.name.lower(), dims, size)


def _named(dim: ir.SymbolicDim) -> str:
    """The name of a free dimension; those that ONNX's shape inference made up are none."""
    return "?" if dim.value is None or dim.value.startswith("unk__") else dim.value


def _weights(model: ir.Model, nodes: list[ir.Node]) -> Iterator[Tensor]:
    for graph in model.graphs():
        for name, value in graph.initializers.items():
            if value.const_value is not None:
                yield _weight(name, value.const_value)
    for node in nodes:
        tensor = node.attributes.get("value") if (node.domain, node.op_type) == ("", "Constant") else None
        if tensor is not None and tensor.type == ir.AttributeType.TENSOR:
            yield _weight(str(node.outputs[0].name), tensor.as_tensor())


def _weight(name: str, tensor: ir.TensorProtocol) -> Tensor:
    size = None if tensor.dtype == ir.DataType.STRING else int(tensor.nbytes)
    return Tensor(name, tensor.dtype.name.lower(), tuple(int(dim) for dim in tensor.shape.numpy()), size)


def _unsupported(nodes: list[ir.Node], supported: Supported | None) -> Iterator[Unsupported]:
    if supported is None:
        return
    for node in nodes:
        if callable(supported):
            reason = supported(node)
        else:
            reason = None if (node.domain, node.op_type) in supported else "there is no kernel for this operator"
        if reason is not None:
            yield Unsupported(_label(node), _operator(node), reason)


def _macs(model: ir.Model, nodes: list[ir.Node]) -> Iterator[NodeMacs]:
    for node in nodes:
        if counting.multiplies(node):
            # How often a subgraph runs is not known before it runs.
            macs = counting.multiply_adds(node) if node.graph is model.graph else None
            yield NodeMacs(_label(node), _operator(node), macs)
        elif node.op_identifier() in model.functions and _multiplies(model.functions[node.op_identifier()]):
            yield NodeMacs(_label(node), _operator(node), None)


def _multiplies(function: ir.Function) -> bool:
    return any(counting.multiplies(node) for node in function.all_nodes())
