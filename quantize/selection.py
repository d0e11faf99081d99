"""What becomes int8: layers, the operators between them that can work on eight bits, and the tensors in between.

Layers with constant weights are, each in a form (forms.py); of recurrent nodes the weights alone (recurrent.py). An
operator of `MOVES` or `COMPUTES` is, when what it reads comes out of int8 and what it makes goes into int8 again; so
residual adds, concats and pools are between convolutions, and are not around a softmax or a layer norm, or where logits
leave the model. A tensor is quantised when an int8 operator reads or makes it; a convolution's result also where float
operators that lead back to int8 read it: kernels store it as int8.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import onnx_ir as ir

from edgeort.passes.algebra import clip_bounds
from edgeort.passes.edit import constant, integer, ints, is_op, operand, rank, text
from edgeort.quantize import recurrent
from edgeort.quantize.forms import Form, forms
from edgeort.quantize.gates import gate_layers
from edgeort.quantize.half_floats import refusal
from edgeort.quantize.layers import UNARY, Layer, head, read_layer
from edgeort.quantize.spectra import spectrum_layers

# Results are entries of the input (or zeros between or around them), or lie between them: the range is the input's.
# fmt: off
MOVES = frozenset({
    "DepthToSpace", "Expand", "Flatten", "Gather", "GlobalMaxPool", "Identity", "MaxPool", "Reshape", "Resize", "Slice",
    "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze",
})
# fmt: on
# Results have a range of their own.
COMPUTES = frozenset({"Add", "AveragePool", "Clip", "Concat", "GlobalAveragePool", "ReduceMean", "Relu"})
EXCLUDED = "it was excluded"
SHARED = "it has the weights of a node that is float"
GATE = "it computes a gate; only its weights are int8"
SPECTRUM = "a logarithm reads what it makes, to which small numbers matter"
_MANY_INPUTS = frozenset({"Add", "Concat"})


@dataclass(frozen=True)
class Selection:
    """`forms` are by the names of the layers; `tensors` in the order of the graph; `source` maps a tensor to the one
    whose range it shares; `left` why a layer stays float, by name; `wide` are the tensors of sixteen bits; `halves` the
    layers whose weights are float16, which count as float."""

    layers: list[Layer]
    forms: dict[str, Form]
    tensors: list[ir.Value]
    source: dict[ir.Value, ir.Value]
    left: dict[str, str]
    wide: frozenset[ir.Value] = frozenset()
    halves: tuple[Layer, ...] = ()


def select(
    graph: ir.Graph, exclude: Collection[str] = (), wanted: Mapping[str, Form] = MappingProxyType({})
) -> Selection:
    """Chooses for the float `graph`. Nodes named in `exclude` stay float; `wanted` are forms as `forms` takes them."""
    layers, left = _layers(graph, exclude)
    floats = dict.fromkeys(spectrum_layers(graph), Form.HALF) | dict.fromkeys(gate_layers(graph), Form.FLOAT)
    chosen = forms(layers, floats, wanted)
    for layer in layers:
        if (form := chosen[layer.name]) is floats.get(layer.node):
            left[layer.name] = _why(layer, form)
    halves = tuple(layer for layer in layers if chosen[layer.name] is Form.HALF)
    layers = [layer for layer in layers if chosen[layer.name] is not Form.HALF]
    static = [layer for layer in layers if chosen[layer.name].is_static]
    nodes = {layer.node for layer in static}
    alive = _Int8(nodes, {node for node in graph if _capable(node) and node.name not in exclude})
    alive.settle()
    ends = {layer.input for layer in static}
    for node in alive.operators:
        ends.update(data(node))
        ends.update(head(value) for value in node.outputs)
    for layer in static:
        result = head(layer.node.outputs[0])
        if layer.node.op_type.startswith("Conv") and alive.leads_back(result):
            ends.add(result)
    order = [*graph.inputs, *(value for node in graph for value in node.outputs)]
    tensors = [value for value in order if value in ends]
    source = _sources(alive.operators, tensors)
    chosen = {layer.name: chosen[layer.name] for layer in layers}
    return Selection(layers, chosen, tensors, source, left, _wide(static, chosen, tensors, source), halves)


def _why(layer: Layer, form: Form) -> str:
    """Why a layer takes floats, and what its weights are."""
    return GATE if form is Form.FLOAT else f"{SPECTRUM}; {refusal(layer.weight) or 'its weights are float16'}"


def _wide(
    layers: list[Layer], chosen: Mapping[str, Form], tensors: list[ir.Value], source: Mapping[ir.Value, ir.Value]
) -> frozenset[ir.Value]:
    """The inputs of layers that want them wide, and all that are moved from or to them."""
    roots = {source.get(layer.input, layer.input) for layer in layers if chosen[layer.name] is Form.WIDE}
    return frozenset(value for value in tensors if source.get(value, value) in roots)


def data(node: ir.Node) -> Iterator[ir.Value]:
    """The tensors that an operator of eight bits reads: no shapes, axes or indices."""
    for value in node.inputs[: None if node.op_type in _MANY_INPUTS else 1]:
        if value is not None:
            yield value


def _layers(graph: ir.Graph, exclude: Collection[str]) -> tuple[list[Layer], dict[str, str]]:
    layers, left, shared = [], {}, set(recurrent.recurrent(graph, exclude))
    for node in [*graph, *(node for node in recurrent.nodes(graph) if node.graph is not graph)]:
        recurs = is_op(node, *recurrent.OPERATORS)
        found = recurrent.refusal(node) if recurs else read_layer(node)
        if node.name in exclude and (isinstance(found, Layer) or (recurs and found is None)):
            found = EXCLUDED
        elif recurs and found is None and node not in shared:
            found = SHARED
        if found is None:
            continue
        if isinstance(found, str):
            left[str(node.name)] = found
        else:
            layers.append(found)
    return layers, left


def _capable(node: ir.Node) -> bool:
    if not is_op(node, *MOVES, *COMPUTES) or any(constant(value) is not None for value in data(node)):
        return False
    if any(value.dtype != ir.DataType.FLOAT for value in data(node)):
        return False
    if node.op_type == "ReduceMean":
        return _over_pixels(node)
    if node.op_type == "Resize":
        return text(node, "mode", "nearest") in ("nearest", "linear")
    if node.op_type in ("Clip", "Relu"):
        # one that alone reads its input belongs to what made that: only its own result is quantised
        return clip_bounds(node) is not None and all(head(value) is value for value in data(node))
    return True


def _over_pixels(node: ir.Node) -> bool:
    """Whether a ReduceMean is a global pool: it averages all axes from the third."""
    full, value = rank(node.inputs[0]), constant(operand(node, 1))
    axes = ints(node, "axes", ()) if value is None else [int(axis) for axis in np.ravel(value)]
    return full is not None and full > 2 and sorted(a % full for a in axes) == list(range(2, full))


@dataclass
class _Int8:
    """The layers, and those operators that still count as int8."""

    layers: set[ir.Node]
    operators: set[ir.Node]

    def settle(self) -> None:
        """Drops operators until each left is fed by int8 and feeds it."""
        while dropped := {node for node in self.operators if not (self._is_fed(node) and self._feeds(node))}:
            self.operators -= dropped

    def _is_fed(self, node: ir.Node) -> bool:
        return all(self._comes_out(value) for value in data(node))

    def _comes_out(self, value: ir.Value) -> bool:
        node = value.producer()
        if node is not None and clip_bounds(node) is not None and node not in self.operators:
            source = node.inputs[0]
            node = source.producer() if source is not None else None
        return node is not None and (node in self.layers or node in self.operators or is_op(node, "Mul", *UNARY))

    def _feeds(self, node: ir.Node) -> bool:
        return any(self.leads_back(head(value)) for value in node.outputs)

    def leads_back(self, value: ir.Value) -> bool:
        """Whether an int8 operator reads `value`, or what functions and products make of it."""
        pending, seen = [value], {value}
        while pending:
            for use in pending.pop().uses():
                node = use.node
                if (node in self.layers and use.idx == 0) or node in self.operators:
                    return True
                if is_op(node, "Mul", *UNARY) or clip_bounds(node) is not None:
                    new = [out for out in node.outputs if out not in seen]
                    seen.update(new)
                    pending.extend(new)
        return False


def _sources(operators: set[ir.Node], tensors: list[ir.Value]) -> dict[ir.Value, ir.Value]:
    """What is only moved has the range of what it is moved from; a clip behind the move makes a range of its own."""
    chosen = set(tensors)
    source: dict[ir.Value, ir.Value] = {}
    for value in tensors:
        node = value.producer()
        if node is not None and node in operators and node.op_type in MOVES:
            origin = node.inputs[0]
            if origin is not None and origin in chosen and not _zero_pads(node):
                source[value] = source.get(origin, origin)
    return source


def _zero_pads(node: ir.Node) -> bool:
    """A MaxPool that rounds its shape up may see windows of padding alone: no entry of the input."""
    return node.op_type == "MaxPool" and bool(integer(node, "ceil_mode", 0))
