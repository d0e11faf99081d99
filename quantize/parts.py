"""Parts of an output that are joined of unlike tensors: boxes in pixels and scores of 0..1, for one.

Seen as one, the noise of the small numbers vanishes beside the large ones. So parts are measured apart where their
sizes differ by `UNLIKE` (root mean square); levels of a pyramid, which are alike, stay one output.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Protocol, TypeVar

import numpy as np
import onnx_ir as ir

from edgeort.passes.edit import dims, integer, ints, is_op

UNLIKE = 8.0


@dataclass(frozen=True)
class Part:
    """Entries start .. stop of an axis of an output."""

    output: str
    axis: int
    start: int
    stop: int

    @property
    def name(self) -> str:
        """As NumPy writes it: `boxes[:, 4:22]`."""
        return f"{self.output}[{':, ' * self.axis}{self.start}:{self.stop}]"

    def of(self, array: np.ndarray) -> np.ndarray:
        """The entries."""
        return array[(slice(None),) * self.axis + (slice(self.start, self.stop),)]


class Sized(Protocol):
    """What is measured of a part."""

    @property
    def mean_square(self) -> float:
        """Of the numbers that it should have."""


S = TypeVar("S", bound=Sized)


def unlike(output: str, measured: Mapping[Part, S]) -> dict[str, S]:
    """By name what was measured of the parts of an output, without parts of zeros; none where they are alike."""
    found = {part.name: one for part, one in measured.items() if part.output == output and one.mean_square}
    sizes = [one.mean_square for one in found.values()]
    return found if sizes and max(sizes) > UNLIKE**2 * min(sizes) else {}


def parts(graph: ir.Graph) -> list[Part]:
    """Of the outputs that a Concat of known sizes makes, maybe through a Transpose."""
    return [part for value in graph.outputs for part in _of(value)]


def _of(value: ir.Value) -> Iterator[Part]:
    node, order = value.producer(), None
    while node is not None and is_op(node, "Identity", "Transpose") and node.inputs[0] is not None:
        if node.op_type == "Transpose":
            own = ints(node, "perm", ())
            if not own:
                return
            order = own if order is None else [own[axis] for axis in order]
        node = node.inputs[0].producer()
    joined = [] if node is None or node.op_type != "Concat" else [v for v in node.inputs if v is not None]
    if node is None or len(joined) < 2 or any(v.shape is None for v in joined):
        return
    axis = integer(node, "axis", 0) % max(len(dims(joined[0])), 1)
    sizes = [size for v in joined if isinstance(size := dims(v)[axis], int)]
    if len(sizes) == len(joined):
        at = axis if order is None else list(order).index(axis)
        for start, stop in pairwise(accumulate(sizes, initial=0)):
            yield Part(str(value.name), at, start, stop)
