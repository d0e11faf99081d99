"""What is measured of outputs that are probabilities: their logarithms, of which every row says something."""

from __future__ import annotations

import numpy as np
import pytest

from edgeort.quantize.measuring import Difference


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def differences(rows: int, seed: int, noise: float) -> tuple[Difference, Difference]:
    """Of logits, and of the probabilities that a softmax makes of them."""
    rng = np.random.default_rng(seed)
    logits = 3 * rng.standard_normal((rows, 12)).astype(np.float32)
    other = logits + noise * rng.standard_normal(logits.shape).astype(np.float32)
    found = Difference("logits"), Difference("probabilities")
    found[0].add(logits - logits.mean(axis=1, keepdims=True), other - other.mean(axis=1, keepdims=True))
    found[1].add(softmax(logits), softmax(other))
    return found


def test_probabilities_are_compared_as_their_logits():
    logits, likely = differences(50, 0, 0.1)
    assert likely.relative_noise == pytest.approx(logits.relative_noise, rel=1e-3)
    assert likely.kl == pytest.approx(logits.kl, rel=1e-3)
    assert likely.sqnr_db != pytest.approx(logits.sqnr_db, abs=0.5), "what is printed is of the output itself"


def test_rows_that_are_no_probabilities_are_taken_as_they_are():
    found = Difference("y")
    r = np.array([[0.5, 0.5], [0.9, 0.3]], np.float32)
    found.add(r, r + np.float32(0.1))
    assert found.relative_noise == pytest.approx(0.04 / float((r**2).sum()), rel=1e-4)


def test_a_probability_of_zero_has_a_logarithm():
    found = Difference("y")
    found.add(np.array([[1.0, 0.0]], np.float32), np.array([[0.0, 1.0]], np.float32))
    assert np.isfinite(found.relative_noise) and np.isfinite(found.kl)
