"""Follows channels through a graph: `trace(graph)` applies the rule of every operator."""

from __future__ import annotations

import onnx_ir as ir

from edgeort.passes.edit import is_op
from edgeort.quantize.pruning.channels import Tracker
from edgeort.quantize.pruning.rules import RULES


def trace(graph: ir.Graph) -> Tracker:
    """The channels of all tensors. Numbers are the same for a graph and its clones."""
    tracker = Tracker(graph)
    for node in graph:
        tracked = [value for value in node.inputs if value in tracker.of]
        rule = RULES.get(node.op_type) if node.domain == "" else None
        if rule is None or not (tracked or is_op(node, *MAKERS)):
            reason = f"{node.op_type} is not understood"
        else:
            reason = rule(tracker, node) or ""
        if reason:
            for value in tracked:
                tracker.hold(value, f"{reason} ({node.name})")
    main = set(graph)
    for value in [value for value in tracker.of if value is not None]:
        if value.is_graph_output():
            tracker.hold(value, f"they leave the model as {value.name!r}")
        if any(use.node not in main for use in value.uses()):
            tracker.hold(value, "a subgraph reads them")
    return tracker


MAKERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
