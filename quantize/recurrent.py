"""Recurrent nodes, also those in bodies of If, Loop and Scan: weights with a scale a column, in one of two forms.

    float     LSTM(x, w, r, ...)   ->   LSTM(x, DequantizeLinear(w8), DequantizeLinear(r8), ...)      also GRU and RNN
    dynamic   LSTM(x, w, r, ...)   ->   DynamicQuantizeLSTM(x, w8, r8, ...)                           com.microsoft

Both directions of a node share their columns' scales: DequantizeLinear has one axis. The state goes round through the
weights at every step, so it and the input are not rounded unless that is asked for: then both become eight bits as the
model runs, and products are of integers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType

import numpy as np
import onnx_ir as ir

from edgeort.passes.edit import add_constant, constant, integer, is_op, new_node, operand
from edgeort.quantize import parameters
from edgeort.quantize.forms import Form

OPERATORS = ("GRU", "LSTM", "RNN")
NOT_CONSTANT = "it is recurrent, and its weights are not finite float32 constants"
_MICROSOFT = "com.microsoft"
WEIGHTS = (1, 2)  # operands [directions, gates * hidden, k]: of the input and of the state
_OPERANDS = 8
_COLUMNS = 1


def refusal(node: ir.Node) -> str | None:
    """Why the weights of a recurrent node stay as they are; else None."""
    arrays = [constant(operand(node, at)) for at in WEIGHTS]
    return None if all(map(_fits, arrays)) else NOT_CONSTANT


def _fits(array: np.ndarray | None) -> bool:
    if array is None or array.dtype != np.float32 or array.ndim != 3 or not array.size:
        return False
    return bool(np.isfinite(array).all())


def nodes(graph: ir.Graph) -> Iterator[ir.Node]:
    """All recurrent nodes, also of bodies."""
    return (node for node in graph.all_nodes() if is_op(node, *OPERATORS))


def recurrent(graph: ir.Graph, exclude: Collection[str] = ()) -> list[ir.Node]:
    """The nodes whose weights become int8."""
    return [node for node in nodes(graph) if node.name not in exclude and refusal(node) is None]


def form(node: ir.Node, wanted: Mapping[str, Form]) -> Form:
    """That of `wanted`, which are by node or by "" for all, where the node can have it; else the first above."""
    chosen = wanted.get(str(node.name), wanted.get(""))
    can = node.op_type == "LSTM" and not integer(node, "layout", 0)
    return Form.DYNAMIC if chosen is Form.DYNAMIC and can else Form.FLOAT


def quantize_recurrent(
    graph: ir.Graph, exclude: Collection[str] = (), wanted: Mapping[str, Form] = MappingProxyType({})
) -> dict[str, Form]:
    """Rewrites them; returns their forms, by name."""
    found, made = recurrent(graph, exclude), dict[tuple[ir.Graph, ir.Value], ir.Value]()
    chosen = {str(node.name): form(node, wanted) for node in found}
    for node in found:
        if chosen[str(node.name)] is Form.DYNAMIC:
            _make_dynamic(graph, node)
            continue
        for at in WEIGHTS:
            value, place = node.inputs[at], node.graph
            assert value is not None and isinstance(place, ir.Graph)
            if (place, value) not in made:
                made[place, value] = _dequantized(graph, node, value)
            node.replace_input_with(at, made[place, value])
    return chosen


def _integers(graph: ir.Graph, value: ir.Value) -> tuple[np.ndarray, np.ndarray]:
    array = constant(value)
    assert array is not None
    scales = parameters.weight_scales(array, _COLUMNS, None, np.float32(1))
    return parameters.quantize_weight(array, _COLUMNS, scales), scales


def _dequantized(graph: ir.Graph, node: ir.Node, value: ir.Value) -> ir.Value:
    """What makes float32 of the integers, before the first node of its body that reads them."""
    integers, scales = _integers(graph, value)
    operands = [
        add_constant(graph, integers, f"{value.name}_quantized"),
        add_constant(graph, scales, f"{value.name}_scale"),
    ]
    restore = new_node(graph, "DequantizeLinear", operands, {"axis": _COLUMNS}, stem=f"{value.name}_dequantized")
    restore.outputs[0].dtype, restore.outputs[0].shape = ir.DataType.FLOAT, ir.Shape(integers.shape)
    assert node.graph is not None
    node.graph.insert_before(node, restore)
    return restore.outputs[0]


def _make_dynamic(graph: ir.Graph, node: ir.Node) -> None:
    """ONNX Runtime's operator has weights [directions, k, gates * hidden]."""
    inputs = [*node.inputs, *[None] * (_OPERANDS - len(node.inputs))]
    for at in WEIGHTS:
        value = node.inputs[at]
        assert value is not None
        integers, scales = _integers(graph, value)
        inputs[at] = add_constant(graph, integers.transpose(0, 2, 1), f"{value.name}_quantized")
        by_direction = np.repeat(scales[None], len(integers), axis=0)
        inputs.append(add_constant(graph, by_direction, f"{value.name}_scale"))
        inputs.append(add_constant(graph, np.zeros(by_direction.shape, np.int8), f"{value.name}_zero_point"))
    attributes = [attribute for name, attribute in node.attributes.items() if name != "layout"]
    outputs = [ir.Value(name=value.name, type=value.type, shape=value.shape) for value in node.outputs]
    made = ir.Node(_MICROSOFT, "DynamicQuantizeLSTM", inputs, attributes, outputs=outputs, name=node.name)
    place = node.graph
    assert place is not None
    place.insert_before(node, made)
    for before, after in zip(node.outputs, outputs, strict=True):
        before.replace_all_uses_with(after, replace_graph_outputs=True)
    place.remove(node, safe=True)
    for after, before in zip(outputs, node.outputs, strict=True):
        after.name = before.name
    graph.opset_imports.setdefault(_MICROSOFT, 1)
