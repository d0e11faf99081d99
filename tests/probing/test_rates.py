"""From times to rates: the least squares against its own conditions, and rates that are found again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeort.bench import predict
from edgeort.bench.predicting import FUNCTIONS
from edgeort.device_profiles import KernelRate, Measured
from edgeort.lowering.costs import Cost
from edgeort.probing.rates import Timed, fit, nonnegative
from edgeort.providers import Node

RATES = (
    KernelRate("Conv", 1, 2.0, 10.0, 5.0),
    KernelRate("MaxPool", 1, 0.5, None, 4.0),
    KernelRate(FUNCTIONS, 1, 0.0, 1.5),
)


def measured(*kernels: KernelRate, error: float | None = None) -> Measured:
    return Measured("2026-11-29", 4, 20.0, 70.0, 40.0, 150.0, 8.0, 12.0, error, kernels)


def timed(name: str, *kernels: tuple[str, Cost]) -> Timed:
    """A block whose time is what RATES say."""
    nodes = [
        Node(f"{i}", op, "cpu", "", "", "", c.macs, c.functions, c.moved_bytes) for i, (op, c) in enumerate(kernels)
    ]
    return Timed(name, kernels, predict(nodes, measured(*RATES), 1).latency_ms * 1e3)


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 12))
def test_least_squares_keep_the_conditions_of_the_minimum(seed: int, columns: int, rows: int):
    """Karush, Kuhn and Tucker: no gradient along what is free, and none that points to less elsewhere."""
    rng = np.random.default_rng(seed)
    matrix, wanted = rng.standard_normal((rows, columns)), rng.standard_normal(rows)
    x = nonnegative(matrix, wanted)
    gradient = matrix.T @ (matrix @ x - wanted)
    assert (x >= 0).all()
    assert np.abs(gradient[x > 0]).max(initial=0.0) < 1e-6
    assert gradient.min() > -1e-6


def test_columns_of_zeros_are_nothing():
    assert nonnegative(np.array([[1.0, 0.0], [2.0, 0.0]]), np.array([2.0, 4.0])) == pytest.approx([2.0, 0.0])


def test_rates_are_found_again():
    rng = np.random.default_rng(0)

    def conv() -> tuple[str, Cost]:
        macs, functions, moved = (int(n) for n in rng.integers(1, 1_000_000, 3))
        return "Conv", Cost(macs * 50, functions, moved)

    blocks = [timed(f"b{i}", conv(), conv()) for i in range(6)]
    blocks += [timed(f"p{i}", ("MaxPool", Cost(0, 0, int(rng.integers(1, 10**6)))), conv()) for i in range(6)]
    found = {rate.op: rate for rate in fit(blocks, 1)}
    assert set(found) == {rate.op for rate in RATES}
    for rate in RATES:
        own = found[rate.op]
        assert (own.us, own.threads) == (pytest.approx(rate.us, rel=0.01, abs=1e-6), 1)
        for mine, known in ((own.gmacs, rate.gmacs), (own.gbs, rate.gbs)):
            assert mine is None if known is None else mine == pytest.approx(known, rel=0.01)


def test_a_kernel_that_explains_nothing_has_no_rate():
    conv = "Conv", Cost(10**6, 0, 1000)
    blocks = [timed("a", conv), Timed("b", (conv, ("MaxPool", Cost(0, 0, 1000))), timed("b", conv).us)]
    assert [rate.op for rate in fit(blocks, 1)] == ["Conv"]


def test_noise_moves_rates_little():
    rng = np.random.default_rng(1)
    blocks = []
    for i in range(30):
        made = timed(f"b{i}", ("Conv", Cost(int(rng.integers(10**6, 10**8)), 0, int(rng.integers(10**3, 10**6)))))
        blocks.append(Timed(made.name, made.kernels, made.us * rng.uniform(0.97, 1.03)))
    (rate,) = fit(blocks, 1)
    assert rate.gmacs == pytest.approx(10.0, rel=0.05)
