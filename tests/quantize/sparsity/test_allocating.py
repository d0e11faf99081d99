"""How many weights each layer loses."""

from __future__ import annotations

import numpy as np
import pytest

from edgeort.quantize.sparsity.allocating import balanced
from edgeort.quantize.sparsity.patterns import HIGHEST

SIZES = np.array([100.0, 400.0, 1000.0, 50.0])
NOISES = np.array([1.0, 0.5, 2.0, 0.1])


@pytest.mark.parametrize("share", [0.05, 0.3, 0.7, 0.9])
def test_the_share_of_all_and_no_more_than_the_highest(share: float):
    found = balanced(SIZES, NOISES, share)
    assert found @ SIZES == pytest.approx(share * SIZES.sum()) and found.max() <= HIGHEST and found.min() > 0


def test_no_exchange_between_two_layers_helps():
    found = balanced(SIZES, NOISES, 0.3)
    least = (NOISES * found**3).sum()
    for one in range(4):
        for other in range(4):
            moved = found.copy()
            moved[one] += 1e-3 / SIZES[one]
            moved[other] -= 1e-3 / SIZES[other]
            assert (NOISES * moved**3).sum() >= least - 1e-12


def test_layers_without_noise():
    assert balanced(SIZES, np.zeros(4), 0.5) @ SIZES == pytest.approx(0.5 * SIZES.sum())
    found = balanced(SIZES, np.array([0.0, 1.0, 1.0, 1.0]), 0.3)
    assert found[0] == HIGHEST and found @ SIZES == pytest.approx(0.3 * SIZES.sum())
