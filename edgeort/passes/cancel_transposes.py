"""Chooses for every tensor whether it is stored channels-last, so that the fewest Transposes remain.

    Transpose<to_first> -> Relu -> Transpose<to_last>   ->   Relu
    Transpose<to_first> -> Concat<axis=1>, all inputs   ->   Concat<axis=last> -> Transpose<to_first>
    ...

A Transpose<to_last> reads the channels-last form of its input, a Transpose<to_first> gives the channels-last form of
its output; both are free where that form exists. Every other node is either tied to the written layout or, by
`layout_rules`, can work on both. With one yes/no variable a flexible node ("works channels-last"), a value costs one
Transpose when its producer and any of its readers disagree. That sum is a minimum s-t cut:

    minimise  sum over values v of  cost(v) * [producer(v) != some reader of v]

and so has an exact solution in polynomial time (Greig, Porteous & Seheult 1989). cost(v) is one large unit, so that the
number of Transposes comes first, plus v's bytes; it is 1 when the Transpose would move no element. Of equal cuts the
one with most channels-last nodes is taken, so that activations stay with the convolution before them.

With `ctx.io_layout == "nhwc"` the rank-4 inputs and outputs of the graph are channels-last as well.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import onnx_ir as ir

from edgeort.passes import layout
from edgeort.passes.context import PassContext
from edgeort.passes.edit import constant, dims, is_op, rank, unique_name
from edgeort.passes.functions import NHWC
from edgeort.passes.layout_edit import Flexible
from edgeort.passes.layout_rules import rule
from edgeort.passes.merge_transposes import merge_transposes, perm_of, reshape_transposes
from edgeort.passes.minimum_cut import INFINITE, SINK, SOURCE, Network

UNIT = 1 << 40


def cancel_transposes(model: ir.Model, ctx: PassContext) -> int:
    """Rewrites the main graph; returns by how many its Transposes became fewer."""
    before = _count(model.graph)
    merge_transposes(model, ctx)
    _Assignment(model, ctx).apply()
    merge_transposes(model, ctx)
    reshape_transposes(model, ctx)
    return max(0, before - _count(model.graph))


def _count(graph: ir.Graph) -> int:
    return sum(is_op(node, "Transpose") for node in graph)


@dataclass
class _Assignment:
    """One solution of the layout problem and its application to the graph."""

    model: ir.Model
    ctx: PassContext
    rules: dict[ir.Node, Flexible] = field(default_factory=dict)
    versions: dict[tuple[ir.Value, bool], ir.Value] = field(default_factory=dict)

    def apply(self) -> None:
        """Solves, then rebuilds every node's inputs in its layout, front to back."""
        graph = self.model.graph
        last = self._solve()
        outputs = list(graph.outputs)
        for value in graph.inputs:
            self._define(value, self._border(value))
        for node in list(graph):
            reads, gives = self._transpose_ends(node)
            if reads != gives:
                source = node.inputs[0]
                assert source is not None
                self.versions[node.outputs[0], gives] = self._get(source, reads)
                continue
            flexible = self.rules.get(node) if node in last else None
            for index, read in enumerate(list(node.inputs)):
                if read is not None and constant(read) is None:
                    node.replace_input_with(index, self._get(read, flexible is not None and index in flexible.inputs))
            self._captured(node)
            if flexible:
                flexible.rewrite()
            for index, out in enumerate(node.outputs):
                self._define(out, flexible is not None and index in flexible.outputs)
        for index, out in enumerate(outputs):
            self._set_output(index, out, self._get(out, self._border(out)))
        for node in reversed(list(graph)):
            if is_op(node, "Transpose") and not any(v.uses() or v.is_graph_output() for v in node.outputs):
                graph.remove(node, safe=True)

    def _solve(self) -> set[ir.Node]:
        """The nodes that work channels-last."""
        network, vertex = Network(), {}
        for node in self.model.graph:
            found = None if self._transpose_ends(node)[0] != self._transpose_ends(node)[1] else rule(self.model, node)
            if found and not any(constant(node.inputs[i]) is not None for i in found.inputs):
                self.rules[node], vertex[node] = found, network.vertex()
        values = [*self.model.graph.inputs, *(v for node in self.model.graph for v in node.outputs)]
        for value in values:
            if rank(value) in layout.RANKS:
                self._add_value(network, vertex, value)
        chosen = network.source_side()
        return {node for node, number in vertex.items() if number in chosen}

    def _add_value(self, network: Network, vertex: dict[ir.Node, int], value: ir.Value) -> None:
        producer, index = value.producer(), value.index()
        if producer is None:
            start = SOURCE if self._border(value) else SINK
        elif self._transpose_ends(producer) == (False, True):
            start = SOURCE
        else:
            tied = producer in vertex and index in self.rules[producer].outputs
            start = vertex[producer] if tied else SINK
        ends = set()
        for user, position in value.uses():
            if self._transpose_ends(user) == (True, False):
                ends.add(SOURCE)
            else:
                tied = user in vertex and position in self.rules[user].inputs
                ends.add(vertex[user] if tied else SINK)
        if value.is_graph_output():
            ends.add(SOURCE if self._border(value) else SINK)
        if ends <= {start}:
            return
        cost = _cost(value)
        any_written, any_last = network.vertex(), network.vertex()
        network.edge(start, any_written, cost)
        network.edge(any_last, start, cost)
        for end in ends:
            network.edge(any_written, end, INFINITE)
            network.edge(end, any_last, INFINITE)

    def _transpose_ends(self, node: ir.Node) -> tuple[bool, bool]:
        """Whether a Transpose wants its input, and gives its output, channels-last for free; equal for other nodes."""
        perm = perm_of(node) if is_op(node, "Transpose") and node.graph is self.model.graph else None
        if perm is None or len(perm) not in layout.RANKS or constant(node.inputs[0]) is not None:
            return False, False
        if rank(node.inputs[0]) is None or rank(node.outputs[0]) is None:
            return False, False
        reads, gives = (tuple(perm) == order(len(perm)) for order in (layout.to_last, layout.to_first))
        if reads and gives:  # of rank 3 both are one: behind a channels-last operator it leads back
            producer = node.inputs[0].producer() if node.inputs[0] is not None else None
            gives = producer is not None and producer.domain == NHWC
            reads = not gives
        return reads, gives

    def _border(self, value: ir.Value) -> bool:
        """Whether an input or output of the graph is channels-last."""
        return self.ctx.io_layout == "nhwc" and rank(value) == 4

    def _define(self, value: ir.Value, last: bool) -> None:
        """Records that `value` itself is now stored so; its shape follows."""
        if last and value.shape is not None:
            value.shape = ir.Shape(layout.permute(list(value.shape), layout.to_last(len(value.shape))))
        self.versions[value, last] = value

    def _get(self, value: ir.Value, last: bool) -> ir.Value:
        """`value` in the wanted layout, through a Transpose after its producer where there is none yet."""
        found = self.versions.get((value, last))
        if found is not None:
            return found
        other = self.versions.get((value, not last))
        if other is None:  # an initializer, or a value of an outer scope
            return value
        assert other.shape is not None
        perm = (layout.to_last if last else layout.to_first)(len(other.shape))
        name = unique_name(self.model.graph, f"{value.name}_{'nhwc' if last else 'nchw'}")
        out = ir.Value(name=name, type=other.type, shape=ir.Shape(layout.permute(list(other.shape), perm)))
        node = ir.Node("", "Transpose", [other], [ir.AttrInt64s("perm", perm)], outputs=[out], name=name)
        producer = other.producer()
        if producer is not None:
            self.model.graph.insert_after(producer, node)
        else:
            self.model.graph.insert_before(self.model.graph[0], node)
        self.versions[value, last] = out
        return out

    def _captured(self, node: ir.Node) -> None:
        """Gives subgraphs of `node` the written form of every value they take from the main graph."""
        for attr in node.attributes.values():
            single = attr.type == ir.AttributeType.GRAPH
            graphs = [attr.as_graph()] if single else attr.as_graphs() if attr.type == ir.AttributeType.GRAPHS else []
            for graph in graphs:
                for inner in graph.all_nodes():
                    for index, value in enumerate(inner.inputs):
                        if value is not None and ((value, False) in self.versions or (value, True) in self.versions):
                            inner.replace_input_with(index, self._get(value, False))
                for index, value in enumerate(graph.outputs):
                    if (value, False) in self.versions or (value, True) in self.versions:
                        graph.outputs[index] = self._get(value, False)

    def _set_output(self, index: int, old: ir.Value, new: ir.Value) -> None:
        """Makes `new` output number `index` under the name of `old`."""
        if new is old:
            return
        graph = self.model.graph
        if new.producer() is None or new.is_graph_output():
            out = ir.Value(name=unique_name(graph, f"{new.name}_out"), type=new.type, shape=new.shape)
            graph.append(ir.Node("", "Identity", [new], outputs=[out]))
            new = out
        graph.outputs[index] = new
        name = old.name
        old.name = unique_name(graph, f"{name}_inner")
        new.name = name


def _cost(value: ir.Value) -> int:
    """What one Transpose of `value` costs; unknown dimensions count as 16, unknown types as float32."""
    sizes = dims(value)
    if layout.keeps_order(sizes, layout.to_last(len(sizes))):
        return 1
    size_bytes = 4 if value.dtype is None else value.dtype.bitwidth // 8
    for size in sizes:
        size_bytes *= size if isinstance(size, int) else 16
    return UNIT + min(size_bytes, UNIT >> 12)
