"""In which order channels go over all groups: noise added per multiply-add saved.

A group's own errors say how the noise grows with each of its channels; how far an error in it reaches the outputs is
measured once, with this group alone pruned, and its errors are scaled to it. (Molchanov et al. 2017, "Pruning
convolutional neural networks for resource efficient inference", ranks globally and counts cost likewise.)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from edgeort.quantize.layers import Layer
from edgeort.quantize.pruning.channels import Tracker
from edgeort.quantize.pruning.choosing import Order, last_ones

PROBE = 0.25  # of a group's channels, gone when its reach is measured
LEAST = 0.125  # of a group's channels stay


@dataclass(frozen=True)
class Step:
    """Channels of a group that go next, and the noise and saving that this adds, as shares of the whole model's."""

    roots: tuple[int, ...]
    noise: float
    saving: float


@dataclass(frozen=True)
class Costs:
    """Multiply-adds of a model without some channels."""

    tracker: Tracker
    positions: dict[str, float]

    def total(self, gone: Collection[int] = ()) -> float:
        """Of the layers, for one sample."""
        alive = self.tracker.alive(gone)
        total = 0.0
        for tied in self.tracker.layers:
            outputs = int(alive(tied.makes).sum())
            total += self._one(tied.layer) * outputs * self._inputs(tied.layer, tied.reads, gone)
        return total

    def by_root(self) -> np.ndarray:
        """What the model saves without a channel, by its root, while all others stay."""
        saved = np.zeros(self.tracker.count)
        for tied in self.tracker.layers:
            makes, one = self.tracker.roots(tied.makes), self._one(tied.layer)
            np.add.at(saved, makes, one * self._inputs(tied.layer, tied.reads))
            if tied.reads is not None and tied.layer.groups == 1:
                np.add.at(saved, self.tracker.roots(tied.reads), one * len(makes))
        return saved

    def _inputs(self, layer: Layer, reads: np.ndarray | None, gone: Collection[int] = ()) -> int:
        if layer.groups > 1:
            return 1
        return (
            layer.weight.shape[1 - layer.weight_axis] if reads is None else int(self.tracker.alive(gone)(reads).sum())
        )

    def _one(self, layer: Layer) -> float:
        taps = layer.weight.shape[2:] if layer.output_axis == 1 else ()
        return self.positions[layer.name] * float(np.prod(taps))


def cut_points(order: Order, multiple: int) -> list[int]:
    """How many of a group's channels may be gone: those after which a multiple stays, and at least `LEAST` of them."""
    least = max(multiple, int(np.ceil(LEAST * order.group.size)))
    kept = range(order.group.size // multiple * multiple, 0, -multiple)
    return [gone for left in kept if left >= least and 0 < (gone := order.group.size - left) <= len(order.roots)]


def steps(
    orders: Sequence[Order], multiple: int, costs: Costs, measure: Callable[[Order, Sequence[int]], float]
) -> list[Step]:
    """All steps, cheapest next. `measure(order, roots)` is the noise with those channels of it gone."""
    saved, stay, queues = costs.by_root() / costs.total(), last_ones(costs.tracker, orders), []
    for order in orders:
        points = cut_points(order, multiple)
        if points:
            at = min(points, key=lambda gone: abs(gone - PROBE * order.group.size))
            noise = measure(order, [root for root in order.roots[:at].tolist() if root not in stay])
            reach = noise / max(float(order.errors[at - 1]), 1e-30)
            queues.append(_of_group(order, points, reach, saved, stay))
    found = []
    while queues := [queue for queue in queues if queue]:
        best = min(queues, key=lambda queue: queue[0].noise / max(queue[0].saving, 1e-30))
        found.append(best.pop(0))
    return found


def _of_group(
    order: Order, points: Sequence[int], reach: float, saved: np.ndarray, stay: Collection[int]
) -> list[Step]:
    found, before, error = [], 0, 0.0
    for gone in points:
        roots = [root for root in order.roots[before:gone].tolist() if root not in stay]
        added, error = float(order.errors[gone - 1]) - error, float(order.errors[gone - 1])
        found.append(Step(tuple(roots), reach * added, float(saved[roots].sum())))
        before = gone
    return found
