"""TopK, ArgMax and ArgMin: ties, signed zeros, NaN."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeort.errors import PlanError
from tests.kernels.index.support import TYPES, graph, sample
from tests.kernels.support import engine, run_everywhere, same_bits


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("largest", [0, 1])
@pytest.mark.parametrize(("axis", "shape", "k"), [(-1, (3, 50), 7), (0, (9, 4), 9), (1, (2, 30, 5), 1)])
def test_topk_is_a_stable_sort(
    axis: int, shape: tuple[int, ...], k: int, largest: int, kind: str, tmp_path: Path
) -> None:
    x = sample(shape, TYPES[kind], high=12)  # many ties
    model = graph(
        f"y0, y1 = TopK <axis = {axis}, largest = {largest}> (x0, k)",
        [(kind, x.ndim)],
        [(kind, x.ndim), ("int64", x.ndim)],
        k=np.array([k]),
    )
    values, at = run_everywhere(model, [x], tmp_path)
    order = np.argsort(-x.astype(np.float64) if largest else x, axis=axis, kind="stable").take(range(k), axis)
    assert same_bits(at, np.ascontiguousarray(order))
    assert same_bits(values, np.take_along_axis(x, at, axis))


@pytest.mark.parametrize("largest", [0, 1])
@pytest.mark.parametrize("k", [1, 40, 777])
def test_topk_of_long_lines(k: int, largest: int, tmp_path: Path) -> None:
    x = np.random.default_rng(k).standard_normal((3, 777)).astype(np.float32)
    x[1] = np.sort(x[1])  # each one takes another's place
    x[2, ::5], x[2, 700], x[2, 3] = 0.0, np.inf, -0.0
    model = graph(
        f"y0, y1 = TopK <largest = {largest}> (x0, k)", [("float", 2)], [("float", 2), ("int64", 2)], k=np.array([k])
    )
    values, at = run_everywhere(model, [x], tmp_path)
    order = np.argsort(-x if largest else x, kind="stable")[:, :k]
    assert same_bits(at, np.ascontiguousarray(order)) and same_bits(values, np.take_along_axis(x, at, 1))


def test_k_may_change_between_runs(tmp_path: Path) -> None:
    x = sample((3, 8))
    opened = engine(graph("n = Neg(x0) y0, i = TopK(n, x1)", [("float", 2), ("int64", 1)], [("float", 2)]), tmp_path)
    for k in (1, 8, 0, 3):
        (got,) = opened.run([x, np.array([k])])
        assert same_bits(got, np.ascontiguousarray(-np.sort(x)[:, :k]))
    with pytest.raises(PlanError, match="k is out of range for 8"):
        opened.run([x, np.array([9])])


def test_signed_zeros_are_ties_and_nan_is_greatest(tmp_path: Path) -> None:
    x = np.array([[0.0, -0.0, np.nan, 1.0, -np.nan, -np.inf]], np.float32)
    model = graph(
        "v, y0 = TopK <largest = 0> (x0, k) y1 = ArgMax <axis = 1> (x0) y2 = ArgMin <axis = 1> (x0)",
        [("float", 2)],
        [("int64", 2)] * 3,
        k=np.array([6]),
    )
    order, most, least = run_everywhere(model, [x], tmp_path)
    assert order.tolist() == [[5, 0, 1, 3, 2, 4]]
    assert most.tolist() == [[2]]
    assert least.tolist() == [[5]]


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
def test_first_and_last_of_the_extremes(op: str, kind: str, tmp_path: Path) -> None:
    x = sample((3, 11, 150), TYPES[kind], high=6)
    for axis in (0, 1, -1):
        text = f"y0 = {op} <axis = {axis}> (x0) y1 = {op} <axis = {axis}, keepdims = 0, select_last_index = 1> (x0)"
        first, last = run_everywhere(graph(text, [(kind, 3)], [("int64", 3), ("int64", 2)]), [x], tmp_path)
        find = np.argmax if op == "ArgMax" else np.argmin
        assert same_bits(first, np.expand_dims(find(x, axis), axis))
        assert same_bits(last, x.shape[axis] - 1 - find(np.flip(x, axis), axis))
