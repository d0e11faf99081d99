"""How often the answer is the float model's: the share of rows of the main output whose largest entry is the same.

A row is what the last axis holds: the classes of a classifier. Of an output of whole numbers every one is an answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgeort.validate.metrics.metric import Case, Figure, Loss, rows


@dataclass
class Agreement:
    """Equal answers of all."""

    same: int = 0
    answers: int = 0

    def add(self, case: Case) -> Loss:
        """A sample's loss is the share of its answers that differ."""
        reference, found = map(answers_of, case.pair)
        equal = int((reference == found).sum())
        self.same += equal
        self.answers += reference.size
        note = f"float {reference[0]}, now {found[0]}" if reference.size == 1 and not equal else ""
        return Loss(1 - equal / max(reference.size, 1), note)

    def figures(self) -> list[Figure]:
        """`agreement`, 0..1."""
        share = self.same / max(self.answers, 1)
        return [Figure("agreement", share, note=f"{self.same} of {self.answers} answers are the same")]


def answers_of(array: np.ndarray) -> np.ndarray:
    """The index of the largest entry of every row; the numbers themselves where they are whole."""
    if array.dtype.kind != "f":
        return array.reshape(-1)
    table = rows(array)
    return table.argmax(axis=1) if table.shape[1] else np.zeros(0, np.int64)
