"""Which channels of a graph's tensors stand or fall together, and what has to be cut when some are removed.

Every tensor that is understood has one axis of channels, and on it a number for each entry: entries with one number,
anywhere in the graph, are one channel. A layer makes new numbers; an operator hands them on, joins those of two tensors
(a residual Add), strings them together (Concat) or repeats them (Flatten). What an operator has that is not understood
holds its channels: they stay. (Fang et al. 2023, "DepGraph: towards any structural pruning", for whole layers.)
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from edgeort.passes.edit import add_constant, constant, operand, rank
from edgeort.quantize.layers import Layer

PRUNED = "_pruned"  # at the end of the names of constants that were changed

Alive = Callable[[np.ndarray], np.ndarray]  # numbers of channels -> a mask of those that stay


@dataclass(frozen=True)
class Channels:
    """The axis of a tensor's channels, 0 or more, and the number of each of its entries."""

    axis: int
    ids: np.ndarray


@dataclass(frozen=True)
class Tied:
    """A layer with the channels that it reads and those that it makes; None: they are not known, and stay."""

    layer: Layer
    reads: np.ndarray | None
    makes: np.ndarray


@dataclass
class Tracker:
    """The channels found so far, and the edits that removing some of them takes."""

    graph: ir.Graph
    of: dict[ir.Value | None, Channels] = field(default_factory=dict)  # None, an operand left out, is never a key
    layers: list[Tied] = field(default_factory=list)
    edits: list[Callable[[Alive], None]] = field(default_factory=list)
    held: dict[int, str] = field(default_factory=dict)
    _parents: list[int] = field(default_factory=list)

    def fresh(self, count: int) -> np.ndarray:
        """Numbers of channels that are like no others."""
        start = len(self._parents)
        self._parents.extend(range(start, start + count))
        return np.arange(start, start + count)

    @property
    def count(self) -> int:
        """How many numbers were given out."""
        return len(self._parents)

    def join(self, a: np.ndarray, b: np.ndarray) -> None:
        """From now on the channels a[i] and b[i] are one."""
        for x, y in zip(self.roots(a).tolist(), self.roots(b).tolist(), strict=True):
            x, y = self._root(x), self._root(y)
            if x != y:
                first, second = min(x, y), max(x, y)
                self._parents[second] = first
                if second in self.held:
                    self.held.setdefault(first, self.held[second])

    def roots(self, ids: np.ndarray) -> np.ndarray:
        """The one number that stands for each channel."""
        return np.array([self._root(i) for i in ids.tolist()], np.int64)

    def hold(self, value: ir.Value | None, reason: str) -> None:
        """Keeps all channels of a tensor."""
        if value in self.of:
            for root in self.roots(self.of[value].ids).tolist():
                self.held.setdefault(root, reason)

    def pass_on(self, source: ir.Value | None, node: ir.Node, axis: int | None = None) -> None:
        """The outputs of `node` have the channels of `source`, on its axis or another."""
        found = self.of[source]
        for value in node.outputs:
            self.of[value] = Channels(found.axis if axis is None else axis, found.ids)

    def cut(self, node: ir.Node, index: int, axis: int, ids: np.ndarray) -> None:
        """When channels go, so do those entries of the constant operand `index`."""

        def edit(alive: Alive) -> None:
            array = constant(operand(node, index))
            assert array is not None
            keep = alive(ids)
            if not keep.all():
                self.set_constant(node, index, np.compress(keep, array, axis=axis))

        self.edits.append(edit)

    def set_constant(self, node: ir.Node, index: int, array: np.ndarray) -> None:
        """Gives the node a constant of its own."""
        value = operand(node, index)
        stem = f"{node.name}_operand" if value is None else str(value.name).removesuffix(PRUNED)
        node.replace_input_with(index, add_constant(self.graph, array, f"{stem}{PRUNED}"))
        if value is not None and not value.uses() and value.is_initializer():
            del self.graph.initializers[str(value.name)]

    def remove(self, gone: Collection[int]) -> None:
        """Removes the channels with those roots from the graph; shapes of tensors in between are forgotten."""
        alive = self.alive(gone)
        changed = {value for value, found in self.of.items() if not alive(found.ids).all()}
        for edit in self.edits:
            edit(alive)
        for value in changed:
            if value is not None:
                value.shape = None

    def alive(self, gone: Collection[int]) -> Alive:
        """Which channels stay when those with the roots `gone` go."""
        dead = np.array(sorted(gone), np.int64)
        return lambda ids: ~np.isin(self.roots(ids), dead)

    def _root(self, i: int) -> int:
        parents = self._parents
        while parents[i] != i:
            parents[i] = parents[parents[i]]
            i = parents[i]
        return i


def size_at(value: ir.Value | None, axis_from_end: int) -> int | None:
    """The size of an axis (-1 is the last); 1 where the rank is too small, None where it is not known."""
    full = rank(value)
    if value is None or full is None:
        return None
    if -axis_from_end > full:
        return 1
    assert value.shape is not None
    size = value.shape[axis_from_end]
    return size if isinstance(size, int) else None
