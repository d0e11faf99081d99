"""One rule an operator."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeort.model.sequences.loops import loop_with_sequences
from edgeort.model.sequences.resolver import (
    LENGTH_LIMIT,
    Parts,
    Resolver,
    Rule,
    Tensors,
    Unknown,
    constant_array,
    constant_number,
    entry_of,
    operand_of,
    replace_output,
)


def _empty(r: Resolver, node: ir.Node) -> bool:
    return r.keep(node, ())


def _construct(r: Resolver, node: ir.Node) -> bool:
    return r.keep(node, [value for value in node.inputs if value is not None])


def _insert(r: Resolver, node: ir.Node) -> bool:
    tensors = list(r.tensors(node.inputs[0]))
    at = len(tensors) if operand_of(node, 2) is None else constant_number(node.inputs[2])
    if node.inputs[1] is None or not -len(tensors) <= at <= len(tensors):
        raise Unknown
    tensors.insert(at, node.inputs[1])
    return r.keep(node, tensors)


def _erase(r: Resolver, node: ir.Node) -> bool:
    tensors = list(r.tensors(node.inputs[0]))
    del tensors[entry_of(node, -1 if operand_of(node, 1) is None else constant_number(node.inputs[1]), len(tensors))]
    return r.keep(node, tensors)


def _split(r: Resolver, node: ir.Node) -> bool:
    x, given = node.inputs[0], operand_of(node, 1)
    if node.outputs[0] in r.known or x is None or x.shape is None or not len(x.shape):
        raise Unknown
    axis = node.attributes.get_int("axis", 0) % len(x.shape)
    squeezed = given is None and not node.attributes.get_int("keepdims", 1)
    size = x.shape[axis]
    wanted = np.array(1) if given is None else constant_array(given)
    if wanted.ndim == 0:
        part = int(wanted)
        if part < 1:
            raise Unknown
        if not isinstance(size, int):
            r.known[node.outputs[0]] = Parts(x, axis, part, squeezed)
            return False
        sizes = [part] * (size // part) + ([size % part] if size % part else [])
    else:
        sizes = [int(entry) for entry in wanted.reshape(-1)]
    if not 0 < len(sizes) <= LENGTH_LIMIT:
        raise Unknown
    if r.opset < 13:
        parts = r.add(node, "Split", [x], outputs=len(sizes), axis=axis, split=sizes)
    else:
        parts = r.add(node, "Split", [x, r.constant(node, sizes)], outputs=len(sizes), axis=axis)
    parts = [parts] if len(sizes) == 1 else parts
    return r.keep(node, [r.squeeze(node, part, axis) if squeezed else part for part in parts])


def _at(r: Resolver, node: ir.Node) -> bool:
    found, index = r.sequence(node.inputs[0]), node.inputs[1]
    if isinstance(found, Parts):
        return replace_output(node, _part(r, node, found))
    try:
        at = constant_number(index)
    except Unknown:
        return replace_output(node, r.add(node, "Gather", [_stacked(r, node, found, 0), index], axis=0))
    return replace_output(node, found[entry_of(node, at, len(found))])


def _part(r: Resolver, node: ir.Node, parts: Parts) -> ir.Value:
    """Entry `index` of parts whose number is not known."""
    if parts.squeezed:
        return r.add(node, "Gather", [parts.source, node.inputs[1]], axis=parts.axis)
    at = constant_number(node.inputs[1])
    if at < 0:
        raise Unknown
    ends = ([at * parts.size], [(at + 1) * parts.size], [parts.axis])
    return r.add(node, "Slice", [parts.source, *(r.constant(node, end) for end in ends)])


def _stacked(r: Resolver, node: ir.Node, tensors: Tensors, axis: int) -> ir.Value:
    """All tensors, which must be of one shape, along a new axis."""
    shapes = {None if value.shape is None else tuple(value.shape) for value in tensors}
    if len(shapes) != 1 or None in shapes or not all(isinstance(dim, int) for shape in shapes for dim in shape or ()):
        raise Unknown
    return r.add(node, "Concat", [r.unsqueeze(node, value, axis) for value in tensors], axis=axis)


def _length(r: Resolver, node: ir.Node) -> bool:
    found = r.sequence(node.inputs[0])
    if isinstance(found, Parts):
        sizes = r.add(node, "Shape", [found.source])
        size = r.add(node, "Gather", [sizes, r.constant(node, found.axis)], axis=0)
        up = r.add(node, "Add", [size, r.constant(node, found.size - 1)])
        return replace_output(node, r.add(node, "Div", [up, r.constant(node, found.size)]))
    return replace_output(node, r.constant(node, len(found)))


def _concat(r: Resolver, node: ir.Node) -> bool:
    found, axis = r.sequence(node.inputs[0]), node.attributes.get_int("axis", 0)
    new = bool(node.attributes.get_int("new_axis", 0))
    if isinstance(found, Parts):
        assert found.source.shape is not None
        if new == found.squeezed and axis % len(found.source.shape) == found.axis:
            return replace_output(node, found.source)
        raise Unknown
    if not found:
        raise Unknown
    parts = [r.unsqueeze(node, value, axis) for value in found] if new else list(found)
    return replace_output(node, r.add(node, "Concat", parts, axis=axis))


def _identity(r: Resolver, node: ir.Node) -> bool:
    r.known[node.outputs[0]] = r.sequence(node.inputs[0])
    return False


def _optional_element(r: Resolver, node: ir.Node) -> bool:
    """Of a tensor, a sequence, or an Optional of them."""
    value = node.inputs[0]
    source = value.producer() if value is not None else None
    if source is not None and source.op_type == "Optional" and source.domain == "":
        value = operand_of(source, 0)
    if value is None or isinstance(value.type, ir.OptionalType):
        raise Unknown
    return replace_output(node, value)


def _optional_has(r: Resolver, node: ir.Node) -> bool:
    value = operand_of(node, 0)
    source = value.producer() if value is not None else None
    has = value is not None
    if source is not None and source.op_type == "Optional" and source.domain == "":
        has = operand_of(source, 0) is not None
    elif value is not None and (value.type is None or isinstance(value.type, ir.OptionalType)):
        raise Unknown
    return replace_output(node, r.constant(node, has, np.bool_))


RULES: dict[str, Rule] = {
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
    "Loop": loop_with_sequences,
}
