"""Where in a model a mutation can strike."""

from __future__ import annotations

import random
from collections.abc import Iterator

import onnx

NAMES = ("", "x", "nothing", "a" * 5000, "a\0b", "../../x", "é界", "%s%n", "a b", "__proto__", "edgeort.quantised")

Scope = onnx.GraphProto | onnx.FunctionProto


class Nowhere(Exception):
    """The model has no place for the mutation."""


def one_of(places: list, rng: random.Random):  # type: ignore[no-untyped-def, type-arg]
    """One of them; Nowhere when there is none."""
    if not places:
        raise Nowhere
    return rng.choice(places)


def graphs(proto: onnx.ModelProto) -> list[onnx.GraphProto]:
    """The main graph and all bodies."""
    return list(_graphs(proto.graph)) + [g for f in proto.functions for node in f.node for g in _bodies(node)]


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        yield from _bodies(node)


def _bodies(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        for graph in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
            yield from _graphs(graph)


def scopes(proto: onnx.ModelProto) -> list[Scope]:
    """Everything that has nodes and has some."""
    return [scope for scope in (*graphs(proto), *proto.functions) if scope.node]


def nodes(proto: onnx.ModelProto) -> list[onnx.NodeProto]:
    """All nodes."""
    return [node for scope in scopes(proto) for node in scope.node]


def a_scope(proto: onnx.ModelProto, rng: random.Random) -> Scope:
    """A graph, body or function; Nowhere when none has nodes."""
    return one_of(scopes(proto), rng)  # type: ignore[no-any-return]


def a_node(proto: onnx.ModelProto, rng: random.Random) -> onnx.NodeProto:
    """A node of any scope."""
    return one_of(list(a_scope(proto, rng).node), rng)  # type: ignore[no-any-return]


def an_attribute(proto: onnx.ModelProto, rng: random.Random) -> onnx.AttributeProto:
    """An attribute of any node."""
    return one_of([a for node in nodes(proto) for a in node.attribute], rng)  # type: ignore[no-any-return]


def a_tensor(proto: onnx.ModelProto, rng: random.Random) -> onnx.TensorProto:
    """An initializer, or the tensor of an attribute."""
    held = [tensor for graph in graphs(proto) for tensor in graph.initializer]
    held += [a.t for node in nodes(proto) for a in node.attribute if a.HasField("t")]
    return one_of(held, rng)  # type: ignore[no-any-return]


def an_info(proto: onnx.ModelProto, rng: random.Random) -> onnx.ValueInfoProto:
    """A declaration: of an input half of the time, else of an output or of a value between."""
    graph = rng.choice(graphs(proto))
    if rng.random() < 0.5:
        return one_of(list(graph.input), rng)  # type: ignore[no-any-return]
    return one_of([*graph.output, *graph.value_info], rng)  # type: ignore[no-any-return]


def names(scope: Scope) -> list[str]:
    """Of all values that the nodes of a scope read or make."""
    return sorted({name for node in scope.node for name in (*node.input, *node.output) if name})
