"""F1 of classes: of samples with one class each, and of those with any number of them.

f1 of a class = 2 true positives / (2 true positives + false positives + false negatives), 0 where there are none
f1_micro = that of all classes' counts together; f1_macro = the mean over classes
drop = 100 x (micro F1 of the float model - now), in points, where a sample may have several classes

(Van Rijsbergen 1979, "Information Retrieval", chapter 7; micro and macro: Sokolova and Lapalme 2009.) With one class a
sample, classes that neither labels nor answers hold are left out of the mean, and the micro F1 is the accuracy.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from edgeort.errors import InputError
from edgeort.validate.metrics.metric import Case, Figure, Loss


@dataclass
class Counts:
    """True positives, false positives and false negatives of each class, int64 [3, classes]."""

    table: np.ndarray = field(default_factory=lambda: np.zeros((3, 0), np.int64))

    def add(self, truth: np.ndarray, answer: np.ndarray) -> None:
        """Counts a sample: whether it has each class, bool [classes]."""
        if self.table.shape[1] != truth.size:
            self.table = np.zeros((3, truth.size), np.int64)
        self.table += np.stack([truth & answer, ~truth & answer, truth & ~answer])

    def micro(self) -> float:
        """0 where there is nothing."""
        return float(_f1(self.table.sum(axis=1)))

    def macro(self, *, of_all: bool) -> float:
        """Over all classes, or over those that occur."""
        each = _f1(self.table)
        kept = each if of_all else each[self.table.sum(axis=0) > 0]
        return float(kept.mean()) if kept.size else 0.0


def _f1(table: np.ndarray) -> np.ndarray:
    hits, wrong, missed = table
    total = 2 * hits + wrong + missed
    return np.where(total > 0, 2 * hits / np.maximum(total, 1), 0.0)


class F1:
    """Of labelled samples with one class each; without labels it has no figures."""

    def __init__(self) -> None:
        self.before, self.now = Counts(), Counts()
        self.labelled = 0

    def add(self, case: Case) -> Loss:
        """Counts a sample."""
        if isinstance(case.label, int):
            self.labelled += 1
            for counts, scores in zip((self.before, self.now), case.pair, strict=True):
                flat = scores.reshape(-1)
                classes = np.arange(flat.size)
                counts.add(classes == case.label, classes == flat.argmax())
        return Loss(0.0)

    def figures(self) -> list[Figure]:
        """`f1_macro` now and in float."""
        if not self.labelled:
            return []
        both = self.now.macro(of_all=False), self.before.macro(of_all=False)
        return [Figure("f1_macro", both[0]), Figure("f1_macro_float", both[1])]


class MultiLabelF1(F1):
    """Of labelled samples with any number of classes."""

    def add(self, case: Case) -> Loss:
        """Counts a sample. InputError for a label beyond the classes."""
        if isinstance(case.label, frozenset):
            self.labelled += 1
            truth = np.zeros(case.pair[0].size, bool)
            if wrong := [label for label in case.label if not 0 <= label < truth.size]:
                raise InputError(
                    f"{case.name} is labelled {wrong[0]}, and output {case.main!r} has {truth.size} classes: 0 to "
                    f"{truth.size - 1}",
                    hint="the first class is 0",
                )
            truth[list(case.label)] = True
            for counts, scores in zip((self.before, self.now), case.pair, strict=True):
                counts.add(truth, scores.reshape(-1) >= case.threshold)
        return Loss(0.0)

    def figures(self) -> list[Figure]:
        """`f1_micro`, `f1_macro` now and in float, and `drop`."""
        if not self.labelled:
            return []
        micro = self.now.micro(), self.before.micro()
        macro = self.now.macro(of_all=True), self.before.macro(of_all=True)
        return [
            Figure("f1_micro", micro[0]),
            Figure("f1_micro_float", micro[1]),
            Figure("f1_macro", macro[0]),
            Figure("f1_macro_float", macro[1]),
            Figure("drop", 100 * (micro[1] - micro[0]), "points", note="of the micro F1"),
        ]
