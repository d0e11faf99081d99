"""ONNX's shape inference, and what it lacks: operators that ONNX does not know, shapes that are computed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import inf

import onnx
import onnx_ir as ir

from edgeort.model.logs import at_level
from edgeort.model.tensors import RANK_LIMIT

log = logging.getLogger(__name__)

INFERENCE_ROUNDS = 16  # each needs a Reshape to a computed shape behind that of the round before
VECTOR_LIMIT = 1024  # entries of a shape, generously
BIG_INITIALIZER_BYTES = 1024  # shape inference reads values of small initializers (shapes, axes), never of weights

# operator -> which input holds the shape of the output
_SHAPE_INPUT = {"ConstantOfShape": 0, "Expand": 1, "Reshape": 1}
# operators through which inference follows the values of shapes
_PROPAGATING = frozenset(
    {
        "Add",
        "Cast",
        "Ceil",
        "Concat",
        "Div",
        "Floor",
        "Gather",
        "Identity",
        "Mul",
        "Size",
        "Slice",
        "Squeeze",
        "Sub",
        "Unsqueeze",
    }
)
_OPAQUE = "edgeort.opaque"


def infer_shapes(model: ir.Model) -> ir.Model:
    """Fill in types and shapes of the values that nodes produce, in place, by ONNX shape inference; returns `model`.

    Where a target shape is computed at run time, its length still gives the rank. Never contradicts what is declared;
    leaves the model alone where inference has no answer.
    """
    for _ in range(INFERENCE_ROUNDS):
        # Once more, it would find the same, but for what it was not shown without a type.
        learnt = _infer_once(model, data_prop=False) and any(_deadly(model))
        learnt |= _set_products(model)
        if not model.functions:  # through whose bodies inference would follow values, too
            learnt |= _set_ranks(model)
            learnt |= _has_values_to_follow(model) and _infer_once(model, data_prop=True)
        if not learnt:
            break
    return model


def _has_values_to_follow(model: ir.Model) -> bool:
    """Whether some operator computes with shapes: else inference finds the same, whether it follows values or not."""
    return any(
        node.domain == "" and (node.op_type == "Shape" or (node.op_type in _PROPAGATING and _is_small(node)))
        for node in model.graph.all_nodes()
    )


def _infer_once(model: ir.Model, *, data_prop: bool) -> bool:
    """One run of inference, with `data_prop` following the values of shapes; returns whether anything was learnt."""
    try:
        light = without_weights(model, small_only=data_prop)
        inferred = onnx.shape_inference.infer_shapes(light, data_prop=data_prop)
        found = [_shapes(graph) for graph in _graphs(inferred.graph)]
    except Exception as error:  # the C++ library and onnx-ir raise their own types, without a common base
        log.warning("shape inference failed, shapes stay as they are: %s", str(error).split("\n")[0])
        return False
    changed = False
    for graph, shapes in zip(model.graphs(), found, strict=True):
        changed |= _copy_shapes((value for node in graph for value in node.outputs), shapes)
    return changed


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The graph and those of its nodes, in the order of `ir.Model.graphs`."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for body in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _graphs(body)


def _shapes(graph: onnx.GraphProto) -> dict[str | None, ir.Value]:
    """What a graph says of the values that its nodes make; to read the nodes as well takes several times as long."""
    return {info.name: ir.from_proto(info) for info in (*graph.value_info, *graph.output)}


def adopt_shapes(model: ir.Model, inferred: onnx.ModelProto) -> None:
    """Takes the shapes of `inferred` where those that the model declares for what its nodes make contradict them."""
    for graph, other in zip(model.graphs(), _graphs(inferred.graph), strict=True):
        found = _shapes(other)
        for value in (value for node in graph for value in node.outputs):
            source = found.get(value.name)
            shape = None if source is None else source.shape
            if shape is not None and value.shape is not None and _contradict(shape, value.shape):
                value.shape = ir.Shape(list(shape))


def _contradict(one: ir.Shape, other: ir.Shape) -> bool:
    pairs = zip(one, other, strict=False)
    return len(one) != len(other) or any(isinstance(a, int) and isinstance(b, int) and a != b for a, b in pairs)


def _set_ranks(model: ir.Model) -> bool:
    """Give the outputs that have no shape one of unknown dimensions, as many as the operator's shape input has entries.

    Returns whether there was one, so that inference can go on behind it. ONNX's own leaves these without a rank. One of
    another rank is an exporter's mistake, at which ONNX Runtime warns: it goes.
    """
    changed = False
    for node in model.graph.all_nodes():
        position = _SHAPE_INPUT.get(node.op_type) if node.domain == "" else None
        if position is None or len(node.inputs) <= position:
            continue
        target = node.inputs[position]
        if target is None or target.shape is None or len(target.shape) != 1 or not isinstance(target.shape[0], int):
            continue
        rank = target.shape[0]
        if node.op_type == "Expand":
            data = node.inputs[0]
            if data is None or data.shape is None:
                continue
            rank = max(rank, len(data.shape))
        known = node.outputs[0].shape
        if rank <= RANK_LIMIT and (known is None or len(known) != rank):
            node.outputs[0].shape = ir.Shape([None] * rank)
            changed = True
    return changed


def _set_products(model: ir.Model) -> bool:
    """Give the results of com.microsoft's MatMulNBits, which ONNX does not know, types and shapes; whether it did."""
    changed = False
    for node in model.graph.all_nodes():
        if (node.domain, node.op_type) != ("com.microsoft", "MatMulNBits") or node.inputs[0] is None:
            continue
        x, out = node.inputs[0], node.outputs[0]
        if out.type is None and x.type is not None:
            out.type, changed = x.type, True
        if out.shape is None and x.shape is not None and "N" in node.attributes:
            out.shape, changed = ir.Shape([*list(x.shape)[:-1], node.attributes["N"].as_int()]), True
    return changed


def _copy_shapes(values: Iterable[ir.Value], found: Mapping[str | None, ir.Value]) -> bool:
    changed = False
    for value in values:
        source = found.get(value.name)
        if source is None:
            continue
        if value.type is None and source.type is not None:
            value.type = source.type
            changed = True
        if source.shape is not None and source.shape != value.shape:
            value.shape = ir.Shape(list(source.shape))  # not the source's own: deserialised shapes are frozen
            changed = True
    return changed


def without_weights(model: ir.Model, *, small_only: bool = False) -> onnx.ModelProto:
    """The model as a small message: large initializers are declared as inputs, which inference cannot tell apart.

    With `small_only`, shape arithmetic on anything but short vectors is hidden behind operators without a definition:
    inference writes out the elements of every vector that it follows, of however many millions (onnx 1.23).
    """
    if not small_only and not any(map(_is_hidden, model.graph.initializers.values())) and not any(_deadly(model)):
        return _proto(model)
    light = model.clone()
    graph = light.graph
    for name, value in list(graph.initializers.items()):
        tensor = value.const_value
        if tensor is not None and _is_hidden(value):
            value.type, value.shape = ir.TensorType(tensor.dtype), ir.Shape(tensor.shape.numpy())
            del graph.initializers[name]
            value.const_value = None
            graph.inputs.append(value)
    if small_only:
        for node in graph.all_nodes():
            if node.domain == "" and node.op_type in _PROPAGATING and not _is_small(node):
                node.domain = _OPAQUE
                light.opset_imports[_OPAQUE] = 1
    _keep_alive(light)
    return _proto(light)


def _proto(model: ir.Model) -> onnx.ModelProto:
    with at_level("onnx_ir", logging.ERROR):  # it warns of each value of unknown type
        return ir.to_proto(model)


def _keep_alive(light: ir.Model) -> None:
    """Inference dies at some operators where it does not know the type of their input (onnx 1.23).

    Those whose input can have one type only get it; others are hidden, as are those within functions, where types
    cannot be declared. The checker refuses those that have no input.
    """
    for holder, node in _deadly(light):
        value = next(iter(node.inputs), None)
        if holder is light.graph:
            type_of = _DEADLY[node.domain, node.op_type][1](node)
            if value is not None and value.type is None and type_of is not None:
                value.type = ir.TensorType(type_of)
            if value is None or value.type is not None:
                continue
        node.domain = _OPAQUE
        light.opset_imports[_OPAQUE] = holder.opset_imports[_OPAQUE] = 1


def _deadly(model: ir.Model) -> Iterator[tuple[ir.Graph | ir.Function, ir.Node]]:
    holders: tuple[ir.Graph | ir.Function, ...] = (model.graph, *model.functions.values())
    for holder in holders:
        for node in holder.all_nodes():
            last, _ = _DEADLY.get((node.domain, node.op_type), (0, None))
            if holder.opset_imports.get(node.domain, 0) <= last:
                yield holder, node


def _type_of_splits(tree: ir.Node) -> ir.DataType | None:
    splits = tree.attributes.get("nodes_splits")
    return splits.as_tensor().dtype if splits is not None and splits.type == ir.AttributeType.TENSOR else None


# operator -> the last opset in which inference dies of an input without a type, and the one type that it can have
_DEADLY: dict[tuple[str, str], tuple[float, Callable[[ir.Node], ir.DataType | None]]] = {
    ("", "RegexFullMatch"): (inf, lambda node: ir.DataType.STRING),
    ("ai.onnx.ml", "DictVectorizer"): (inf, lambda node: None),
    ("ai.onnx.ml", "LabelEncoder"): (1, lambda node: None),
    ("ai.onnx.ml", "TreeEnsemble"): (inf, _type_of_splits),
}


def _is_hidden(initializer: ir.Value) -> bool:
    tensor = initializer.const_value
    return tensor is not None and (_is_big(tensor) or isinstance(tensor, ir.ExternalTensor))


def _is_big(tensor: ir.TensorProtocol) -> bool:
    """Strings have no size of their own: they are as large as where they lie in memory."""
    size = 16 * tensor.size if tensor.dtype == ir.DataType.STRING else tensor.nbytes
    return size > BIG_INITIALIZER_BYTES


def _is_small(node: ir.Node) -> bool:
    """Whether following the values through `node` is cheap: it never happens from rank 2, and vectors must be short."""
    for value in (*node.inputs, *node.outputs):
        if value is None or (value.shape is not None and len(value.shape) > 1):
            continue
        if value.shape is None or any(not isinstance(dim, int) or dim > VECTOR_LIMIT for dim in value.shape):
            return False
    return True
