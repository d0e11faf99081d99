"""NonZero and Compress, whose result's shape depends on data, and OneHot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.kernels.index.support import TYPES, graph, sample
from tests.kernels.support import engine, run_everywhere, same_bits


def test_nonzero_changes_its_shape_from_run_to_run(tmp_path: Path) -> None:
    model = graph(
        "n = Neg(x0) y0 = NonZero(n) t = Transpose(y0) y1 = GatherND(x0, t)",
        [("float", 2)],
        [("int64", 2), ("float", 1)],
    )
    opened = engine(model, tmp_path, threads=2)
    for high in (1, 2, 3, 50):
        x = sample((5, 6), high=high)
        x[0, 0] = -0.0
        at, values = opened.run([x])
        assert same_bits(at, np.array(np.nonzero(x)))
        assert same_bits(values, x[np.nonzero(x)])


@pytest.mark.parametrize("kind", [*TYPES, "bool"])
def test_nonzero_of_types(kind: str, tmp_path: Path) -> None:
    x = sample((3, 4, 2), TYPES.get(kind, np.bool_), high=2)
    (got,) = run_everywhere(graph("y0 = NonZero(x0)", [(kind, 3)], [("int64", 2)]), [x], tmp_path)
    assert same_bits(got, np.array(np.nonzero(x)))


def test_views_of_inputs_before_such_a_shape_follow_the_input(tmp_path: Path) -> None:
    text = "y0 = Reshape(x0, s) y1 = NonZero(x0) t = Neg(y0) y2 = Neg(t)"
    model = graph(text, [("float", 2)], [("float", 1), ("int64", 2), ("float", 1)], s=np.array([-1]))
    opened = engine(model, tmp_path)
    kept = []  # so that each run's input has its own memory
    for _ in range(3):
        x = sample((2, 3))
        kept.append(x)
        view, _, after = opened.run([x])
        assert same_bits(view, x.reshape(-1))
        assert same_bits(after, x.reshape(-1))


@pytest.mark.parametrize("axis", [None, 0, -1])
def test_compress(axis: int | None, tmp_path: Path) -> None:
    x = sample((4, 5))
    attribute = "" if axis is None else f"<axis = {axis}>"
    model = graph(
        f"y0 = Compress {attribute} (x0, x1)", [("float", 2), ("bool", 1)], [("float", 1 if axis is None else 2)]
    )
    for condition in ([False, True, True], [True], [False, False, False, True]):
        (got,) = run_everywhere(model, [x, np.array(condition)], tmp_path)
        assert same_bits(got, np.compress(condition, x, axis))


@pytest.mark.parametrize("axis", [-1, 0, 1])
@pytest.mark.parametrize("kind", ["int64", "float"])
def test_one_hot(kind: str, axis: int, tmp_path: Path) -> None:
    at = np.array([[0, -1, 4], [7, -6, 2]], TYPES[kind])  # 7 and -6 are no positions
    model = graph(
        f"y0 = OneHot <axis = {axis}> (x0, d, v)",
        [(kind, 2)],
        [("int32", 3)],
        d=np.array([5]),
        v=np.array([3, 8], np.int32),
    )
    (got,) = run_everywhere(model, [at], tmp_path)
    hot = np.where(at[..., None] == np.arange(5), 8, 3)
    hot[0, 1, 4] = 8
    assert same_bits(got, np.ascontiguousarray(np.moveaxis(hot, -1, axis).astype(np.int32)))
