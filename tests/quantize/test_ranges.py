"""Range methods on distributions whose best range is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgeort.quantize import parameters
from edgeort.quantize.histogram import Histogram
from edgeort.quantize.ranges import METHODS, Function, Range, squared_error


def histogram(data: np.ndarray) -> Histogram:
    found = Histogram()
    found.add(data.astype(np.float32))
    return found


def error(data: np.ndarray, ends: Range) -> float:
    """Mean squared error of the numbers themselves, not of the histogram."""
    quantity = parameters.activation(*ends)
    return float(np.mean((quantity.dequantize(quantity.quantize(data)) - data) ** 2))


@pytest.fixture(scope="module")
def with_outlier() -> np.ndarray:
    """A million normal numbers and one 20."""
    return np.append(np.random.default_rng(0).standard_normal(10**6), 20.0).astype(np.float32)


@settings(deadline=None, max_examples=30)
@given(
    hnp.arrays(np.float32, st.integers(1, 50), elements=st.floats(-1e6, 1e6, width=32)), st.sampled_from(list(METHODS))
)
def test_ranges_hold_zero_and_stay_within_the_extremes(data: np.ndarray, method: str):
    low, high = METHODS[method](histogram(data))
    assert min(float(data.min()), 0.0) <= low <= 0.0 <= high <= max(float(data.max()), 0.0)


def test_minmax_is_the_extremes():
    assert METHODS["minmax"](histogram(np.array([-3.0, 5.0]))) == (-3.0, 5.0)
    assert METHODS["minmax"](histogram(np.array([2.0, 5.0]))) == (0.0, 5.0)


@pytest.mark.parametrize("function", [np.reciprocal, np.sqrt])
@pytest.mark.parametrize("method", ["mse", "quartic"])
def test_functions_that_have_no_number_everywhere(method: str, function: Function):
    """1 / 0, and the root of what is below zero, which is on the grid where samples are."""

    def behind(x: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(function(x.astype(np.float32)))

    counted = histogram(np.linspace(-1, 4, 1001))
    low, high = METHODS[method](counted, behind)
    assert -1 <= low <= 0 <= high <= 4
    assert math.isfinite(squared_error(counted, (low, high), behind))


@pytest.mark.parametrize("method", ["mse", "percentile", "entropy"])
def test_an_outlier_does_not_decide(method: str, with_outlier: np.ndarray):
    low, high = METHODS[method](histogram(with_outlier))
    assert -6 < low < -2.5
    assert 2.5 < high < 15


def test_mse_is_better_than_the_extremes_and_than_other_ranges(with_outlier: np.ndarray):
    counted = histogram(with_outlier)
    low, high = METHODS["mse"](counted)
    best = error(with_outlier, (low, high))
    assert best < error(with_outlier, METHODS["minmax"](counted)) / 1.5
    for factor in (0.7, 1.3):
        assert best <= error(with_outlier, (low * factor, high))
        assert best <= error(with_outlier, (low, high * factor))


def test_a_uniform_tensor_keeps_its_range():
    data = np.linspace(0, 6, 100001)
    for method in METHODS:
        low, high = METHODS[method](histogram(data))
        assert low == 0.0
        assert high > 5.8, method


def test_entropy_is_not_minmax_in_disguise(with_outlier: np.ndarray):
    counted = histogram(with_outlier)
    assert METHODS["entropy"](counted) != METHODS["minmax"](counted)


def test_what_a_function_makes_of_the_numbers_counts():
    data = (np.random.default_rng(0).standard_normal(10**5) * 4).astype(np.float32)
    silu = lambda x: x / (1 + np.exp(-x))  # noqa: E731

    def error_behind(ends: Range) -> float:
        quantity = parameters.activation(*ends)
        return float(np.mean((silu(quantity.dequantize(quantity.quantize(data))) - silu(data)) ** 2))

    counted = histogram(data)
    plain, aware = METHODS["mse"](counted), METHODS["mse"](counted, silu)
    assert aware[0] > 0.7 * plain[0], "what is far below zero is next to zero behind it"
    assert error_behind(aware) < 0.8 * error_behind(plain)


def test_fourth_powers_keep_what_is_rare(with_outlier: np.ndarray):
    counted = histogram(with_outlier)
    assert METHODS["mse"](counted)[1] < 12 < 18 < METHODS["quartic"](counted)[1]
