"""Writes sequences and optionals as the tensors that they are, where the graph says which those are.

    SequenceAt(SplitToSequence(x), 1)                     ->  output 1 of Split(x)
    ConcatFromSequence(SequenceInsert(SequenceConstruct(a, b), c))  ->  Concat(a, b, c)
    SequenceAt(SplitToSequence<keepdims=0>(x), i)         ->  Gather(x, i), of any number of parts
    Loop(s = SequenceEmpty) { s = SequenceInsert(s, t) }, ConcatFromSequence<new_axis=1>  ->  a scan output of the Loop
    OptionalGetElement(Optional(x))                       ->  x

The runtime has no type for sequences. What comes from outside, or has a length that data decide, stays, and is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx_ir as ir

from edgeort.errors import ModelError

SEQUENCE_OPERATORS = frozenset(
    (
        *(("", f"Sequence{name}") for name in ("At", "Construct", "Empty", "Erase", "Insert", "Length", "Map")),
        *(("", name) for name in ("ConcatFromSequence", "SplitToSequence", "Optional", "OptionalGetElement")),
        ("", "OptionalHasElement"),
    )
)
LENGTH_LIMIT = 4096  # tensors of one sequence
_I64 = ir.DataType.INT64


class _Unknown(Exception):
    """The node needs something that is not known before the model runs."""


@dataclass(frozen=True)
class _Parts:
    """What SplitToSequence makes of an axis of unknown size: parts of `size` entries; of one, without the axis."""

    source: ir.Value
    axis: int
    size: int
    squeezed: bool


_Tensors = tuple[ir.Value, ...]


def resolve_sequences(model: ir.Model) -> ir.passes.PassResult:
    """Rewrites all graphs of the model, in place."""
    changed = False
    for value in model.graph.inputs:
        if isinstance(value.type, ir.OptionalType) and isinstance(value.type.elem_type, ir.TensorType):
            value.type = value.type.elem_type  # a caller of ours gives every input
            changed = True
    resolver = _Resolver(model.opset_imports.get("", 0))
    return ir.passes.PassResult(model, resolver.run(model.graph) or changed)


@dataclass
class _Resolver:
    """Walks the graphs from front to back; `known` are the sequences whose tensors are known."""

    opset: int
    known: dict[ir.Value, _Tensors | _Parts] = field(default_factory=dict)
    count: int = 0

    def run(self, graph: ir.Graph) -> bool:
        """Whether anything changed."""
        changed = False
        for node in list(graph):
            for attribute in node.attributes.values():
                if attribute.type == ir.AttributeType.GRAPH:
                    changed |= self.run(attribute.as_graph())
            rule = _RULES.get(node.op_type) if node.domain == "" else None
            if rule is None:
                continue
            try:
                changed |= rule(self, node)
            except _Unknown:
                continue
        return changed

    def sequence(self, value: ir.Value | None) -> _Tensors | _Parts:
        """The tensors of a sequence."""
        if value not in self.known:
            raise _Unknown
        return self.known[value]

    def tensors(self, value: ir.Value | None) -> _Tensors:
        """The tensors of a sequence that is not split at run time."""
        found = self.sequence(value)
        if isinstance(found, _Parts):
            raise _Unknown
        return found

    def keep(self, node: ir.Node, tensors: Sequence[ir.Value]) -> bool:
        """Notes what a sequence is made of; the node goes when nobody reads it any more."""
        if len(tensors) > LENGTH_LIMIT:
            raise _Unknown
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


def _replace(node: ir.Node, value: ir.Value) -> bool:
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


def _number(value: ir.Value | None) -> int:
    array = _array(value)
    if array.size != 1:
        raise _Unknown
    return int(array.reshape(-1)[0])


def _array(value: ir.Value | None) -> np.ndarray:
    tensor = None if value is None or value.is_graph_input() else ir.convenience.get_const_tensor(value)
    if tensor is None:
        raise _Unknown
    return tensor.numpy()


def _operand(node: ir.Node, index: int) -> ir.Value | None:
    return node.inputs[index] if index < len(node.inputs) else None


def _place(node: ir.Node, number: int, length: int) -> int:
    """An index into a sequence, counted from the end where it is negative. ModelError where there is no such entry."""
    if not -length <= number < length:
        raise ModelError(
            f"node '{node.name or node.outputs[0].name}' ({node.op_type}) reads entry {number} of a "
            f"sequence of {length} tensors",
            hint="export the model for the sizes that it will be given",
        )
    return number % length


def _empty(r: _Resolver, node: ir.Node) -> bool:
    return r.keep(node, ())


def _construct(r: _Resolver, node: ir.Node) -> bool:
    return r.keep(node, [value for value in node.inputs if value is not None])


def _insert(r: _Resolver, node: ir.Node) -> bool:
    tensors = list(r.tensors(node.inputs[0]))
    at = len(tensors) if _operand(node, 2) is None else _number(node.inputs[2])
    if node.inputs[1] is None or not -len(tensors) <= at <= len(tensors):
        raise _Unknown
    tensors.insert(at, node.inputs[1])
    return r.keep(node, tensors)


def _erase(r: _Resolver, node: ir.Node) -> bool:
    tensors = list(r.tensors(node.inputs[0]))
    del tensors[_place(node, -1 if _operand(node, 1) is None else _number(node.inputs[1]), len(tensors))]
    return r.keep(node, tensors)


def _split(r: _Resolver, node: ir.Node) -> bool:
    x, given = node.inputs[0], _operand(node, 1)
    if node.outputs[0] in r.known or x is None or x.shape is None or not len(x.shape):
        raise _Unknown
    axis = node.attributes.get_int("axis", 0) % len(x.shape)
    squeezed = given is None and not node.attributes.get_int("keepdims", 1)
    size = x.shape[axis]
    wanted = np.array(1) if given is None else _array(given)
    if wanted.ndim == 0:
        part = int(wanted)
        if part < 1:
            raise _Unknown
        if not isinstance(size, int):
            r.known[node.outputs[0]] = _Parts(x, axis, part, squeezed)
            return False
        sizes = [part] * (size // part) + ([size % part] if size % part else [])
    else:
        sizes = [int(entry) for entry in wanted.reshape(-1)]
    if not 0 < len(sizes) <= LENGTH_LIMIT:
        raise _Unknown
    if r.opset < 13:
        parts = r.add(node, "Split", [x], outputs=len(sizes), axis=axis, split=sizes)
    else:
        parts = r.add(node, "Split", [x, r.constant(node, sizes)], outputs=len(sizes), axis=axis)
    parts = [parts] if len(sizes) == 1 else parts
    return r.keep(node, [r.squeeze(node, part, axis) if squeezed else part for part in parts])


def _at(r: _Resolver, node: ir.Node) -> bool:
    found, index = r.sequence(node.inputs[0]), node.inputs[1]
    if isinstance(found, _Parts):
        return _replace(node, _part(r, node, found))
    try:
        at = _number(index)
    except _Unknown:
        return _replace(node, r.add(node, "Gather", [_stacked(r, node, found, 0), index], axis=0))
    return _replace(node, found[_place(node, at, len(found))])


def _part(r: _Resolver, node: ir.Node, parts: _Parts) -> ir.Value:
    """Entry `index` of parts whose number is not known."""
    if parts.squeezed:
        return r.add(node, "Gather", [parts.source, node.inputs[1]], axis=parts.axis)
    at = _number(node.inputs[1])
    if at < 0:
        raise _Unknown
    ends = ([at * parts.size], [(at + 1) * parts.size], [parts.axis])
    return r.add(node, "Slice", [parts.source, *(r.constant(node, end) for end in ends)])


def _stacked(r: _Resolver, node: ir.Node, tensors: _Tensors, axis: int) -> ir.Value:
    """All tensors, which must be of one shape, along a new axis."""
    shapes = {None if value.shape is None else tuple(value.shape) for value in tensors}
    if len(shapes) != 1 or None in shapes or not all(isinstance(dim, int) for shape in shapes for dim in shape or ()):
        raise _Unknown
    return r.add(node, "Concat", [r.unsqueeze(node, value, axis) for value in tensors], axis=axis)


def _length(r: _Resolver, node: ir.Node) -> bool:
    found = r.sequence(node.inputs[0])
    if isinstance(found, _Parts):
        sizes = r.add(node, "Shape", [found.source])
        size = r.add(node, "Gather", [sizes, r.constant(node, found.axis)], axis=0)
        up = r.add(node, "Add", [size, r.constant(node, found.size - 1)])
        return _replace(node, r.add(node, "Div", [up, r.constant(node, found.size)]))
    return _replace(node, r.constant(node, len(found)))


def _concat(r: _Resolver, node: ir.Node) -> bool:
    found, axis = r.sequence(node.inputs[0]), node.attributes.get_int("axis", 0)
    new = bool(node.attributes.get_int("new_axis", 0))
    if isinstance(found, _Parts):
        assert found.source.shape is not None
        if new == found.squeezed and axis % len(found.source.shape) == found.axis:
            return _replace(node, found.source)
        raise _Unknown
    if not found:
        raise _Unknown
    parts = [r.unsqueeze(node, value, axis) for value in found] if new else list(found)
    return _replace(node, r.add(node, "Concat", parts, axis=axis))


def _identity(r: _Resolver, node: ir.Node) -> bool:
    r.known[node.outputs[0]] = r.sequence(node.inputs[0])
    return False


def _optional_element(r: _Resolver, node: ir.Node) -> bool:
    """Of a tensor, a sequence, or an Optional of them."""
    value = node.inputs[0]
    source = value.producer() if value is not None else None
    if source is not None and source.op_type == "Optional" and source.domain == "":
        value = _operand(source, 0)
    if value is None or isinstance(value.type, ir.OptionalType):
        raise _Unknown
    return _replace(node, value)


def _optional_has(r: _Resolver, node: ir.Node) -> bool:
    value = _operand(node, 0)
    source = value.producer() if value is not None else None
    has = value is not None
    if source is not None and source.op_type == "Optional" and source.domain == "":
        has = _operand(source, 0) is not None
    elif value is not None and (value.type is None or isinstance(value.type, ir.OptionalType)):
        raise _Unknown
    return _replace(node, r.constant(node, has, np.bool_))


def _loop(r: _Resolver, node: ir.Node) -> bool:
    """A list that is empty before the loop and gets one tensor at its end each time is a scan output.

    It must be read by ConcatFromSequence with a new first axis, outside the loop and alone.
    """
    body, changed = node.attributes["body"].as_graph(), False
    for index in reversed(range(2, len(node.inputs))):
        formal, made, out = body.inputs[index], body.outputs[index - 1], node.outputs[index - 2]
        insert = made.producer()
        if _known(r, node.inputs[index]) != () or insert is None or insert.op_type != "SequenceInsert":
            continue
        fits = insert.inputs[0] is formal and _operand(insert, 2) is None
        if not fits or len(list(formal.uses())) != 1 or made.uses() or out.is_graph_output():
            continue
        readers = [use.node for use in out.uses()]
        if not all(_is_stack(reader) for reader in readers) or insert.inputs[1] is None:
            continue
        changed = True
        _scan(node, body, index, insert)
        node = _without_state(node, index, readers)
    return changed


def _known(r: _Resolver, value: ir.Value | None) -> _Tensors | _Parts | None:
    return None if value is None else r.known.get(value)


def _is_stack(node: ir.Node) -> bool:
    attributes = node.attributes
    return (
        node.op_type == "ConcatFromSequence"
        and node.domain == ""
        and attributes.get_int("axis", 0) == 0
        and bool(attributes.get_int("new_axis", 0))
    )


def _scan(node: ir.Node, body: ir.Graph, index: int, insert: ir.Node) -> None:
    """The body hands out the tensor at its end, instead of the sequence."""
    copy = ir.node("Identity", [insert.inputs[1]], name=f"{insert.name or insert.outputs[0].name}.scan")
    copy.outputs[0].name = f"{insert.outputs[0].name}.scan"
    body.append(copy)
    body.outputs.pop(index - 1)
    body.outputs.append(copy.outputs[0])
    body.remove(insert, safe=True)
    body.inputs.pop(index)


def _without_state(node: ir.Node, index: int, readers: Sequence[ir.Node]) -> ir.Node:
    """The loop without that state, whose outputs end with what was a sequence; its readers become that output."""
    inputs = [value for at, value in enumerate(node.inputs) if at != index]
    loop = ir.node("Loop", inputs, dict(node.attributes), num_outputs=len(node.outputs), name=node.name)
    new = list(loop.outputs)
    old = [value for at, value in enumerate(node.outputs) if at != index - 2]
    assert node.graph is not None
    node.graph.insert_before(node, loop)
    for before, after in zip(old, new[:-1], strict=True):
        after.type, after.shape, name = before.type, before.shape, before.name
        before.replace_all_uses_with(after, replace_graph_outputs=True)
        before.name, after.name = f"{name}.before", name
    new[-1].name = f"{node.outputs[index - 2].name}.scan"
    for reader in readers:
        _replace(reader, new[-1])
        reader.graph.remove(reader, safe=True)  # type: ignore[union-attr]
    node.graph.remove(node, safe=True)
    return loop


_RULES = {
    "SequenceEmpty": _empty,
    "SequenceConstruct": _construct,
    "SequenceInsert": _insert,
    "SequenceErase": _erase,
    "SplitToSequence": _split,
    "SequenceAt": _at,
    "SequenceLength": _length,
    "ConcatFromSequence": _concat,
    "Identity": _identity,
    "OptionalGetElement": _optional_element,
    "OptionalHasElement": _optional_has,
    "Loop": _loop,
}
