"""Takes out Identity nodes, bodies of control flow included.

onnx-ir's own pass (1.1) makes an outer value the output of a body, which neither ONNX nor its own copying allows.
"""

from __future__ import annotations

import onnx_ir as ir


def eliminate_identities(model: ir.Model) -> ir.passes.PassResult:
    """y = Identity(x): whoever reads y reads x. An output y of a graph gives x its name, if that graph makes x.

    Stays: an output of a graph that hands on an input, a constant, another output, or what a graph around it makes.
    """
    graphs = [*model.graphs(), *(g for f in model.functions.values() for g in (f, *f.subgraphs()))]
    nodes = [node for graph in graphs for node in graph if node.op_type == "Identity" and node.domain == ""]
    return ir.passes.PassResult(model, sum(_eliminate(node) for node in nodes) > 0)


def _eliminate(node: ir.Node) -> bool:
    """Takes the node out, if it can."""
    x, y, graph = node.inputs[0], node.outputs[0], node.graph
    assert graph is not None
    if x is None or (y.is_graph_output() and not _may_be_output(x, graph)):
        return False
    merged = _merged(x.shape, y.shape)
    if merged is None and x.shape is not None:
        return False
    x.shape, x.type = merged, x.type or y.type
    if y.is_graph_output():
        x.name, y.name = y.name, None
    ir.convenience.replace_all_uses_with(y, x, replace_graph_outputs=True)
    graph.remove(node, safe=True)
    return True


def _may_be_output(x: ir.Value, graph: ir.Graph | ir.Function) -> bool:
    producer = x.producer()
    return producer is not None and producer.graph is graph and not x.is_graph_output()


def _merged(a: ir.Shape | None, b: ir.Shape | None) -> ir.Shape | None:
    """What is known of either; None where neither has a rank, or they disagree."""
    if a is None or b is None:
        return a or b
    if len(a) != len(b):
        return None
    return ir.Shape(
        [
            y if isinstance(x, ir.SymbolicDim) and (isinstance(y, int) or x.value is None) else x
            for x, y in zip(a, b, strict=True)
        ]
    )
