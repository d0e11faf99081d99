"""Weights move when inputs differ in a way that another half of the samples shares, and stay when it is noise."""

from __future__ import annotations

import numpy as np

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
