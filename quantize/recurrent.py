"""Recurrent nodes, also those in bodies of If, Loop and Scan: weights with a scale a column, in one of two forms.

    float     LSTM(x, w, r, ...)   ->   LSTM(x, DequantizeLinear(w8), DequantizeLinear(r8), ...)      also GRU and RNN
    dynamic   LSTM(x, w, r, ...)   ->   DynamicQuantizeLSTM(x, w8, r8, ...)                           com.microsoft
              GRU(x, w, r, ...)    ->   DynamicQuantGRU(x, w8, ...) of each direction                 also RNN

Both directions of a node share their columns' scales: DequantizeLinear has one axis. The state goes round through the
weights at every step, so it and the input are not rounded unless that is asked for: then both become eight bits as the
model runs, and products are of integers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx_ir as ir

from edgeort.model.dynamic_products import DOMAIN
from edgeort.model.dynamic_recurrence import add_function
from edgeort.passes.edit import add_constant, constant, integer, is_op, new_node, operand, text, unique_name
from edgeort.quantize import parameters
from edgeort.quantize.forms import Form

OPERATORS = ("GRU", "LSTM", "RNN")
NOT_CONSTANT = "it is recurrent, and its weights are not finite float32 constants"
_MICROSOFT = "com.microsoft"
WEIGHTS = (1, 2)  # operands [directions, gates * hidden, k]: of the input and of the state
_OPERANDS = 8
_BIAS, _LENGTHS, _INITIAL = 3, 4, 5
_COLUMNS = 1
_KNOWN_ATTRIBUTES = {"direction", "hidden_size", "layout", "linear_before_reset"}


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


def sharing(graph: ir.Graph, exclude: Collection[str] = ()) -> list[list[ir.Node]]:
    """The nodes whose weights become int8, those together that share weights, themselves or through others.

    None of them does where one is excluded, as with tables: its weights would be stored twice.
    """
    found = dict[ir.Value, list[ir.Node]]()
    for node in nodes(graph):
        if refusal(node) is None:
            weights = [value for at in WEIGHTS if (value := node.inputs[at]) is not None]
            joined = {id(group): group for value in weights if (group := found.get(value))}
            group = [*(other for group in joined.values() for other in group), node]
            read = {other.inputs[at] for other in group for at in WEIGHTS}
            found |= {value: group for value in read if value is not None}
    groups = {id(group): group for group in found.values()}.values()
    return [group for group in groups if not any(node.name in exclude for node in group)]


def recurrent(graph: ir.Graph, exclude: Collection[str] = ()) -> list[ir.Node]:
    """All of these."""
    return [node for group in sharing(graph, exclude) for node in group]


def _form(node: ir.Node, wanted: Form | None) -> Form:
    """That which is wanted where the node can have it; else the first above."""
    return Form.DYNAMIC if wanted is Form.DYNAMIC and can_be_dynamic(node) else Form.FLOAT


def can_be_dynamic(node: ir.Node) -> bool:
    """Whether there is an operator or a function for it."""
    if node.op_type == "LSTM":
        return not integer(node, "layout", 0)
    plain = not node.attributes.keys() - _KNOWN_ATTRIBUTES and not integer(node, "layout", 0)
    constant_bias = operand(node, _BIAS) is None or constant(operand(node, _BIAS)) is not None
    resets_last = node.op_type == "RNN" or bool(integer(node, "linear_before_reset", 0))
    return plain and constant_bias and resets_last and operand(node, _LENGTHS) is None


def quantize_recurrent(
    model: ir.Model, exclude: Collection[str] = (), wanted: Mapping[str, Form] = MappingProxyType({})
) -> dict[str, Form]:
    """Rewrites them; returns their forms, by name.

    `wanted` are forms by "" for all, or by the first node of those that share weights, for these.
    """
    graph, made, chosen = model.graph, dict[tuple[ir.Graph, ir.Value], ir.Value](), dict[str, Form]()
    for group in sharing(graph, exclude):
        form = wanted.get(str(group[0].name), wanted.get(""))
        chosen |= {str(node.name): _form(node, form) for node in group}
    for node in recurrent(graph, exclude):
        if chosen[str(node.name)] is Form.DYNAMIC:
            _make_dynamic(graph, node) if node.op_type == "LSTM" else _call(model, node)
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


def _call(model: ir.Model, node: ir.Node) -> None:
    """A call for each direction of a GRU or RNN, whose results are then joined."""
    graph, place, made = model.graph, node.graph, _Nodes(model.graph, node)
    assert place is not None
    sides = [_integers(graph, value) for at in WEIGHTS if (value := node.inputs[at]) is not None]
    given, columns = constant(operand(node, _BIAS)), sides[0][0].shape[1]
    results: list[Sequence[ir.Value]] = []
    direction = text(node, "direction", "forward")
    for index, backwards in enumerate({"forward": (False,), "reverse": (True,)}.get(direction, (False, True))):
        inputs = [node.inputs[0]]
        for integers, scales in sides:
            inputs += [made.constant(integers[index].T), made.constant(scales)]
        bias = np.zeros(2 * columns, np.float32) if given is None else given[index]
        inputs += [made.constant(part) for part in np.split(bias, 2)]
        inputs.append(made.initial(index, sides[1][0].shape[2]))
        called = add_function(model, node.op_type, backwards=backwards)
        results.append(made.add(called, inputs, outputs=2, domain=DOMAIN))
    for which, (axis, value) in enumerate(zip((1, 0), node.outputs, strict=False)):
        parts = [made.add("Unsqueeze", [result[which], made.constant(np.array([axis]))])[0] for result in results]
        joined = made.add("Concat", parts, {"axis": axis})[0]
        joined.type, joined.shape, joined_name = value.type, value.shape, value.name
        value.replace_all_uses_with(joined, replace_graph_outputs=True)
        value.name, joined.name = f"{joined_name}_replaced", joined_name
    place.remove(node, safe=True)


@dataclass(frozen=True)
class _Nodes:
    """Puts nodes before a node of a graph or of one of its bodies."""

    graph: ir.Graph
    before: ir.Node

    def constant(self, array: np.ndarray) -> ir.Value:
        return add_constant(self.graph, array, f"{self.before.name}_constant")

    def add(
        self,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        attributes: Mapping[str, Any] | None = None,
        *,
        outputs: int = 1,
        domain: str = "",
    ) -> Sequence[ir.Value]:
        names = [unique_name(self.graph, f"{self.before.name}_{op_type}") for _ in range(outputs)]
        values = [ir.Value(name=name, type=ir.TensorType(ir.DataType.FLOAT)) for name in names]
        given = ir.convenience.convert_attributes(attributes or {})
        node = ir.Node(domain, op_type, inputs, given, outputs=values, name=names[0])
        assert self.before.graph is not None
        self.before.graph.insert_before(self.before, node)
        return values

    def initial(self, direction: int, hidden: int) -> ir.Value:
        """The state [batch, hidden] that a direction begins with."""
        given, x = operand(self.before, _INITIAL), self.before.inputs[0]
        if given is not None:
            return self.add("Gather", [given, self.constant(np.array(direction))], {"axis": 0})[0]
        batch = self.add("Gather", [self.add("Shape", [x])[0], self.constant(np.array([1]))], {"axis": 0})[0]
        size = self.add("Concat", [batch, self.constant(np.array([hidden]))], {"axis": 0})[0]
        for value in (batch, size, batch.producer().inputs[0]):  # type: ignore[union-attr]
            assert value is not None
            value.type = ir.TensorType(ir.DataType.INT64)
        return self.add("ConstantOfShape", [size])[0]
