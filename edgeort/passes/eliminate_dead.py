"""Removes what nothing reads: nodes, optional outputs, initializers, functions and opset imports."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedFunctionsPass, RemoveUnusedNodesPass, RemoveUnusedOpsetsPass

from edgeort.passes.context import PassContext


def eliminate_dead(model: ir.Model, ctx: PassContext) -> int:
    """Returns by how many nodes, initializers and functions the model became smaller."""
    before = _size(model)
    RemoveUnusedNodesPass()(model)
    RemoveUnusedFunctionsPass()(model)
    RemoveUnusedOpsetsPass()(model)
    return before - _size(model)


def _size(model: ir.Model) -> int:
    return len(model.graph) + len(model.graph.initializers) + len(model.functions)
