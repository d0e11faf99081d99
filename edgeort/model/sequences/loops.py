"""Loops that collect tensors in a list."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from edgeort.model.sequences.resolver import Resolver, known_of, operand_of, replace_output


def loop_with_sequences(r: Resolver, node: ir.Node) -> bool:
    """Both rules below."""
    wrapped = _wrap_optionals(node)
    return loop_of_a_list(r, node) or wrapped


def _wrap_optionals(node: ir.Node) -> bool:
    """What is carried into the body as an optional leaves it as one, and is taken out behind the loop."""
    body, changed = node.attributes["body"].as_graph(), False
    for index in range(2, len(node.inputs)):
        formal, made, out = body.inputs[index], body.outputs[index - 1], node.outputs[index - 2]
        if not isinstance(formal.type, ir.OptionalType) or made.type is None or isinstance(made.type, ir.OptionalType):
            continue
        wrap = ir.node("Optional", [made], name=f"{made.name}.optional")
        wrap.outputs[0].name, wrap.outputs[0].type = f"{made.name}.optional", formal.type
        body.append(wrap)
        body.outputs[index - 1] = wrap.outputs[0]
        take = ir.node("OptionalGetElement", [out], name=f"{node.name or out.name}.element")
        take.outputs[0].type, take.outputs[0].shape = out.type, out.shape
        name = out.name
        out.replace_all_uses_with(take.outputs[0], replace_graph_outputs=True)
        take.replace_input_with(0, out)
        out.name, take.outputs[0].name, out.type, out.shape = f"{name}.optional", name, formal.type, None
        assert node.graph is not None
        node.graph.insert_after(node, take)
        changed = True
    return changed


def loop_of_a_list(r: Resolver, node: ir.Node) -> bool:
    """A list that is empty before the loop and gets one tensor at its end each time is a scan output.

    It must be read by ConcatFromSequence with a new first axis, outside the loop and alone.
    """
    body, changed = node.attributes["body"].as_graph(), False
    for index in reversed(range(2, len(node.inputs))):
        formal, made, out = body.inputs[index], body.outputs[index - 1], node.outputs[index - 2]
        insert = made.producer()
        if known_of(r, node.inputs[index]) != () or insert is None or insert.op_type != "SequenceInsert":
            continue
        fits = insert.inputs[0] is formal and operand_of(insert, 2) is None
        if not fits or len(list(formal.uses())) != 1 or made.uses() or out.is_graph_output():
            continue
        readers = [use.node for use in out.uses()]
        if not all(_is_stack(reader) for reader in readers) or insert.inputs[1] is None:
            continue
        changed = True
        _scan(body, index, insert)
        node = _without_state(node, index, readers)
    return changed


def _is_stack(node: ir.Node) -> bool:
    attributes = node.attributes
    return (
        node.op_type == "ConcatFromSequence"
        and node.domain == ""
        and attributes.get_int("axis", 0) == 0
        and bool(attributes.get_int("new_axis", 0))
    )


def _scan(body: ir.Graph, index: int, insert: ir.Node) -> None:
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
        replace_output(reader, new[-1])
        reader.graph.remove(reader, safe=True)  # type: ignore[union-attr]
    node.graph.remove(node, safe=True)
    return loop
