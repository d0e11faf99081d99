"""Histograms: counts are conserved, the result does not depend on order or cuts, bins hold what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgeort.quantize.histogram import BINS, Histogram, rebinned

MAGNITUDES = st.floats(2.0**-50, 2.0**50, width=32)
FLOATS = hnp.arrays(np.float32, st.integers(1, 40), elements=st.just(0.0) | MAGNITUDES | MAGNITUDES.map(lambda x: -x))


def filled(*parts: np.ndarray) -> Histogram:
    histogram = Histogram()
    for part in parts:
        histogram.add(part)
    return histogram


def same(a: Histogram, b: Histogram) -> bool:
    return (a.exponent, a.low, a.high) == (b.exponent, b.low, b.high) and (a.counts == b.counts).all()


@given(FLOATS, FLOATS)
def test_no_count_is_lost_and_order_does_not_matter(a: np.ndarray, b: np.ndarray):
    whole = filled(np.concatenate([a, b]))
    assert whole.total == a.size + b.size
    assert (whole.low, whole.high) == (min(a.min(), b.min()), max(a.max(), b.max()))
    assert same(whole, filled(a, b))
    assert same(whole, filled(b, a))


@given(FLOATS, FLOATS)
def test_the_merge_of_parts_is_the_whole(a: np.ndarray, b: np.ndarray):
    merged = filled(a)
    merged.merge(filled(b))
    assert same(merged, filled(a, b))


@given(st.floats(-(2.0**60), 2.0**60, width=32), st.floats(0, 2.0**60, width=32))
def test_a_number_is_in_its_bin(value: float, other: float):
    histogram = filled(np.array([value], np.float32))
    histogram.add(np.full(3, other, np.float32))
    used = np.flatnonzero(histogram.counts)
    assert np.abs(histogram.centres[used] - value).min() <= histogram.width / 2


@given(hnp.arrays(np.int64, BINS, elements=st.integers(0, 9)), st.integers(0, 30))
def test_doublings_add_up(counts: np.ndarray, doublings: int):
    once = counts
    for _ in range(doublings):
        once = rebinned(once, 1)
    assert (once == rebinned(counts, doublings)).all()
    assert once.sum() == counts.sum()


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(odd: float):
    with pytest.raises(ValueError, match="not finite"):
        Histogram().add(np.array([1, odd, 2], np.float32))


def test_zeros_and_nothing():
    histogram = filled(np.zeros(5, np.float32), np.zeros(0, np.float32))
    assert histogram.total == 5
    histogram.add(np.array([100], np.float32))
    assert histogram.total == 6
