"""Weights that go, and those that make up for them: against brute force and least squares."""

from __future__ import annotations

import numpy as np
import pytest

from edgeort.quantize import thinning

RNG = np.random.default_rng(3)


def covariance(size: int) -> np.ndarray:
    half = RNG.standard_normal((size, 2 * size)) * RNG.uniform(0.2, 3, (size, 1))
    return half @ half.T / size


def error(rows: np.ndarray, other: np.ndarray, matrix: np.ndarray) -> float:
    return float(np.einsum("oi,ij,oj->", rows - other, matrix, rows - other))


def test_saliency_is_the_error_that_remains():
    matrix, rows = covariance(9), RNG.standard_normal((4, 9))
    worth = thinning.saliency(rows, matrix)
    for i, j in ((0, 0), (3, 8), (2, 4)):
        stays = np.ones(rows.shape, bool)
        stays[i, j] = False
        others = stays[i]
        best = rows[i].copy()
        best[j] = 0
        damped = thinning.damped(matrix)
        best[others] = np.linalg.solve(damped[np.ix_(others, others)], (rows[i] @ damped)[others])
        assert worth[i, j] == pytest.approx(error(rows[i : i + 1], best[None], damped))


@pytest.mark.parametrize("zeros", [0.0, 0.3, 0.8, 1.0])
def test_the_others_are_those_of_least_squares(zeros: float):
    matrix, rows = covariance(24), RNG.standard_normal((6, 24))
    keep = RNG.random(rows.shape) >= zeros
    found = thinning.without(rows, matrix, keep)
    assert not found[~keep].any()
    damped = thinning.damped(matrix)
    for row, stays, got in zip(rows, keep, found, strict=True):
        expected = np.linalg.solve(damped[np.ix_(stays, stays)], (row @ damped)[stays])
        np.testing.assert_allclose(got[stays], expected, rtol=1e-3, atol=1e-3)
    assert error(rows, found, damped) <= error(rows, np.where(keep, rows, 0), damped)


def test_a_diagonal_alone_makes_up_for_nothing():
    rows, keep = RNG.standard_normal((3, 5)), RNG.random((3, 5)) < 0.5
    np.testing.assert_array_equal(thinning.without(rows, np.ones(5), keep), np.where(keep, rows, 0))
    np.testing.assert_allclose(thinning.saliency(rows, np.arange(5.0)), rows**2 * np.arange(5.0))


def test_zeros_are_kept_group_by_group():
    rows, moved = RNG.standard_normal((2, 3, 8)), RNG.standard_normal((2, 3, 8))
    matrix = np.stack([covariance(8), covariance(8)])
    assert thinning.keep_zeros(moved, rows, matrix) is moved
    rows[1, 2, :4] = 0
    found = thinning.keep_zeros(moved, rows, matrix)
    assert not found[1, 2, :4].any() and np.count_nonzero(found) == found.size - 4
    np.testing.assert_allclose(found[0], moved[0])
