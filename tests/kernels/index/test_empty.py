"""Tensors without elements, of `index` and `move`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.kernels.index.support import graph
from tests.kernels.support import engine


@pytest.mark.parametrize(
    "text",
    [
        "y0 = CumSum(x0, zero)",
        "y0, i = TopK <axis = 0> (x0, two)",
        "y0 = Trilu(x0)",
        "y0 = ReverseSequence <time_axis = 0, batch_axis = 1> (x0, none)",
        "y0 = Gather(x0, two)",
        "y0, i = Unique <axis = 1> (x0)",
        "y0 = Transpose <perm = [1, 0]> (x0)",
        "y0 = Slice(x0, zero, two)",
    ],
)
def test_a_huge_side_of_nothing_costs_nothing(text: str, tmp_path: Path) -> None:
    constants = {"zero": np.array([0]), "two": np.array([2]), "none": np.zeros(0, np.int64)}
    model = graph(text, [("float", 2)], [("float", 2)], **constants)
    (got,) = engine(model, tmp_path).run([np.zeros((2**39, 0), np.float32)])
    assert got.size == 0
