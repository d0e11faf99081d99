from __future__ import annotations

import itertools

import numpy as np
import pytest

from edgeort.passes.minimum_cut import SINK, SOURCE, Network


@pytest.mark.parametrize("seed", range(30))
def test_equals_the_best_of_all_cuts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size, edges = 7, []
    network = Network()
    for _ in range(size - 2):
        network.vertex()
    for _ in range(16):
        tail, head = (int(v) for v in rng.choice(size, 2, replace=False))
        edges.append((tail, head, int(rng.integers(0, 9))))
        network.edge(*edges[-1])

    def cost(side: set[int]) -> int:
        return sum(c for tail, head, c in edges if tail in side and head not in side)

    cuts = [
        {SOURCE, *(v for v, inside in zip(range(2, size), chosen, strict=True) if inside)}
        for chosen in itertools.product((False, True), repeat=size - 2)
    ]
    best = min(cost(cut) for cut in cuts)
    found = network.source_side()
    assert SOURCE in found
    assert SINK not in found
    assert cost(found) == best
    assert len(found) == max(len(cut) for cut in cuts if cost(cut) == best)
