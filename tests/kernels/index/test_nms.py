"""NonMaxSuppression, against ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.kernels.index.support import RNG, graph
from tests.kernels.support import reference, run_everywhere, same_bits


@pytest.mark.parametrize("centre", [0, 1])
@pytest.mark.parametrize(("limit", "iou", "score"), [(3, 0.5, 0.0), (20, 0.3, 0.4), (2, 0.9, 0.99), (0, 0.5, 0.0)])
def test_non_max_suppression(limit: int, iou: float, score: float, centre: int, tmp_path: Path) -> None:
    boxes = RNG.uniform(0, 1, (2, 40, 4)).astype(np.float32)
    scores = RNG.uniform(0, 1, (2, 3, 40)).astype(np.float32)
    model = graph(
        f"y0 = NonMaxSuppression <center_point_box = {centre}> (x0, x1, n, i, s)",
        [("float", 3), ("float", 3)],
        [("int64", 2)],
        n=np.array([limit]),
        i=np.array([iou], np.float32),
        s=np.array([score], np.float32),
    )
    (got,) = run_everywhere(model, [boxes, scores], tmp_path)
    (want,) = reference(model, [boxes, scores])
    assert same_bits(got, want)


def test_equal_scores_keep_the_first_box(tmp_path: Path) -> None:
    boxes = np.array([[[0, 0, 1, 1]] * 3 + [[5, 5, 6, 6]]], np.float32)
    model = graph("y0 = NonMaxSuppression(x0, x1, n)", [("float", 3), ("float", 3)], [("int64", 2)], n=np.array([9]))
    (got,) = run_everywhere(model, [boxes, np.ones((1, 1, 4), np.float32)], tmp_path)
    assert got.tolist() == [[0, 0, 0], [0, 0, 3]]
