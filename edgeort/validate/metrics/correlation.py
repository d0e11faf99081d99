"""Embeddings of pairs of samples: do their cosines rise with the scores that people gave the pairs?

pearson = covariance of cosines and scores / (their standard deviations)
spearman = pearson of their ranks, equal numbers having the mean of their ranks
drop = 100 x (spearman of the float model - now), in points

(Spearman 1904; for semantic textual similarity Agirre et al. 2012, "SemEval-2012 Task 6", and by ranks Reimers et al.
2016.) Not a number where all cosines or all scores are equal.
"""

from __future__ import annotations

import numpy as np

from edgeort.errors import InputError
from edgeort.validate.metrics.metric import Case, Figure, Loss


class Correlation:
    """Of pairs whose both samples were seen; an embedding is kept until its partner comes."""

    def __init__(self) -> None:
        self.waiting: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}
        self.scores: list[float] = []
        self.cosines: tuple[list[float], list[float]] = ([], [])

    def add(self, case: Case) -> Loss:
        """InputError where the output is not one vector."""
        pairs = case.label if isinstance(case.label, tuple) else ()
        if not pairs:
            return Loss(0.0)
        if any(size != 1 for size in case.pair[0].shape[:-1]):
            raise InputError(
                f"output {case.main!r} is {list(case.pair[0].shape)}, and pairs are compared by one vector a sample",
                hint="--output NAME, of the output that is pooled over the words",
            )
        before, now = (_unit(array) for array in case.pair)
        for pair in pairs:
            partner = self.waiting.pop((pair.index, 1 - pair.side), None)
            if partner is None:
                self.waiting[pair.index, pair.side] = before, now
                continue
            self.scores.append(pair.score)
            for cosines, own, other in zip(self.cosines, (before, now), partner, strict=True):
                cosines.append(float(own @ other))
        return Loss(0.0)

    def figures(self) -> list[Figure]:
        """`spearman` and `pearson` now and in float, and `drop`."""
        if not self.scores:
            return []
        found, spearman = [], []
        note = f"{len(self.scores)} pairs" + (f", {len(self.waiting)} without a partner" if self.waiting else "")
        for name, cosines in (("", self.cosines[1]), ("_float", self.cosines[0])):
            spearman.append(pearson(ranks(np.array(cosines)), ranks(np.array(self.scores))))
            found += [
                Figure(f"spearman{name}", spearman[-1], note=note),
                Figure(f"pearson{name}", pearson(np.array(cosines), np.array(self.scores))),
            ]
        return [*found, Figure("drop", 100 * (spearman[1] - spearman[0]), "points", note="of Spearman's correlation")]


def _unit(array: np.ndarray) -> np.ndarray:
    """The vector with length 1; zero stays zero."""
    flat = array.astype(np.float64).reshape(-1)
    return np.asarray(flat / max(float(np.linalg.norm(flat)), 1e-300))


def ranks(numbers: np.ndarray) -> np.ndarray:
    """Ranks from 1; equal numbers share the mean of theirs."""
    _, inverse, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse])


def pearson(x: np.ndarray, y: np.ndarray) -> float:
    """-1..1; NaN where either is constant."""
    a, b = x - x.mean(), y - y.mean()
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    is_constant = (x == x[0]).all() or (y == y[0]).all()
    return float("nan") if is_constant or not scale else float(np.clip(a @ b / scale, -1, 1))
