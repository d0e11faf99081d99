"""Parts of a graph as models of their own, and a graph that is run part by part over stored samples.

`Prefix` holds the boundary between what was run and what was not: the tensors that the latter still reads. To advance
it, the nodes between the boundary and a tensor are run as one model; so every node runs once, whatever the depth of the
graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TypeVar

import numpy as np
import onnx
import onnx_ir as ir

from edgeort.ort import open_session
from edgeort.quantize.parallel import ordered_map
from edgeort.quantize.store import Store

R = TypeVar("R")
Runner = Callable[[Mapping[str, np.ndarray]], list[np.ndarray]]


def reads(node: ir.Node) -> set[ir.Value]:
    """What a node reads, also by bodies of If, Loop and Scan, which see the tensors around them."""
    found = {value for value in node.inputs if value is not None}
    for attribute in node.attributes.values():
        for body in [attribute.as_graph()] if attribute.type == ir.AttributeType.GRAPH else []:
            own = {*body.inputs, *body.initializers.values(), *(value for inner in body for value in inner.outputs)}
            found |= {value for inner in body for value in reads(inner)} - own
    return found


def between(known: Iterable[ir.Value], wanted: ir.Value) -> list[ir.Node]:
    """The nodes, in order, that compute `wanted` from `known` tensors and constants."""
    boundary, found, pending = set(known), set(), [wanted]
    while pending:
        value = pending.pop()
        node = None if value in boundary else value.producer()
        if node is not None and node not in found:
            found.add(node)
            pending.extend(reads(node))
    order = next(iter(found)).graph if found else None
    return [node for node in order or () if node in found]


def model_of(
    nodes: Iterable[ir.Node],
    inputs: Iterable[ir.Value],
    outputs: Iterable[ir.Value],
    opset: int,
    others: Mapping[str, int] = MappingProxyType({}),
) -> bytes:
    """A model of some nodes of a graph, with the constants that they read. `others` are opsets of other domains."""
    nodes = list(nodes)
    read = {value for node in nodes for value in reads(node)}
    graph = onnx.helper.make_graph(
        [ir.to_proto(node) for node in nodes],
        "segment",
        [_info(value) for value in inputs],
        [_info(value) for value in outputs],
        [
            _tensor(value, value.const_value)
            for value in read
            if value.const_value is not None and value.is_initializer()
        ],
    )
    imports = [onnx.helper.make_opsetid(domain, version) for domain, version in {**others, "": opset}.items()]
    model = onnx.helper.make_model(graph, opset_imports=imports, ir_version=10)
    return bytes(model.SerializeToString())


def _tensor(value: ir.Value, tensor: ir.TensorProtocol) -> onnx.TensorProto:
    """Its constant under its own name: a tensor that was a node's attribute, or stands for two values, has another."""
    proto = ir.to_proto(tensor)
    proto.name = str(value.name)
    return proto


def _info(value: ir.Value) -> onnx.ValueInfoProto:
    kind = (value.dtype or ir.DataType.FLOAT).value
    return onnx.helper.make_tensor_value_info(str(value.name), kind, None)


class Prefix:
    """A graph over the samples of a store, run as far as was asked for."""

    def __init__(self, graph: ir.Graph, opset: int, store: Store, label: str = "", *, fuse_qdq: bool = True) -> None:
        self._fuse_qdq = fuse_qdq
        self._opset, self._store, self._label = opset, store, label
        self._graph = graph
        self._ran: set[ir.Node] = set()
        self._boundary: dict[str, ir.Value] = {str(value.name): value for value in graph.inputs}

    def advance(self, wanted: ir.Value) -> None:
        """Runs what computes `wanted`, after which it is in the store."""
        if str(wanted.name) in self._boundary:
            return
        nodes = between(self._boundary.values(), wanted)
        self._ran.update(nodes)
        made = [value for node in nodes for value in node.outputs if value is wanted or self._needed(value)]
        inputs = self._read_by(nodes)
        run = self.runner(nodes, made)
        for sample, arrays in enumerate(self.over_samples(inputs, run)):
            for value, array in zip(made, arrays, strict=True):
                self._store.put(self.key(value), sample, array)
        self._boundary |= {str(value.name): value for value in made}
        for name, value in list(self._boundary.items()):
            if value is not wanted and not value.is_graph_input() and not self._needed(value):
                del self._boundary[name]
                self._store.drop(self.key(value))

    @property
    def boundary(self) -> list[ir.Value]:
        """The tensors that are in the store."""
        return list(self._boundary.values())

    @property
    def samples(self) -> int:
        """How many the store has."""
        return self._store.samples

    def runner(self, nodes: list[ir.Node], outputs: list[ir.Value], inputs: list[ir.Value] | None = None) -> Runner:
        """A function from `inputs` (None: the tensors of the boundary that `nodes` read) to `outputs`, in ONNX Runtime
        on one thread."""
        inputs = self._read_by(nodes) if inputs is None else inputs
        session = open_session(model_of(nodes, inputs, outputs, self._opset), threads=1, fuse_qdq=self._fuse_qdq)
        names = [str(value.name) for value in outputs]
        return lambda feeds: list(session.run(names, dict(feeds)))

    def single(self, wanted: ir.Value) -> Callable[[int], np.ndarray]:
        """What computes `wanted` of a sample from the boundary; nothing is stored."""
        nodes = between(self._boundary.values(), wanted)
        inputs, run = self._read_by(nodes), self.runner(nodes, [wanted])
        return lambda sample: run({str(value.name): self.get(value, sample) for value in inputs})[0]

    def evaluator(self, wanted: ir.Value) -> Callable[[Callable[[list[np.ndarray]], R]], Iterator[R]]:
        """What computes `wanted` from the boundary and hands it to a function, sample by sample; nothing is stored."""
        nodes = between(self._boundary.values(), wanted)
        inputs, run = self._read_by(nodes), self.runner(nodes, [wanted])
        return lambda function: self.over_samples(inputs, lambda feeds: function(run(feeds)))

    def over_samples(
        self, inputs: Iterable[ir.Value], function: Callable[[Mapping[str, np.ndarray]], R]
    ) -> Iterator[R]:
        """function(tensors by name) for every sample, in order, on all cores."""
        keys = {str(value.name): self.key(value) for value in inputs}
        return ordered_map(
            lambda sample: function({name: self._store.get(key, sample) for name, key in keys.items()}),
            range(self._store.samples),
        )

    def value(self, name: str) -> ir.Value:
        """The tensor of that name. KeyError when there is none."""
        for value in (*self._graph.inputs, *(made for node in self._graph for made in node.outputs)):
            if value.name == name:
                return value
        raise KeyError(name)

    def key(self, value: ir.Value) -> str:
        """The name of a tensor in the store, which graphs with different labels may share. They share the inputs."""
        return str(value.name) if value.is_graph_input() else f"{self._label}{value.name}"

    def get(self, value: ir.Value, sample: int) -> np.ndarray:
        """A tensor that was advanced to, of a sample."""
        return self._store.get(self.key(value), sample)

    def _needed(self, value: ir.Value) -> bool:
        return any(use.node not in self._ran for use in value.uses())

    def _read_by(self, nodes: Iterable[ir.Node]) -> list[ir.Value]:
        read = {value for node in nodes for value in reads(node)}
        return [value for value in self._boundary.values() if value in read]
