"""Cosine similarity of embeddings: r . q / (|r| |q|), the mean and the least over rows of the main output.

(Salton and McGill 1983, "Introduction to Modern Information Retrieval".) A row is what the last axis holds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgeort.validate.metrics.metric import Case, Figure, Loss, rows


@dataclass
class Cosine:
    """Sum over rows, their number, the least."""

    total: float = 0.0
    count: int = 0
    least: float = 1.0

    def add(self, case: Case) -> Loss:
        """A sample's loss is 1 - the least of its rows."""
        own = cosines(*case.pair)
        self.total += float(own.sum())
        self.count += own.size
        least = float(own.min(initial=1.0))
        self.least = min(self.least, least)
        return Loss(1 - least, f"cosine {least:.4f}")

    def figures(self) -> list[Figure]:
        """`cosine` and `cosine_min`."""
        return [Figure("cosine", self.total / max(self.count, 1)), Figure("cosine_min", self.least)]


class EmbeddingAgreement(Cosine):
    """The mean cosine, as the figure that `--min-agreement` is about."""

    def figures(self) -> list[Figure]:
        """`agreement`, which is the mean cosine, and `cosine_min`."""
        mean = self.total / max(self.count, 1)
        return [Figure("agreement", mean, note="mean cosine"), Figure("cosine_min", self.least)]


def cosines(reference: np.ndarray, found: np.ndarray) -> np.ndarray:
    """One number a row, 1 where both are zero, 0 where one of them is."""
    r, q = rows(reference), rows(found)
    lengths = np.linalg.norm(r, axis=1) * np.linalg.norm(q, axis=1)
    same = (r == q).all(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(same, 1.0, np.where(lengths > 0, (r * q).sum(axis=1) / lengths, 0.0))
