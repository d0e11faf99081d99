"""How far channels reach on samples that were not seen."""

from __future__ import annotations

import numpy as np
import pytest

from edgeort.quantize.extremes import MOST, Extremes


def filled(arrays: list[np.ndarray], order: list[int] | None = None) -> Extremes:
    found = Extremes()
    for index in order or range(len(arrays)):
        found.add(arrays[index], index)
    return found


def test_room_goes_by_how_samples_differ():
    rng = np.random.default_rng(0)
    arrays = [np.stack([rng.uniform(0, 1, 500), np.zeros(500), -rng.uniform(0, 2, 500)])[None] for _ in range(40)]
    arrays[7][0, 1, 3] = 2.0  # once in all samples
    found = filled(arrays)
    lows, highs = found.seen()
    assert lows == pytest.approx([0, 0, -2], abs=0.05) and highs == pytest.approx([1, 2, 0], abs=0.05)
    reach = found.reach()
    assert reach.highs[0] < 1.1 and reach.lows[2] > -2.2, "every sample fills the channel"
    assert reach.highs[1] == pytest.approx(MOST * 2)


def test_it_is_what_ten_times_as_many_samples_have():
    draws = np.exp(0.5 * np.random.default_rng(0).standard_normal((1000, 1, 20, 64)))
    known, most = filled(list(draws[:100])), draws.max(axis=(0, 1, 3))
    assert 0.9 < np.median(known.reach().highs / most) < 1.2
    assert np.median(known.seen()[1] / most) < 0.85


def test_the_order_of_samples_does_not_matter():
    arrays = list(np.random.default_rng(0).standard_normal((12, 1, 3, 5, 7)))
    one, other = filled(arrays).reach(), filled(arrays, [*range(6, 12), *range(6)]).reach()
    for name in ("lows", "highs", "drawn"):
        assert np.array_equal(getattr(one, name), getattr(other, name))


def test_a_single_sample():
    reach = filled([np.array([[[0.5, -0.25]]])]).reach()
    assert (reach.lows[0], reach.highs[0]) == (-0.25 * MOST, 0.5 * MOST)
