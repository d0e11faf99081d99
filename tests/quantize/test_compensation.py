"""Weights move when inputs differ in a way that another half of the samples shares, and stay when it is noise."""

from __future__ import annotations

import numpy as np
import pytest

from edgeort.quantize import compensation
from edgeort.quantize.covariance import Moments

SIZE, OUTPUTS = 12, 5


def problem(
    positions: int, change: np.ndarray, noise: float, seed: int = 0
) -> tuple[np.ndarray, list[Moments], list[Moments], tuple[np.ndarray, np.ndarray]]:
    """Weights, moments of both halves, and fresh data: float inputs f and quantised ones q = f change + noise."""
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(3):
        f = rng.standard_normal((1, positions, SIZE)).astype(np.float32)
        parts.append((f, (f @ change + noise * rng.standard_normal(f.shape)).astype(np.float32)))
    rows = rng.standard_normal((1, OUTPUTS, SIZE))
    return rows, [Moments.of(q, q) for _, q in parts[:2]], [Moments.of(f, q) for f, q in parts[:2]], parts[2]


def error(rows: np.ndarray, moved: np.ndarray, fresh: tuple[np.ndarray, np.ndarray]) -> float:
    f, q = fresh
    return float(np.var(f @ rows.transpose(0, 2, 1) - q @ moved.transpose(0, 2, 1)))


def test_a_change_that_is_always_there_is_undone():
    change = np.eye(SIZE) + 0.1 * np.random.default_rng(1).standard_normal((SIZE, SIZE))
    rows, own, cross, fresh = problem(2000, change, 0.0)
    moved = compensation.moved(rows, own, cross)
    assert error(rows, moved, fresh) < 0.02 * error(rows, rows, fresh)


def test_noise_of_few_samples_is_not_learnt():
    rows, own, cross, fresh = problem(SIZE + 2, np.eye(SIZE), 0.1)
    moved = compensation.moved(rows, own, cross)
    assert error(rows, moved, fresh) < 1.1 * error(rows, rows, fresh)


def test_nothing_moves_without_a_difference():
    rows, own, _, _ = problem(200, np.eye(SIZE), 0.0)
    assert (compensation.moved(rows, own, own) == rows).all()


def test_moments_are_left_as_they_are():
    rows, own, cross, _ = problem(100, np.eye(SIZE), 0.3)
    before = [np.array(moment.second) for moment in (*own, *cross)]
    compensation.moved(rows, own, cross)
    assert all((a == moment.second).all() for a, moment in zip(before, (*own, *cross), strict=True))


def scaled(moments: Moments, by: float) -> Moments:
    """Those of vectors so many times as large."""
    return Moments(moments.count, moments.first * by, moments.other * by, moments.second.astype(np.float64) * by**2)  # type: ignore[union-attr]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("exponent", [-80, -30, 30, 80])
def test_the_size_of_activations_does_not_matter(exponent: int):
    change = np.eye(SIZE) + 0.1 * np.random.default_rng(1).standard_normal((SIZE, SIZE))
    rows, own, cross, _ = problem(500, change, 0.1)
    found = compensation.moved(rows, *([scaled(one, 2.0**exponent) for one in ones] for ones in (own, cross)))
    assert (found == compensation.moved(rows, own, cross)).all() and not (found == rows).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [0.0, 1e-25, 1e-12])
def test_what_half_of_the_samples_hardly_has_moves_nothing_far(size: float):
    rows, own, cross, _ = problem(500, np.eye(SIZE), 0.1)
    weak = [scaled(own[0], size), own[1]], cross
    found = compensation.moved(rows, *weak)
    assert np.abs(found - rows).max() < 1
    assert (compensation.moved(rows, *([scaled(one, 0.0) for one in ones] for ones in (own, cross))) == rows).all()
