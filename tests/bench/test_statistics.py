"""What is said of latencies, and of a sustained run."""

from __future__ import annotations

import numpy as np
import pytest

from edgeort.bench import summary, throttles_from
from edgeort.bench.statistics import median_interval


def test_the_summary_by_hand():
    found = summary([4.0, 1.0, 3.0, 2.0])
    assert (found["min"], found["p50"], found["p90"], found["p99"], found["mean"]) == (1, 2, 4, 4, 2.5)
    assert found["std"] == pytest.approx((5 / 3) ** 0.5)
    assert found["low"] == 1 and found["high"] == 4


def test_percentiles_are_of_nearest_rank():
    found = summary(np.arange(100, 0, -1))
    assert (found["p50"], found["p90"], found["p99"]) == (50, 90, 99)


def test_one_latency_and_none():
    found = summary([2.5])
    assert (found["p50"], found["std"], found["low"], found["high"]) == (2.5, 0, 2.5, 2.5)
    with pytest.raises(ValueError, match="no latencies"):
        summary([])


@pytest.mark.parametrize("n", [5, 20, 101])
def test_the_interval_is_that_of_resampling(n: int):
    """The same quantiles as of medians of values drawn one by one, up to a step of the values or two."""
    rng = np.random.default_rng(n)
    values = np.sort(rng.lognormal(size=n))
    medians = np.percentile(rng.choice(values, (20_000, n)), 50, axis=1, method="inverted_cdf")
    want = np.searchsorted(values, np.quantile(medians, (0.025, 0.975)))
    assert np.abs(np.searchsorted(values, median_interval(values)) - want).max() <= 1


def test_the_interval_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    intervals = [median_interval(rng.exponential(size=40)) for _ in range(1000)]
    held = sum(low <= np.log(2) <= high for low, high in intervals)
    assert 0.93 <= held / 1000 <= 0.97


def test_the_same_latencies_give_the_same_interval():
    values = np.random.default_rng(1).normal(10, 1, 50)
    assert median_interval(values) == median_interval(values[::-1])


def part(p25: float, p50: float, p75: float) -> dict[str, float]:
    return {"p25_ms": p25, "p50_ms": p50, "p75_ms": p75}


def test_throttling_starts_where_most_runs_are_slower():
    cool, blip, hot = part(9.8, 10, 10.2), part(10, 10.6, 14), part(10.6, 10.8, 11)
    assert throttles_from([cool, cool, hot, hot]) == 2
    assert throttles_from([cool, blip, cool]) is None  # its lower quartile is as before
    assert throttles_from([cool, part(10.25, 10.4, 10.5)]) is None  # 4 %
    assert throttles_from([hot, cool]) is None and throttles_from([]) is None
