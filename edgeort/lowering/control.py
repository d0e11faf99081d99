"""If and Loop: each body becomes a plan within the plan, an operand of its node (runtime/kernels/control).

A body is lowered as a model of its own, whose further inputs are the values that it reads of the graphs around it. That
happens here, and not in a pass, since ONNX has no form for a body that names what it reads.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from edgeort.lowering import layout
from edgeort.lowering.context import Group, Lowering
from edgeort.lowering.move import operand
from edgeort.lowering.params import PARAMS

_U8 = next(code for code, (name, _, _) in enumerate(layout.DTYPES) if name == "u8")


def bodies(node: ir.Node) -> list[ir.Graph]:
    """The graphs among a node's attributes, in the order of their names."""
    found = sorted((name, a.as_graph()) for name, a in node.attributes.items() if a.type == ir.AttributeType.GRAPH)
    return [graph for _, graph in found]


def outlined(graph: ir.Graph) -> tuple[ir.Model, list[ir.Value]]:
    """A model of the body, and the outer values that are its last inputs. Outer constants become its own."""
    body = graph.clone(allow_outer_scope_values=True)
    own = _values_of(body)
    inside: dict[ir.Value, ir.Value] = {}  # outer value -> the body's
    captured: list[ir.Value] = []
    for node in body.all_nodes():
        for index, value in enumerate(node.inputs):
            if value is None or value in own:
                continue
            if value not in inside:
                inside[value] = new = ir.Value(name=f"{value.name}.outer", type=value.type, shape=value.shape)
                if value.const_value is not None and not value.is_graph_input():
                    new.const_value = value.const_value
                    body.register_initializer(new)
                else:
                    body.inputs.append(new)
                    captured.append(value)
            node.replace_input_with(index, inside[value])
    _make_outputs(body)
    return ir.Model(body, ir_version=10), captured


def _values_of(graph: ir.Graph) -> set[ir.Value]:
    """The values of a graph and of the graphs within it."""
    values = {*graph.inputs, *graph.initializers.values()}
    for node in graph:
        values |= set(node.outputs).union(*map(_values_of, bodies(node)))
    return values


def _make_outputs(body: ir.Graph) -> None:
    """What a body only hands on, or hands on twice, gets a node that makes it."""
    for index, value in enumerate(body.outputs):
        if value.producer() is None or value in body.outputs[:index]:
            copy = ir.Node("", "Identity", [value], name=f"{body.name}.copy{index}")
            made = copy.outputs[0]
            made.name, made.type, made.shape = f"{value.name}.{index}", value.type, value.shape
            body.append(copy)
            body.outputs[index] = made


def _plans(ctx: Lowering, node: ir.Node, graphs: Sequence[ir.Graph]) -> tuple[list[int], list[int]]:
    """Constant tensors that hold the plans of the bodies, and the tensors of what any of them reads."""
    assert ctx.lower_body is not None
    made = [outlined(graph) for graph in graphs]
    captured = list(dict.fromkeys(value for _, values in made for value in values))
    tensors = []
    for model, values in made:
        formal = len(model.graph.inputs) - len(values)
        inputs = dict(zip(values, model.graph.inputs[formal:], strict=True))
        for value in captured:
            inputs.setdefault(value, ir.Value(name=f"{value.name}.unread", type=value.type, shape=value.shape))
        del model.graph.inputs[formal:]
        model.graph.inputs.extend(inputs[value] for value in captured)
        plan = ctx.lower_body(model)
        ctx.plan.nested |= set(plan.ops)
        ctx.plan.reasons |= plan.reasons
        tensors.append(ctx.weights(f"{node.name}.body", np.frombuffer(plan.to_bytes(), np.uint8), _U8))
    return tensors, [ctx.value(value) for value in captured]


def if_(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """If."""
    branches = [node.attributes[name].as_graph() for name in ("then_branch", "else_branch")]
    plans, captured = _plans(ctx, node, branches)
    ctx.emit("If", node, inputs=[*plans, ctx.value(node.inputs[0]), *captured])


def loop(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """Loop; one whose condition always holds says so."""
    body = node.attributes["body"].as_graph()
    carried = len(node.inputs) - 2
    for formal, actual in zip(body.inputs[2:], node.inputs[2:], strict=True):
        formal.type = formal.type or (actual.type if actual is not None else None)
    plans, captured = _plans(ctx, node, [body])
    trips, condition = ctx.value(operand(node, 0)), ctx.value(operand(node, 1))
    counted = trips >= 0 and (operand(node, 1) is None or _is_true(ctx, operand(node, 1))) and _hands_on(ctx, body)
    params = PARAMS["ListParams"].pack(count=2, values=[carried, int(counted)])
    initial = [ctx.value(value) for value in node.inputs[2:]]
    ctx.plan.node("Loop", node.name or "", [*plans, trips, condition, *initial, *captured], ctx.results(node), params)


def _is_true(ctx: Lowering, value: ir.Value | None) -> bool:
    constant = ctx.constant(value)
    return constant is not None and bool(constant.all())


def _hands_on(ctx: Lowering, body: ir.Graph) -> bool:
    """Whether the body's condition is the one that it was given, or true."""
    value = body.outputs[0]
    while (node := value.producer()) is not None and node.op_type == "Identity" and node.inputs[0] is not None:
        value = node.inputs[0]
    return value is body.inputs[1] or _is_true(ctx, value)


HANDLERS = {("", "If"): if_, ("", "Loop"): loop}
