"""Samples with any number of classes: the share of classes about which the decision is the float model's.

A sample has the classes whose score is at least the threshold: 0.5 of probabilities; of logits it would be 0.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgeort.validate.metrics.metric import Case, Figure, Loss


@dataclass
class Decisions:
    """Equal decisions of all."""

    same: int = 0
    count: int = 0

    def add(self, case: Case) -> Loss:
        """A sample's loss is the share of its decisions that differ."""
        before, now = (scores >= case.threshold for scores in case.pair)
        different = int((before != now).sum())
        self.same += before.size - different
        self.count += before.size
        return Loss(different / max(before.size, 1), f"{different} of {before.size} decided otherwise")

    def figures(self) -> list[Figure]:
        """`agreement`, 0..1."""
        note = f"{self.same} of {self.count} decisions are the same"
        return [Figure("agreement", self.same / max(self.count, 1), note=note)]
