"""Rounding with a covariance: never worse than rounding alone by its own measure, much better on correlated data."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeort.quantize import gptq


def problem(seed: int, groups: int, outputs: int, size: int, correlated: float) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((groups, 400, size)) + correlated * rng.standard_normal((groups, 400, 1))
    x -= x.mean(axis=1, keepdims=True)
    weight = rng.standard_normal((groups, outputs, size))
    scales = np.abs(weight).max(axis=2) / 7  # as of four bits, so that rounding matters
    return weight, scales, np.matmul(x.transpose(0, 2, 1), x) / 400


def loss(weight: np.ndarray, q: np.ndarray, scales: np.ndarray, covariance: np.ndarray) -> float:
    error = q * scales[..., np.newaxis] - weight
    return float(np.einsum("goi,gij,goj->", error, covariance, error))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(16, 150))
def test_correlated_inputs_round_better(seed: int, groups: int, size: int):
    weight, scales, covariance = problem(seed, groups, 32, size, 3.0)
    plain = np.rint(weight / scales[..., np.newaxis])
    ours = gptq.round_weights(weight, scales, covariance)
    assert np.abs(ours.astype(int)).max() <= 127
    assert loss(weight, ours, scales, covariance) < 0.7 * loss(weight, plain, scales, covariance)


def test_independent_inputs_are_rounded_to_the_nearest():
    weight, scales, _ = problem(0, 2, 3, 9, 0.0)
    diagonal = np.broadcast_to(np.diag(np.linspace(1, 2, 9)), (2, 9, 9))
    assert (gptq.round_weights(weight, scales, diagonal) == np.rint(weight / scales[..., np.newaxis])).all()


def test_blocks_do_not_change_the_result(monkeypatch):
    weight, scales, covariance = problem(3, 1, 5, 40, 1.0)
    whole = gptq.round_weights(weight, scales, covariance)
    monkeypatch.setattr(gptq, "BLOCK", 7)
    assert (gptq.round_weights(weight, scales, covariance) == whole).all()


def test_it_is_the_nearest_plane_of_each_weight():
    """Changing any one weight by a step, with those rounded after it free to follow, is no better."""
    weight, scales, covariance = problem(7, 1, 1, 2, 1.0)
    ours = gptq.round_weights(weight, scales, covariance.copy()).astype(float)
    first = int(np.argmax(np.diagonal(covariance[0])))
    for step in (-1, 1):
        other = ours.copy()
        other[0, 0, 1 - first] += step
        assert loss(weight, ours, scales, covariance) <= loss(weight, other, scales, covariance)


def test_inputs_that_never_move_do_no_harm():
    weight, scales, covariance = problem(5, 1, 4, 12, 1.0)
    nearest = np.rint(weight / scales[..., np.newaxis])
    covariance[:, 3] = covariance[:, :, 3] = 0
    assert (gptq.round_weights(weight, scales, covariance)[:, :, 3] == nearest[:, :, 3]).all()
    assert (gptq.round_weights(weight, scales, np.zeros_like(covariance)) == nearest).all()


def test_a_covariance_that_is_not_positive_is_damped():
    covariance = np.array([[[1.0, 2.0], [2.0, 1.0]]])  # eigenvalues 3 and -1
    factor = gptq.cholesky(covariance.copy())
    found = factor[0] @ factor[0].T - covariance[0]
    np.testing.assert_allclose(found, np.eye(2) * found[0, 0], atol=1e-9)
    assert 1.0 < found[0, 0] < 20
