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
    own = {*body.inputs, *body.initializers.values()}
    own |= {v for node in body.all_nodes() for v in node.outputs}
    own |= {
        v for node in body.all_nodes() for inner in bodies(node) for v in (*inner.inputs, *inner.initializers.values())
    }
    replaced: dict[ir.Value, ir.Value] = {}
    captured: list[ir.Value] = []

    def inner(value: ir.Value) -> ir.Value:
        if value not in replaced:
            new = ir.Value(
                name=f"{value.name}.outer", type=value.type, shape=value.shape, const_value=value.const_value
            )
            if value.const_value is not None and not value.is_graph_input():
                body.register_initializer(new)
            else:
                new.const_value = None
                body.inputs.append(new)
                captured.append(value)
            replaced[value] = new
        return replaced[value]

    for node in body.all_nodes():
        for index, value in enumerate(node.inputs):
            if value is not None and value not in own:
                node.replace_input_with(index, inner(value))
    # A value that a branch only hands on, or hands on twice, gets a node that makes it.
    for index, value in enumerate(body.outputs):
        if value not in own or value.is_graph_input() or value.is_initializer() or value in body.outputs[:index]:
            source = value if value in own else inner(value)
            copy = ir.Node("", "Identity", [source], name=f"{graph.name}.copy{index}")
            copy.outputs[0].name, copy.outputs[0].type, copy.outputs[0].shape = (
                f"{value.name}.{index}",
                value.type,
                value.shape,
            )
            body.append(copy)
            body.outputs[index] = copy.outputs[0]
    return ir.Model(body, ir_version=10), captured


def _plans(ctx: Lowering, node: ir.Node, graphs: Sequence[ir.Graph]) -> tuple[list[int], list[int]]:
    """Constant tensors that hold the plans of the bodies, and the tensors of what any of them reads."""
    assert ctx.lower_body is not None
    made = [outlined(graph) for graph in graphs]
    captured = list(dict.fromkeys(value for _, values in made for value in values))
    tensors = []
    for model, values in made:
        formal = len(model.graph.inputs) - len(values)
        inputs = dict(zip(values, model.graph.inputs[formal:], strict=True))
        missing = {
            v: ir.Value(name=f"{v.name}.unread", type=v.type, shape=v.shape) for v in captured if v not in inputs
        }
        del model.graph.inputs[formal:]
        model.graph.inputs.extend((inputs | missing)[value] for value in captured)
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
