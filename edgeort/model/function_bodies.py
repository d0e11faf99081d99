"""The standard bodies of operators that ONNX defines as functions, and that need no kernel of their own."""

from __future__ import annotations

from typing import Any

import onnx
import onnx.defs
import onnx_ir as ir

DOMAIN = "edgeort.standard"  # of the model-local functions that hold the bodies until they are inlined

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


def add_bodies(model: ir.Model) -> ir.passes.PassResult:
    """Points every node of EXPANDED to a new model-local function with its body, which waits to be inlined.

    Many bodies depend on attributes and on the types of operands, so that each node gets a function of its own. A node
    whose operands have unknown types stays as it is.
    """
    changed = False
    for node in model.graph.all_nodes():
        if node.op_type not in EXPANDED.get(node.domain, ()):
            continue
        version = model.opset_imports.get(node.domain)
        proto = None if version is None else _body(node, version)
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
        changed = True
    return ir.passes.PassResult(model, changed)


def _body(node: ir.Node, version: int) -> onnx.FunctionProto | None:
    """The body of the operator of opset `version`; None where the operator has none for these operands."""
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
