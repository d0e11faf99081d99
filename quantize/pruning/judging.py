"""Judges a pruned model on samples that it was not fitted to, against the float model and against labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from edgeort.quantize.measuring import Difference, run_both
from edgeort.quantize.samples import Sample
from edgeort.quantize.store import Store


@dataclass(frozen=True)
class Score:
    """Differences to the float model, and how many of the labelled samples each model has right."""

    differences: tuple[Difference, ...]
    labelled: int = 0
    right_before: int = 0
    right: int = 0

    @property
    def noise(self) -> float:
        """That of the worst output, as a share of its signal."""
        return max((d.noise / d.signal if d.signal else 0.0 for d in self.differences), default=0.0)

    @property
    def drop(self) -> float:
        """Points of accuracy lost. Without labels every answer that changed counts as lost: it cannot be more."""
        if self.labelled:
            return 100 * (self.right_before - self.right) / self.labelled
        return 100 * (1 - min((d.agreement for d in self.differences), default=1.0))

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        found = {"labelled": self.labelled, "right_before": self.right_before, "right": self.right, "drop": self.drop}
        return {**found, "differences": [difference.to_dict() for difference in self.differences]}


@dataclass(frozen=True)
class Budget:
    """The least SQNR in dB and agreement (0..1), the most points of accuracy lost; None: any."""

    sqnr_db: float | None = None
    agreement: float | None = None
    drop: float | None = None

    @property
    def is_set(self) -> bool:
        """Whether there is anything to keep."""
        return (self.sqnr_db, self.agreement, self.drop) != (None, None, None)

    def kept(self, score: Score) -> bool:
        """Whether the score keeps it."""
        return (
            all(d.sqnr_db >= (self.sqnr_db or float("-inf")) for d in score.differences)
            and all(d.agreement >= (self.agreement or 0.0) for d in score.differences)
            and (self.drop is None or score.drop <= self.drop)
        )

    def text(self) -> str:
        """`SQNR >= 25 dB, drop <= 1 point(s)`."""
        parts = (
            (self.sqnr_db, "SQNR >= {:g} dB"),
            (self.agreement, "agreement >= {:.4g}"),
            (self.drop, "drop <= {:g} point(s)"),
        )
        return ", ".join(words.format(limit) for limit, words in parts if limit is not None)


@dataclass(frozen=True)
class Judge:
    """The float model, the inputs of samples in `store`, and each one's class, None where it has no label."""

    reference: bytes
    inputs: Sequence[str]
    store: Store
    labels: Sequence[int | None] = ()

    def score(self, model: bytes, limit: int | None = None) -> Score:
        """Runs both models on the samples, at most `limit`; a label is the largest entry of the first output."""
        found: dict[str, Difference] = {}
        answers = []
        for reference, ours in run_both(self.reference, model, islice(self._samples(), limit)):
            for name, array in reference.items():
                found.setdefault(name, Difference(name)).add(array, ours[name])
            answers.append([_answer(outputs) for outputs in (reference, ours)])
        pairs = [(*both, label) for both, label in zip(answers, self.labels, strict=False) if label is not None]
        right_before, right = (sum(pair[which] == pair[2] for pair in pairs) for which in (0, 1))
        return Score(tuple(found.values()), len(pairs), right_before, right)

    def _samples(self) -> Iterator[Sample]:
        for index in range(self.store.samples):
            yield {name: self.store.get(name, index) for name in self.inputs}


def _answer(outputs: Mapping[str, np.ndarray]) -> int:
    return int(next(iter(outputs.values())).argmax())
