"""Kullback-Leibler divergence of the classes' probabilities, in nats.

KL = mean of sum softmax(r) log(softmax(r) / softmax(q))

(Kullback and Leibler 1951, "On information and sufficiency".) The mean is over rows of the main output. Rows that are
probabilities already, none negative and the sum 1, are taken as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgeort.validate.metrics.metric import Case, Figure, Loss, rows

_SMALLEST = 1e-30  # a probability of 0 has no logarithm


@dataclass
class Divergence:
    """Sum over rows, and their number."""

    total: float = 0.0
    count: int = 0

    def add(self, case: Case) -> Loss:
        """A sample's loss is its own divergence."""
        reference, found = case.pair
        r, q = rows(reference), rows(found)
        log_r, log_q = (_log_probabilities(table, _are_probabilities(r)) for table in (r, q))
        own = float((np.exp(log_r) * (log_r - log_q)).sum()) if r.size else 0.0
        self.total += own
        self.count += len(r)
        return Loss(own / max(len(r), 1), f"KL {own / max(len(r), 1):.2g}")

    def figures(self) -> list[Figure]:
        """`kl`."""
        return [Figure("kl", self.total / max(self.count, 1), "nats")]


def _are_probabilities(table: np.ndarray) -> bool:
    return bool(table.size and (table >= 0).all() and np.allclose(table.sum(axis=1), 1, atol=1e-3))


def _log_probabilities(table: np.ndarray, are_probabilities: bool) -> np.ndarray:
    if are_probabilities:
        return np.asarray(np.log(np.maximum(table, _SMALLEST)))
    shifted = table - table.max(axis=1, keepdims=True, initial=-np.inf)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))
