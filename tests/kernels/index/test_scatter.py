"""ScatterElements and ScatterND: reductions, repeated positions, refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeort.errors import PlanError
from tests.kernels.index.support import RNG, TYPES, WITH_FILES, graph, sample
from tests.kernels.support import engine, run_both, run_everywhere, same_bits


@pytest.mark.parametrize("reduction", ["none", "add", "mul", "max", "min"])
@pytest.mark.parametrize("kind", ["float", "int32", "int64"])
def test_scatter_elements(kind: str, reduction: str, tmp_path: Path) -> None:
    x, updates = sample((4, 3, 5), TYPES[kind]), sample((4, 2, 5), TYPES[kind])
    at = np.stack([RNG.permutation(3)[:2] for _ in range(20)]).reshape(4, 5, 2).swapaxes(1, 2)
    if reduction != "none":
        at[:, 1] = at[:, 0] - 3  # the same position twice, once counted from the end
    model = graph(
        f'y0 = ScatterElements <axis = 1, reduction = "{reduction}"> (x0, x1, x2)',
        [(kind, 3), ("int64", 3), (kind, 3)],
        [(kind, 3)],
    )
    run_both(model, [x, np.ascontiguousarray(at), updates], tmp_path)


@pytest.mark.parametrize("reduction", ["none", "add", "mul", "max", "min"])
@pytest.mark.parametrize("depth", [1, 2])
def test_scatter_nd(depth: int, reduction: str, tmp_path: Path) -> None:
    x = sample((5, 4, 3))
    at = np.array([[3, 1], [0, 2], [3, -1], [-1, 0]])[:, :depth]
    if reduction == "none" and depth == 1:
        at = at[[0, 1, 3]]
    updates = sample((len(at), *x.shape[depth:]))
    kinds = [("float", 3), ("int64", 2), ("float", updates.ndim)]
    model = graph(f'y0 = ScatterND <reduction = "{reduction}"> (x0, x1, x2)', kinds, [("float", 3)])
    run_both(model, [x, at, updates], tmp_path)


def test_the_last_of_repeated_updates_stays(tmp_path: Path) -> None:
    model = graph("y0 = ScatterND(x0, x1, x2)", [("float", 1), ("int64", 2), ("float", 1)], [("float", 1)])
    (got,) = run_everywhere(
        model, [sample((3,)), np.array([[1], [1], [-2]]), np.array([5, 6, 7], np.float32)], tmp_path
    )
    assert got[1] == 7


def test_scatter_keeps_data_that_is_read_again(tmp_path: Path) -> None:
    x, updates = sample((4, 3)), sample((1, 3))
    text = "a = Neg(x0) s = ScatterND(a, i, x1) y0 = Sub(s, a)"
    model = graph(text, [("float", 2), ("float", 2)], [("float", 2)], i=np.array([[2]]))
    (got,) = run_everywhere(model, [x, updates], tmp_path)
    want = np.zeros((4, 3), np.float32)
    want[2] = updates[0] + x[2]
    np.testing.assert_array_equal(got, want)


@WITH_FILES
@given(data=st.data())
def test_what_was_scattered_is_gathered(data: st.DataObject, tmp_path: Path) -> None:
    rows, columns = data.draw(st.integers(1, 9)), data.draw(st.integers(0, 5))
    picked = data.draw(st.permutations(range(rows)))[: data.draw(st.integers(0, rows))]
    at = np.array(picked, np.int64).reshape(-1, 1)
    x, updates = sample((rows, columns), np.int8), sample((len(picked), columns), np.int8)
    text = "s = ScatterND(x0, x1, x2) y0 = GatherND(s, x1)"
    model = graph(text, [("int8", 2), ("int64", 2), ("int8", 2)], [("int8", 2)])
    (got,) = engine(model, tmp_path).run([x, at, updates])
    assert same_bits(got, updates)


def test_updates_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    model = graph("y0 = ScatterND(x0, x1, x2)", [("float", 2), ("int64", 2), ("float", 2)], [("float", 2)])
    opened = engine(model, tmp_path)
    with pytest.raises(PlanError, match="its updates do not fit"):
        opened.run([sample((3, 2)), np.array([[0], [1]]), sample((2, 3))])
    with pytest.raises(PlanError, match="3 positions for rank 2"):
        opened.run([sample((3, 2)), np.array([[0, 0, 0]]), sample((1, 2))])
