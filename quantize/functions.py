"""What functions of one tensor, and arithmetic with constants, make of a tensor alone.

    x -> x * clip(x + 3, 0, 6)                      x -> x * (1 + erf(x / sqrt(2)))

They need not be one operator: nodes are taken in as long as they read nothing but the tensor, what is made of it and
constants, and what is read of them outside is one value. What only scales and shifts that in the end stays outside:
errors before and behind it are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgeort.ort import open_session
from edgeort.passes.algebra import clip_bounds
from edgeort.passes.edit import constant, dims, is_op
from edgeort.quantize.layers import UNARY
from edgeort.quantize.segments import model_of

ARITHMETIC = ("Add", "Div", "Max", "Min", "Mul", "Pow", "Sub")


@dataclass(frozen=True)
class Region:
    """The nodes, in an order in which they can run, from `value` to `result`, the only one that others read."""

    value: ir.Value
    nodes: tuple[ir.Node, ...]
    result: ir.Value

    @property
    def is_uniform(self) -> bool:
        """Whether it does the same to every number of the tensor, whatever the channel."""
        arrays = (constant(read) for node in self.nodes for read in node.inputs)
        return all(array is None or array.size == 1 for array in arrays)


def behind(value: ir.Value) -> Region:
    """The largest region that begins with `value`; one without nodes where there is none."""
    nodes: list[ir.Node] = []
    inside, found = [value], Region(value, (), value)
    while (node := next(_taken_in(inside, nodes), None)) is not None:
        nodes.append(node)
        inside.append(node.outputs[0])
        read = [one for one in inside if one.is_graph_output() or any(use.node not in nodes for use in one.uses())]
        if len(read) == 1 and read[0] is not value and not _is_affine(read[0].producer()):
            found = Region(value, tuple(nodes), read[0])
    return found


def _taken_in(inside: list[ir.Value], nodes: list[ir.Node]) -> Iterator[ir.Node]:
    """Readers of the values inside that are not among `nodes` yet, and read nothing else."""
    for value in inside:
        for use in value.uses():
            node = use.node
            if (
                node not in nodes
                and node.graph is inside[0].graph  # not a body of If or Loop, which reads it, too
                and _is_elementwise(node)
                and all(read is None or read in inside or _spreads_over(read, value) for read in node.inputs)
            ):
                yield node


def _is_affine(node: ir.Node | None) -> bool:
    """Whether it adds a constant or multiplies by one."""
    if not is_op(node, "Add", "Mul", "Sub", "Div"):
        return False
    assert node is not None
    by = node.inputs[1:] if node.op_type == "Div" else node.inputs
    return any(constant(value) is not None for value in by)


def _is_elementwise(node: ir.Node) -> bool:
    return is_op(node, *UNARY, *ARITHMETIC) or clip_bounds(node) is not None


def _spreads_over(read: ir.Value, value: ir.Value) -> bool:
    """Whether it is a constant that leaves a tensor of the shape of `value` the shape that it has."""
    array = constant(read)
    if array is None:
        return False
    if value.shape is None:
        return array.shape in ((), (1,))
    sizes: Iterable[object] = reversed(dims(value))
    return array.ndim <= len(value.shape) and all(
        mine in (1, theirs) for mine, theirs in zip(reversed(array.shape), sizes, strict=False)
    )


def evaluator(region: Region, opset: int) -> Callable[[np.ndarray], np.ndarray]:
    """What a region that is uniform makes of float32 numbers, in ONNX Runtime; both [n]."""
    session = open_session(model_of(region.nodes, [region.value], [region.result], opset), threads=1)
    name = str(region.value.name)
    return lambda numbers: np.asarray(session.run(None, {name: numbers.astype(np.float32)})[0]).reshape(-1)
