"""Operators that run as their bodies: those that ONNX defines as functions, and others that a few operators say.

A body is a model-local function until it is inlined. `EXPANDED` are ONNX's own; `BODIES` are ours, one module a family:
(domain, operator) -> a function that is given a `Body` of the node and returns the names of its results.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
import onnx.defs
import onnx_ir as ir

from edgeort.model.bodies import (
    fused,
    grouped,
    learning,
    microsoft,
    plain,
    qgemm,
    quantised,
    recurrent,
    signal,
    training,
)
from edgeort.model.bodies.builder import Body, Unknown

DOMAIN = "edgeort.standard"  # of the functions that hold the bodies

# By domain. Other operators with a body have a kernel.
EXPANDED: dict[str, frozenset[str]] = {
    "": frozenset(
        (
            "Attention", "Bernoulli", "BlackmanWindow", "CastLike", "CausalConvWithState", "CenterCropPad",
            "HammingWindow", "HannWindow", "LinearAttention", "NegativeLogLikelihoodLoss", "RotaryEmbedding",
            "SequenceMap", "SoftmaxCrossEntropyLoss", "SwiGLU",
        )
    ),
    "ai.onnx.preview": frozenset(("FlexAttention",)),
}  # fmt: skip

# Operators whose kernels are for float32 alone; their bodies need few operators on float64.
EXPANDED_OF_DOUBLE = frozenset(
    (
        "Celu", "Elu", "Gelu", "HardSigmoid", "HardSwish", "LayerNormalization", "LeakyRelu", "LogSoftmax", "Mish",
        "ReduceLogSum", "ReduceLogSumExp", "RMSNormalization", "Selu", "Shrink", "Softmax", "Softplus", "Softsign",
        "Swish", "ThresholdedRelu",
    )
)  # fmt: skip

BODIES: dict[tuple[str, str], Callable[[Body], list[str]]] = {
    **plain.BODIES,
    **learning.BODIES,
    **signal.BODIES,
    **training.BODIES,
    **microsoft.BODIES,
    **fused.BODIES,
    **quantised.BODIES,
    **grouped.BODIES,
    **qgemm.BODIES,
    **recurrent.BODIES,
}


def add_bodies(model: ir.Model) -> ir.passes.PassResult:
    """Points every node that has a body here to a new model-local function with it, which waits to be inlined.

    Many bodies depend on attributes and on the types of operands, so that each node gets a function of its own. A node
    whose operands have unknown types stays as it is.
    """
    changed = False
    for node in model.graph.all_nodes():
        proto = _own_body(node, model) or _standard_body(node, model)
        if proto is None:
            continue
        proto.domain, proto.name = DOMAIN, f"{node.op_type}_{len(model.functions)}"
        _drop_graphs(node, proto)
        del proto.output[len(node.outputs) :]
        _produce_all(proto)
        function = ir.serde.deserialize_function(proto)
        for domain in function.opset_imports:
            model.opset_imports.setdefault(domain, function.opset_imports[domain])
        function.opset_imports.update(model.opset_imports)
        model.functions[function.identifier()] = function
        model.opset_imports.setdefault(DOMAIN, 1)
        node.domain, node.op_type = DOMAIN, function.name
        for index, value in enumerate(node.outputs):
            value.name = value.name or f"{function.name}.unread{index}"  # inlined, a nameless output is no valid ONNX
        changed = True
    return ir.passes.PassResult(model, changed)


def _own_body(node: ir.Node, model: ir.Model) -> onnx.FunctionProto | None:
    write = BODIES.get((node.domain, node.op_type))
    if write is None:
        return None
    body = Body(node, model.opset_imports[""])
    try:
        return body.proto(write(body))
    except (Unknown, ArithmeticError, LookupError, TypeError, ValueError):
        return None  # operands or attributes that the operator cannot have: nobody checks those of com.microsoft's


def _standard_body(node: ir.Node, model: ir.Model) -> onnx.FunctionProto | None:
    """The standard's body; None where the operator has none for these operands, or a kernel."""
    version = model.opset_imports.get(node.domain)
    first = node.inputs[0] if node.inputs else None
    of_double = first is not None and first.dtype == ir.DataType.DOUBLE and node.op_type in EXPANDED_OF_DOUBLE
    if version is None or not (node.op_type in EXPANDED.get(node.domain, ()) or (of_double and not node.domain)):
        return None
    schema: Any = onnx.defs.get_schema(node.op_type, version, node.domain)  # its stubs lack the functions
    for name, attribute in schema.attributes.items():
        if name not in node.attributes and attribute.default_value.name:
            node.attributes.add(ir.serde.deserialize_attribute(attribute.default_value))
    if schema.has_function:
        text = schema.get_function_with_opset_version(_newest(schema.function_opset_versions, version))
    elif schema.has_context_dependent_function:
        newest = _newest(schema.context_dependent_function_opset_versions, version)
        types = [onnx.TypeProto() if v is None else ir.serde.serialize_value(v).type for v in node.inputs]
        text = schema.get_context_dependent_function_with_opset_version(
            newest, ir.serde.serialize_node(node).SerializeToString(), [t.SerializeToString() for t in types]
        )
    else:
        return None
    return onnx.FunctionProto.FromString(text) if text else None


def _drop_graphs(node: ir.Node, proto: onnx.FunctionProto) -> None:
    """Graphs among the attributes are part of the body already, and functions take none."""
    for name in [name for name, attribute in node.attributes.items() if attribute.type == ir.AttributeType.GRAPH]:
        node.attributes.pop(name)
        proto.attribute.remove(name)


def _produce_all(proto: onnx.FunctionProto) -> None:
    """Outputs that the node leaves out are missing in some bodies: there they become copies that nobody reads."""
    made = {name for node in proto.node for name in node.output}
    for name in proto.output:
        if name not in made:
            proto.node.append(onnx.helper.make_node("Identity", proto.input[:1], [name]))


def _newest(versions: list[int], limit: int) -> int:
    return max((version for version in versions if version <= limit), default=min(versions))
