"""What the rules for sequences share: the walk, which sequences are known, new nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx_ir as ir

from edgeort.errors import ModelError

LENGTH_LIMIT = 4096  # tensors of one sequence


class Unknown(Exception):
    """The node needs something that is not known before the model runs."""


@dataclass(frozen=True)
class Parts:
    """What SplitToSequence makes of an axis of unknown size: parts of `size` entries; of one, without the axis."""

    source: ir.Value
    axis: int
    size: int
    squeezed: bool


Tensors = tuple[ir.Value, ...]


Rule = Callable[["Resolver", ir.Node], bool]  # whether the graph changed; raises Unknown


@dataclass
class Resolver:
    """Walks the graphs from front to back; `known` are the sequences whose tensors are known."""

    opset: int
    rules: Mapping[str, Rule]
    known: dict[ir.Value, Tensors | Parts] = field(default_factory=dict)
    count: int = 0

    def run(self, graph: ir.Graph) -> bool:
        """Whether anything changed."""
        changed = False
        for node in list(graph):
            for attribute in node.attributes.values():
                if attribute.type == ir.AttributeType.GRAPH:
                    changed |= self.run(attribute.as_graph())
            rule = self.rules.get(node.op_type) if node.domain == "" else None
            if rule is None:
                continue
            try:
                changed |= rule(self, node)
            except Unknown:
                continue
        return changed

    def sequence(self, value: ir.Value | None) -> Tensors | Parts:
        """The tensors of a sequence."""
        if value not in self.known:
            raise Unknown
        return self.known[value]

    def tensors(self, value: ir.Value | None) -> Tensors:
        """The tensors of a sequence that is not split at run time."""
        found = self.sequence(value)
        if isinstance(found, Parts):
            raise Unknown
        return found

    def keep(self, node: ir.Node, tensors: Sequence[ir.Value]) -> bool:
        """Notes what a sequence is made of; the node goes when nobody reads it any more."""
        if len(tensors) > LENGTH_LIMIT:
            raise Unknown
        self.known[node.outputs[0]] = tuple(tensors)
        return False

    def add(self, before: ir.Node, op_type: str, inputs: Sequence[ir.Value | None], outputs: int = 1, **attrs: Any):  # type: ignore[no-untyped-def]
        """The outputs of a new node; the first alone where it is the only one."""
        self.count += 1
        name = f"{before.name or before.outputs[0].name}.{op_type}{self.count}"
        made = ir.node(op_type, inputs, attrs, num_outputs=outputs, name=name)
        for index, value in enumerate(made.outputs):
            value.name = f"{name}.{index}"
        assert before.graph is not None
        before.graph.insert_before(before, made)
        return made.outputs[0] if outputs == 1 else list(made.outputs)

    def constant(self, before: ir.Node, numbers: Any, dtype: type = np.int64) -> ir.Value:
        """A new constant."""
        return self.add(before, "Constant", [], value=ir.tensor(np.array(numbers, dtype)))

    def unsqueeze(self, before: ir.Node, value: ir.Value, axis: int) -> ir.Value:
        """The value with a new axis."""
        if self.opset < 13:
            return self.add(before, "Unsqueeze", [value], axes=[axis])
        return self.add(before, "Unsqueeze", [value, self.constant(before, [axis])])

    def squeeze(self, before: ir.Node, value: ir.Value, axis: int) -> ir.Value:
        """The value without an axis."""
        if self.opset < 13:
            return self.add(before, "Squeeze", [value], axes=[axis])
        return self.add(before, "Squeeze", [value, self.constant(before, [axis])])


def known_of(r: Resolver, value: ir.Value | None) -> Tensors | Parts | None:
    return None if value is None else r.known.get(value)


def replace_output(node: ir.Node, value: ir.Value) -> bool:
    """`value` takes the place of the node's output, which keeps its name where the graph around hands it on."""
    out = node.outputs[0]
    if out.is_graph_output():
        copy = ir.node("Identity", [value], name=f"{node.name or out.name}.tensor")
        copy.outputs[0].type, copy.outputs[0].shape = out.type, out.shape
        assert node.graph is not None
        node.graph.insert_before(node, copy)
        value, name = copy.outputs[0], out.name
        out.name = f"{name}.sequence"
        value.name = name
    out.replace_all_uses_with(value, replace_graph_outputs=True)
    return True


def constant_number(value: ir.Value | None) -> int:
    array = constant_array(value)
    if array.size != 1:
        raise Unknown
    return int(array.reshape(-1)[0])


def constant_array(value: ir.Value | None) -> np.ndarray:
    tensor = None if value is None or value.is_graph_input() else ir.convenience.get_const_tensor(value)
    if tensor is None:
        raise Unknown
    return tensor.numpy()


def operand_of(node: ir.Node, index: int) -> ir.Value | None:
    return node.inputs[index] if index < len(node.inputs) else None


def entry_of(node: ir.Node, number: int, length: int) -> int:
    """An index into a sequence, counted from the end where it is negative. ModelError where there is no such entry."""
    if not -length <= number < length:
        raise ModelError(
            f"node '{node.name or node.outputs[0].name}' ({node.op_type}) reads entry {number} of a "
            f"sequence of {length} tensors",
            hint="export the model for the sizes that it will be given",
        )
    return number % length
