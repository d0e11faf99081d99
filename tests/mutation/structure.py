"""Changes to nodes, names, graphs, functions and versions, one function each."""

from __future__ import annotations

import functools
import random

import onnx
import onnx.defs
from onnx import TensorProto, helper

from tests.mutation.places import (
    NAMES,
    Nowhere,
    a_node,
    a_scope,
    an_info,
    graphs,
    names,
    nodes,
    one_of,
)

# Of our own, which a file may hold, too.
KEYS = ("edgeort.group", "edgeort.role", "edgeort.bounds", "edgeort.names", "edgeort.activation")


@functools.cache
def operators() -> tuple[tuple[str, str], ...]:
    """Domain and name of every operator that ONNX knows, and those that edgeort gives a meaning."""
    known = {(schema.domain, schema.name) for schema in onnx.defs.get_all_schemas()}
    ours = [("edgeort", "DynamicQuantMatMul"), ("edgeort.nhwc", "Conv"), ("edgeort.standard", "Attention_0")]
    microsoft = ("MatMulNBits", "FusedMatMul", "SkipLayerNormalization", "QLinearAdd", "MultiHeadAttention", "Gelu")
    return (*sorted(known), *ours, *(("com.microsoft", name) for name in microsoft))


def drop_node(proto: onnx.ModelProto, rng: random.Random) -> None:
    scope = a_scope(proto, rng)
    del scope.node[rng.randrange(len(scope.node))]


def repeat_node(proto: onnx.ModelProto, rng: random.Random) -> None:
    scope = a_scope(proto, rng)
    copy = scope.node.add()
    copy.CopyFrom(rng.choice(list(scope.node)[:-1]))
    if rng.random() < 0.5:
        copy.output[:] = [f"{name}.again" for name in copy.output]


def reorder_nodes(proto: onnx.ModelProto, rng: random.Random) -> None:
    scope = a_scope(proto, rng)
    shuffled = [onnx.NodeProto.FromString(node.SerializeToString()) for node in scope.node]
    rng.shuffle(shuffled)
    del scope.node[:]
    scope.node.extend(shuffled)


def rename_input(proto: onnx.ModelProto, rng: random.Random) -> None:
    scope = a_scope(proto, rng)
    node = one_of([node for node in scope.node if node.input], rng)
    node.input[rng.randrange(len(node.input))] = rng.choice([*NAMES, *names(scope) * 3])


def rename_output(proto: onnx.ModelProto, rng: random.Random) -> None:
    scope = a_scope(proto, rng)
    node = one_of([node for node in scope.node if node.output], rng)
    node.output[rng.randrange(len(node.output))] = rng.choice([*NAMES, *names(scope)])


def swap_inputs(proto: onnx.ModelProto, rng: random.Random) -> None:
    node = one_of([node for node in nodes(proto) if len(node.input) > 1], rng)
    order = list(node.input)
    rng.shuffle(order)
    node.input[:] = order


def count_inputs(proto: onnx.ModelProto, rng: random.Random) -> None:
    scope = a_scope(proto, rng)
    node = rng.choice(list(scope.node))
    if node.input and rng.random() < 0.5:
        del node.input[rng.randrange(len(node.input)) :]
    else:
        node.input.extend(rng.choices(["", *names(scope)], k=rng.choice([1, 2, 40])))


def count_outputs(proto: onnx.ModelProto, rng: random.Random) -> None:
    node = a_node(proto, rng)
    if node.output and rng.random() < 0.5:
        del node.output[rng.randrange(len(node.output)) :]
    else:
        node.output.extend(f"{node.name}.more{i}" for i in range(rng.choice([1, 2, 40])))


def make_cycle(proto: onnx.ModelProto, rng: random.Random) -> None:
    scope = a_scope(proto, rng)
    node = one_of([node for node in scope.node if node.input], rng)
    later = [name for other in list(scope.node)[list(scope.node).index(node) :] for name in other.output if name]
    node.input[rng.randrange(len(node.input))] = one_of(later, rng)


def change_operator(proto: onnx.ModelProto, rng: random.Random) -> None:
    node = a_node(proto, rng)
    if rng.random() < 0.1:
        node.op_type = rng.choice(NAMES)
        return
    node.domain, node.op_type = rng.choice(operators())
    if node.domain and rng.random() < 0.8 and node.domain not in {entry.domain for entry in proto.opset_import}:
        proto.opset_import.append(helper.make_opsetid(node.domain, 1))


def change_domain(proto: onnx.ModelProto, rng: random.Random) -> None:
    domain = rng.choice(["ai.onnx", "ai.onnx.ml", "com.microsoft", "edgeort", "edgeort.nhwc", "edgeort.opaque", "é"])
    a_node(proto, rng).domain = domain
    if rng.random() < 0.7:
        proto.opset_import.append(helper.make_opsetid(domain, rng.choice([1, 2, 17])))


def rename_info(proto: onnx.ModelProto, rng: random.Random) -> None:
    an_info(proto, rng).name = rng.choice([*NAMES, *names(a_scope(proto, rng))])


def drop_info(proto: onnx.ModelProto, rng: random.Random) -> None:
    graph = rng.choice(graphs(proto))
    field = one_of([f for f in (graph.input, graph.output, graph.initializer, graph.value_info) if f], rng)
    del field[rng.randrange(len(field))]


def repeat_info(proto: onnx.ModelProto, rng: random.Random) -> None:
    graph = rng.choice(graphs(proto))
    field = one_of([f for f in (graph.input, graph.output, graph.initializer, graph.value_info) if f], rng)
    field.add().CopyFrom(rng.choice(list(field)[:-1] or [field[0]]))


def change_versions(proto: onnx.ModelProto, rng: random.Random) -> None:
    if rng.random() < 0.3:
        proto.ir_version = rng.choice([0, 1, 2, 3, 4, 8, 10, 13, 14, 99, 2**40, -1])
    elif proto.opset_import and rng.random() < 0.8:
        entry = rng.choice(list(proto.opset_import))
        entry.version = rng.choice([*range(5, 30), 0, -1, 1, 2**31, 2**63 - 1])
    else:
        proto.opset_import.add(domain=rng.choice(["", "ai.onnx", "é", "a" * 300]), version=rng.choice([1, 17, 2**40]))


def add_metadata(proto: onnx.ModelProto, rng: random.Random) -> None:
    node = a_node(proto, rng)
    values = ("", "anchor", "program", "0", node.name, '{"N": [1, 4]}', '{"N": [5, 1]}', "[1]", "nan", "{" * 2000)
    holder = rng.choice([proto, proto.graph, node, *proto.functions])
    for _ in range(rng.choice([1, 2, 3])):
        holder.metadata_props.add(key=rng.choice(KEYS), value=rng.choice(values))
    if rng.random() < 0.5:
        for key, value in (("edgeort.group", "g"), ("edgeort.role", rng.choice(values))):
            for member in a_scope(proto, rng).node[: rng.choice([1, 3])]:
                member.metadata_props.add(key=key, value=value)


def nest(proto: onnx.ModelProto, rng: random.Random) -> None:
    """The whole graph becomes a branch, over and over; protobuf itself allows some thirty levels."""
    if len(graphs(proto)) > 4:
        raise Nowhere
    for level in range(rng.choice([1, 2, 5, 20])):
        inner = onnx.GraphProto.FromString(proto.graph.SerializeToString())
        outer = onnx.GraphProto(name=f"level{level}", input=inner.input)
        condition = onnx.helper.make_tensor(f"go{level}", TensorProto.BOOL, [], [True])
        outer.initializer.append(condition)
        if rng.random() < 0.9:
            del inner.input[:]
        renamed = [f"{info.name}.{level}" for info in inner.output]
        both = {"then_branch": inner, "else_branch": inner if level < 3 else onnx.GraphProto(name="e")}
        outer.node.append(helper.make_node("If", [condition.name], renamed, **both))
        for info, name in zip(inner.output, renamed, strict=True):
            outer.output.add(name=name, type=info.type)
        proto.graph.CopyFrom(outer)


def wrap_in_function(proto: onnx.ModelProto, rng: random.Random) -> None:
    """A function of the name of a node's operator, with a body that may hold the operator itself."""
    node = a_node(proto, rng)
    function = proto.functions.add(name=node.op_type, domain=node.domain)
    function.input.extend(f"i{k}" for k in range(len(node.input)))
    function.output.extend(f"o{k}" for k in range(len(node.output)))
    inner = function.node.add()
    inner.CopyFrom(node)
    if rng.random() < 0.5:
        inner.op_type = rng.choice(["Identity", "Add", "Relu", node.op_type])
    inner.input[:], inner.output[:] = function.input, function.output
    function.opset_import.extend(proto.opset_import)
    if rng.random() < 0.5:
        node.domain = function.domain = "local"
        proto.opset_import.append(helper.make_opsetid("local", 1))
    if rng.random() < 0.3:
        function.attribute.append("alpha")


def change_body(proto: onnx.ModelProto, rng: random.Random) -> None:
    """Of control flow: its inputs, outputs, or all of it."""
    body = one_of([graph for graph in graphs(proto) if graph is not proto.graph and graph.output], rng)
    what = rng.randrange(5)
    if what == 0:
        del body.output[rng.randrange(len(body.output)) :]
    elif what == 1:
        body.output.add().CopyFrom(body.output[0])
    elif what == 2:
        body.input.add(name="more").type.tensor_type.elem_type = 1
    elif what == 3:
        body.output[0].name = rng.choice(names(a_scope(proto, rng)))
    else:
        body.CopyFrom(onnx.GraphProto.FromString(rng.choice(graphs(proto)).SerializeToString()))
