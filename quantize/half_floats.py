"""Weights stored as float16 and computed with as float32.

    w    ->    Cast(w16)              w16 float16, the nearest to w

A tensor stays float32 where a number is beyond float16's largest, or where so many are below its smallest that more
than `LOST` of its root mean square would go.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
import onnx_ir as ir

from edgeort.passes.edit import add_constant, constant, new_node

FEWEST = 1024  # numbers of a tensor; vectors and smaller ones are not worth a Cast
LOST = 2**-10  # of the root mean square: float16 keeps eleven bits


def weights(graph: ir.Graph, exclude: Collection[str] = ()) -> list[ir.Value]:
    """The float32 constants worth it, without those that nodes named in `exclude` read."""
    return [
        value
        for value in graph.initializers.values()
        if (array := constant(value)) is not None
        and array.dtype == np.float32
        and array.ndim > 1
        and array.size >= FEWEST
        and value.uses()
        and not value.is_graph_output()
        and not any(use.node.name in exclude for use in value.uses())
    ]


def store(graph: ir.Graph, values: Iterable[ir.Value]) -> dict[str, str]:
    """Rewrites those constants; returns why some stay float32, by name."""
    left = {}
    for value in values:
        array = constant(value)
        assert array is not None
        reason = refusal(array)
        if reason is not None:
            left[str(value.name)] = reason
            continue
        with np.errstate(under="ignore"):
            half = add_constant(graph, array.astype(np.float16), f"{value.name}_half")
        wide = new_node(graph, "Cast", [half], {"to": ir.DataType.FLOAT.value}, stem=f"{value.name}_float", like=value)
        for use in tuple(value.uses()):
            use.node.replace_input_with(use.idx, wide.outputs[0])
        graph.insert_before(graph[0], wide)
    return left


def refusal(array: np.ndarray) -> str | None:
    """Why float32 numbers cannot be float16, None where they can."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        stored = array.astype(np.float16).astype(np.float64)
    if not np.isfinite(stored).all():
        return "float16 has no numbers as large as its largest"
    lost = float(np.sqrt(((stored - array) ** 2).sum() / max(float((array.astype(np.float64) ** 2).sum()), 1e-300)))
    return f"its numbers are so small that float16 would lose {lost:.2%}" if lost > LOST else None
