"""Small reading and editing helpers that all passes share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

NAMES = "edgeort.names"  # graph.meta: the names in use, collected once a run of the passes


def is_op(node: ir.Node | None, *names: str, domain: str = "") -> bool:
    """Whether `node` is one of the operators `names` of `domain`."""
    return node is not None and node.op_type in names and node.domain == domain


def constant(value: ir.Value | None) -> np.ndarray | None:
    """The array behind a value that no caller of the model can change, else None."""
    if value is None or value.is_graph_input():
        return None
    tensor = ir.convenience.get_const_tensor(value)
    return None if tensor is None else tensor.numpy()


def operand(node: ir.Node, index: int) -> ir.Value | None:
    """Input `index`, None when it is absent or left out."""
    return node.inputs[index] if index < len(node.inputs) else None


def only_user(value: ir.Value) -> ir.Node | None:
    """The one node that reads `value`, when nothing else does and it is no graph output."""
    uses = list(value.uses())
    return uses[0].node if len(uses) == 1 and not value.is_graph_output() else None


def rank(value: ir.Value | None) -> int | None:
    """The rank of a value, None when unknown."""
    return None if value is None or value.shape is None else len(value.shape)


def dims(value: ir.Value) -> list[int | str | None]:
    """The dimensions of a value of known rank: numbers, names of symbolic ones, None for unknown ones.

    Unknown are also "?" and negative sizes, which some exporters write, and the names that ONNX's inference makes up.
    """
    assert value.shape is not None
    return [_dim(d if isinstance(d, int) else d.value) for d in value.shape]


def _dim(size: int | str | None) -> int | str | None:
    if isinstance(size, int):
        return size if size >= 0 else None
    return None if size is None or size == "?" or size.startswith("unk__") else size


def opset(model: ir.Model) -> int:
    """The version of the default ONNX domain that the main graph uses."""
    return model.opset_imports.get("", model.opset_imports.get("ai.onnx", 1))


def unique_name(graph: ir.Graph, stem: str) -> str:
    """A name starting with `stem` that no initializer, input or node output of `graph` has."""
    taken = graph.meta.get(NAMES)
    if taken is None:
        taken = {v.name for v in graph.inputs} | set(graph.initializers)
        taken |= {v.name for node in graph.all_nodes() for v in node.outputs}
        taken |= {node.name for node in graph.all_nodes()}
        graph.meta[NAMES] = taken
    name, count = stem, 0
    while name in taken:
        count += 1
        name = f"{stem}_{count}"
    taken.add(name)
    return name


def add_constant(graph: ir.Graph, array: np.ndarray, stem: str) -> ir.Value:
    """Registers `array` as an initializer of `graph` under a name that starts with `stem`."""
    name = unique_name(graph, stem)
    if array.dtype.kind in "OSU":
        tensor: ir.TensorProtocol = ir.StringTensor(array, shape=ir.Shape(array.shape), name=name)
    else:
        tensor = ir.tensor(np.ascontiguousarray(array) if array.ndim else array, name=name)
    value = ir.Value(name=name, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype), const_value=tensor)
    graph.register_initializer(value)
    return value


def new_node(
    graph: ir.Graph,
    op_type: str,
    inputs: Sequence[ir.Value | None],
    attributes: Mapping[str, Any] | None = None,
    *,
    stem: str,
    domain: str = "",
    like: ir.Value | None = None,
) -> ir.Node:
    """A node with one output (of `like`'s type and shape), not yet placed in `graph`."""
    attrs = ir.convenience.convert_attributes(attributes or {})
    name = unique_name(graph, stem)
    out = ir.Value(name=name)
    if like is not None:
        out.type, out.shape = like.type, like.shape
    return ir.Node(domain, op_type, inputs, attrs, outputs=[out], name=name)


def replace_node(graph: ir.Graph, old: ir.Node, new: ir.Node) -> None:
    """Puts `new` at the place of `old` (both with one output); the output keeps its name, type and shape."""
    before, after = old.outputs[0], new.outputs[0]
    graph.insert_before(old, new)
    after.type, after.shape = before.type, before.shape
    name = before.name
    before.replace_all_uses_with(after, replace_graph_outputs=True)
    graph.remove(old, safe=True)
    after.name = name


def bypass(graph: ir.Graph, node: ir.Node, source: ir.Value) -> None:
    """Removes `node`, whose one output is to be `source` from now on; a graph output keeps its name."""
    out = node.outputs[0]
    name = out.name
    was_output = out.is_graph_output()
    out.replace_all_uses_with(source, replace_graph_outputs=True)
    graph.remove(node, safe=True)
    if was_output:
        out.name = unique_name(graph, f"{name}_removed")
        source.name = name


def ints(node: ir.Node, name: str, default: Iterable[int]) -> list[int]:
    """An attribute of type INTS, or `default`."""
    attr = node.attributes.get(name)
    return list(default) if attr is None else list(attr.as_ints())


def integer(node: ir.Node, name: str, default: int) -> int:
    """An attribute of type INT, or `default`."""
    attr = node.attributes.get(name)
    return default if attr is None else attr.as_int()


def number(node: ir.Node, name: str, default: float) -> float:
    """An attribute of type FLOAT, or `default`."""
    attr = node.attributes.get(name)
    return default if attr is None else attr.as_float()


def text(node: ir.Node, name: str, default: str) -> str:
    """An attribute of type STRING, or `default`."""
    attr = node.attributes.get(name)
    return default if attr is None else attr.as_string()


def set_attribute(node: ir.Node, name: str, value: Any) -> None:
    """Sets or replaces one attribute."""
    node.attributes[name] = ir.convenience.convert_attribute(name, value)
