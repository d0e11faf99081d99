"""Top-1 and top-5 of labelled samples, and what was lost to the float model.

top-k = 100 x share of samples whose label is among the k largest of the main output
drop = top-1 of the float model - top-1 now, in points
standard error of the drop = 100 sqrt(lost + won - (lost - won)^2 / n) / n, of a difference of paired yes or no answers

where `lost` samples were right before only and `won` are right now only (McNemar 1947; Agresti, "Categorical Data
Analysis", section 11.1). Samples that both have right or wrong add no uncertainty to the drop.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edgeort.validate.metrics.metric import Case, Figure, Loss

TOP = 5


@dataclass
class Paired:
    """Yes-or-no answers of the float model and now: how many each had right, and one of them only."""

    count: int = 0
    before: int = 0
    now: int = 0
    lost: int = 0
    won: int = 0

    def add(self, before: bool, now: bool) -> None:
        """Counts a sample."""
        self.count += 1
        self.before += before
        self.now += now
        self.lost += before and not now
        self.won += now and not before

    def drop(self) -> Figure:
        """`drop`, points, with its standard error."""
        n = max(self.count, 1)
        points = 100 * (self.lost - self.won) / n
        variance = self.lost + self.won - (self.lost - self.won) ** 2 / n
        note = f"{self.lost} lost, {self.won} won of {self.count}"
        return Figure("drop", points, "points", 100 * math.sqrt(variance) / n, note)


class Accuracy:
    """Of labelled samples; without labels it has no figures."""

    def __init__(self) -> None:
        self.first, self.top = Paired(), Paired()

    def add(self, case: Case) -> Loss:
        """A sample's loss is 1 where a right answer was lost."""
        if not isinstance(case.label, int):
            return Loss(0.0)
        reference, found = (array.reshape(-1) for array in case.pair)
        right = [int(array.argmax()) == case.label for array in (reference, found)]
        self.first.add(*right)
        self.top.add(*(_rank(array, case.label) < TOP for array in (reference, found)))
        return Loss(float(right[0] and not right[1]), f"label {case.label}" if right[0] != right[1] else "")

    def figures(self) -> list[Figure]:
        """`top1`, `top5` now and in float, and `drop`."""
        if not self.first.count:
            return []
        shares = [
            Figure(name, 100 * right / paired.count, "%")
            for name, right, paired in (
                ("top1", self.first.now, self.first),
                ("top1_float", self.first.before, self.first),
                ("top5", self.top.now, self.top),
                ("top5_float", self.top.before, self.top),
            )
        ]
        return [*shares, self.first.drop()]


def _rank(scores: np.ndarray, label: int) -> int:
    """How many classes have a larger score; past all where there is no such class."""
    return int((scores > scores[label]).sum()) if 0 <= label < scores.size else scores.size
