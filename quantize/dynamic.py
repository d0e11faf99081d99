"""Products whose rows are quantised as the model runs: calls of the model-local function DynamicQuantMatMul."""

from __future__ import annotations

import onnx
import onnx.inliner
import onnx_ir as ir

from edgeort.model.dynamic_products import DOMAIN, NAME, add_function
from edgeort.passes.edit import add_constant, integer, new_node, replace_node
from edgeort.quantize.qdq import QuantizedLayer


def call(model: ir.Model, quantized: QuantizedLayer) -> None:
    """Replaces a MatMul or Gemm by a call, and by an Add where it has a bias."""
    add_function(model)
    node, graph = quantized.layer.node, model.graph
    weight = quantized.weight
    assert weight.const_value is not None
    if node.op_type == "Gemm" and integer(node, "transB", 0):
        weight = add_constant(graph, weight.const_value.numpy().T, f"{weight.name}_transposed")
    scale = add_constant(graph, quantized.weight_scales, f"{weight.name}_scale")
    out, bias = node.outputs[0], node.inputs[2] if len(node.inputs) > 2 else None
    made = new_node(graph, NAME, [node.inputs[0], weight, scale], stem=str(node.name), domain=DOMAIN, like=out)
    if bias is None:
        replace_node(graph, node, made)
        return
    graph.insert_before(node, made)
    replace_node(graph, node, new_node(graph, "Add", [made.outputs[0], bias], stem=f"{node.name}_bias", like=out))


def inlined(model: bytes) -> bytes:
    """The model with the function's operators in place of the calls."""
    proto = onnx.inliner.inline_local_functions(onnx.ModelProto.FromString(model))
    kept = [entry for entry in proto.opset_import if entry.domain != DOMAIN]
    del proto.opset_import[:]
    proto.opset_import.extend(kept)
    return proto.SerializeToString()
