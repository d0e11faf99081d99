"""CumSum."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.kernels.index.support import TYPES, graph, sample
from tests.kernels.support import run_everywhere, same_bits


@pytest.mark.parametrize("kind", ["float", "double", "int32", "int64"])
@pytest.mark.parametrize(("exclusive", "reverse"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_cumulative_sums(exclusive: int, reverse: int, kind: str, tmp_path: Path) -> None:
    x = sample((3, 6, 300), TYPES[kind])
    for axis in (0, -2, 2):
        text = f"y0 = CumSum <exclusive = {exclusive}, reverse = {reverse}> (x0, a)"
        (got,) = run_everywhere(graph(text, [(kind, 3)], [(kind, 3)], a=np.array(axis)), [x], tmp_path)
        along = np.flip(x, axis) if reverse else x
        want = np.cumsum(along, axis, dtype=x.dtype)
        want = want - along if exclusive else want  # exact: the sums are small integers
        assert same_bits(got, np.ascontiguousarray(np.flip(want, axis) if reverse else want))
