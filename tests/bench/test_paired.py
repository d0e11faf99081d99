"""When two bundles are said to differ: by hand, and on simulated rounds as a busy machine makes them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from edgeort.bench import paired
from edgeort.bench.paired import Difference, compare, difference

Round = Callable[[], float]


@pytest.mark.parametrize(
    ("n", "tail", "rejected"),
    # Tables of the signed-rank test: the largest statistic of that tail, plus 1 as it begins at 0.
    [(6, 0.025, 1), (8, 0.025, 4), (10, 0.025, 9), (15, 0.025, 26), (20, 0.025, 53), (10, 0.005, 4), (4, 0.025, 0)],
)
def test_critical_values_are_those_of_tables(n: int, tail: float, rejected: int):
    assert paired._rejected(n, tail) == rejected


def test_the_estimate_by_hand():
    # Means of two each: 1, 2, 3, 1.5, 2, 2.5
    found = difference([1.0, 2.0, 3.0], 0.05)
    assert found.estimate == pytest.approx(math.expm1(2.0))
    assert (found.low, found.high, found.rounds) == (-1.0, math.inf, 3)  # of three rounds nothing follows
    assert not found.is_significant and not found.is_decided


def test_the_interval_by_hand():
    found = difference(np.log1p([0.01, 0.02, 0.03, 0.04, 0.05, 0.06]), 0.05)
    assert (found.low, found.high) == (pytest.approx(0.01), pytest.approx(0.06))


def test_an_outlier_weighs_no_more_than_its_rank():
    rounds = [-0.051, -0.049, -0.050, -0.052, -0.048, -0.050, -0.051, -0.049, -0.050, 3.0]
    found = difference(rounds, 0.0125)
    assert found.estimate == pytest.approx(-0.0487, abs=1e-3)


def test_small_differences_are_none_and_narrow_intervals_end_it():
    assert not Difference(0.009, 0.008, 0.010, 10).is_significant  # below what is told
    assert Difference(0.009, 0.008, 0.010, 10).is_decided
    assert Difference(-0.05, -0.06, -0.04, 10).is_significant
    assert not Difference(0.05, -0.01, 0.12, 10).is_decided


def test_it_stops_at_the_first_look_that_decides():
    assert compare(iter([-0.05, -0.051] * 30).__next__).rounds == 10
    assert compare(iter([0.001, -0.001] * 30).__next__).rounds == 10
    rng = np.random.default_rng(0)
    assert compare(lambda: float(rng.normal(0, 0.3))).rounds == 60


def quiet(rng: np.random.Generator) -> Round:
    """Medians of processes that differ by half a percent."""
    return lambda: float(rng.normal(0, 0.005) - rng.normal(0, 0.005))


def busy(rng: np.random.Generator) -> Round:
    """As on two cores with a load of ten: one percent, and each tenth process is up to a third slower."""

    def median() -> float:
        return rng.normal(0, 0.01) + (rng.exponential(0.1) if rng.random() < 0.1 else 0)

    return lambda: float(median() - median())


def drifting(rng: np.random.Generator) -> Round:
    """A machine that heats up and cools: the second of a round is another machine than the first."""
    heat = [0.0]

    def median() -> float:
        heat[0] = 0.98 * heat[0] + rng.normal(0, 0.01)
        return heat[0] + rng.normal(0, 0.005)

    def one_round() -> float:
        first, second = median(), median()
        return float(first - second if rng.random() < 0.5 else second - first)

    return one_round


def bimodal(rng: np.random.Generator) -> Round:
    """Memory that is laid out well or badly by chance, which makes 3 %."""
    return lambda: float(rng.choice([0, 0.03]) + rng.normal(0, 0.004) - rng.choice([0, 0.03]) - rng.normal(0, 0.004))


NOISES = (quiet, busy, drifting, bimodal)
TRIALS = 300


def share(noise: Callable[[np.random.Generator], Round], slower: float) -> float:
    """How often one is said to be faster or slower, that is slower by so much."""
    told = 0
    for seed in range(TRIALS):
        one_round = noise(np.random.default_rng(seed))
        found = compare(lambda: math.log1p(slower) + one_round())  # noqa: B023
        told += found.is_significant
        assert not found.is_significant or not slower or found.estimate > 0
    return told / TRIALS


@pytest.mark.parametrize("noise", NOISES)
def test_nothing_is_told_apart_from_itself(noise: Callable[[np.random.Generator], Round]):
    assert share(noise, 0.0) <= 0.05


@pytest.mark.parametrize("noise", NOISES)
def test_five_percent_are_found(noise: Callable[[np.random.Generator], Round]):
    assert share(noise, 0.05) >= 0.98


def test_intervals_hold_the_truth_wherever_it_stops():
    """With the looks that there are, and a difference at which it often goes on."""
    held = 0
    for seed in range(TRIALS):
        one_round = busy(np.random.default_rng(seed))
        found = compare(lambda: math.log1p(0.02) + one_round())  # noqa: B023
        held += found.low <= 0.02 <= found.high
    assert held / TRIALS >= 0.95
