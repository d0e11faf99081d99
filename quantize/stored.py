"""Nodes beside the layers that have int8 constants: tables (embeddings.py), and recurrent ones (recurrent.py).

The latter compute in float32, or in int8 (Form.DYNAMIC). A budget makes their constants float16, or what they were.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgeort.passes.edit import constant
from edgeort.quantize.embeddings import tables
from edgeort.quantize.recurrent import WEIGHTS, sharing


@dataclass(frozen=True)
class Stored:
    """The node of that name, the first one that reads `values`. Constants of bodies cannot be float16."""

    name: str
    values: tuple[ir.Value, ...]
    can_be_half: bool = True

    @property
    def arrays(self) -> list[np.ndarray]:
        """Float32 numbers."""
        found = [constant(value) for value in self.values]
        return [array for array in found if array is not None]


def stored(graph: ir.Graph, exclude: Collection[str] = ()) -> list[Stored]:
    """Those of a float graph: tables, then recurrent ones, each in its order."""
    found = [([node], node.inputs[:1]) for node in tables(graph, exclude)]
    found += [(group, [node.inputs[at] for node in group for at in WEIGHTS]) for group in sharing(graph, exclude)]
    seen, made = set[ir.Value](), list[Stored]()
    for nodes, operands in found:
        if values := tuple(value for value in dict.fromkeys(operands) if value is not None and value not in seen):
            made.append(Stored(str(nodes[0].name), values, all(node.graph is graph for node in nodes)))
            seen.update(values)
    return made
