"""Steps of int8 products: every quad once, triples only where 16 bits hold their products, and as many as can be."""

from __future__ import annotations

import numpy as np
import pytest

from edgeort.lowering import quantised, steps


def decoded(words: np.ndarray) -> list[int]:
    """The quads of each step."""
    found = []
    for word in words:
        bits = f"{int(word):064b}"
        found += [3 if bit == "0" else 2 for bit in bits[: bits.rindex("1")]]
    return found


def columns_of(weights: np.ndarray) -> list[list[int]]:
    """The steps of each COLUMNS columns of weights int8 [k, columns]."""
    quads = -(-len(weights) // steps.DEPTH)
    found = steps.steps(quantised.panels(weights[None]), quads)
    assert found is not None
    groups = -(-weights.shape[1] // 16) * 2
    return [decoded(row) for row in found.reshape(groups, -1)]


@pytest.mark.parametrize("k", [4, 8, 12, 16, 27, 96, 132, 1000])
@pytest.mark.parametrize("most", [40, 100, 127])
def test_random_weights(k: int, most: int) -> None:
    weights = np.random.default_rng(k).integers(-most, most, (k, 20), endpoint=True).astype(np.int8)
    quads = -(-k // 4)
    sizes = np.zeros((quads * 4, 32), np.int64)
    sizes[:k, :20] = np.abs(weights.astype(np.int64))
    found = columns_of(weights)
    left = {quads - sum(row) for row in found}
    assert left in ({0}, {1}) and len(found) == 4
    for index, row in enumerate(found):
        at = 0
        for count in row:
            part = sizes[4 * at : 4 * (at + count), 8 * index : 8 * index + 8]
            assert count == 2 or part.reshape(3, 4, 8).sum(0).max() <= 255
            at += count


@pytest.mark.parametrize(
    ("quads", "want"), [(1, []), (2, [2]), (3, [3]), (4, [2, 2]), (5, [2, 3]), (6, [3, 3]), (200, [3] * 66 + [2])]
)
def test_small_weights(quads: int, want: list[int]) -> None:
    """Nearly all are triples."""
    found = columns_of(np.ones((4 * quads, 8), np.int8))
    assert [sorted(row) for row in found] == [sorted(want)] * 2


def test_one_large_weight() -> None:
    """It takes pairs where it is, and in its columns only."""
    weights = np.full((48, 16), 80, np.int8)
    weights[20, 9] = 127  # quad 5; 127 + 80 + 80 > 255
    assert columns_of(weights) == [[3] * 4, [2, 2, 2, 3, 3]]


def test_limit() -> None:
    weights = np.full((12, 16), -85, np.int8)
    weights[11, 8] = -86
    with_one_left = [[2], [2]]
    assert columns_of(weights) == with_one_left
    assert columns_of(weights[:, :8]) == [[3], [3]]


def test_the_least_weight() -> None:
    weights = np.ones((12, 16), np.int8)
    weights[3, 3] = -128
    assert steps.steps(quantised.panels(weights[None]), 3) is None
