"""Gather, GatherElements and GatherND, of every type."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeort.errors import PlanError
from tests.kernels.index.support import RNG, TYPES, WITH_FILES, graph, sample
from tests.kernels.support import engine, run_both, run_everywhere, same_bits


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(("axis", "shape"), [(0, (5, 3)), (1, (2, 4, 3)), (-1, (3, 7)), (-2, (4, 2, 16))])
def test_gather_takes_along_an_axis(axis: int, shape: tuple[int, ...], kind: str, tmp_path: Path) -> None:
    x = sample(shape, TYPES[kind])
    at = RNG.integers(-shape[axis], shape[axis], (2, 3)).astype(np.int32)
    model = graph(f"y0 = Gather <axis = {axis}> (x0, x1)", [(kind, len(shape)), ("int32", 2)], [(kind, len(shape) + 1)])
    (got,) = run_everywhere(model, [x, at], tmp_path)
    assert same_bits(got, np.take(x, at, axis))


def test_gather_with_a_scalar_drops_the_axis(tmp_path: Path) -> None:
    x = sample((3, 4))
    (got,) = run_both(
        graph("i = Constant <value_int = -1> () y0 = Gather(x0, i)", [("float", 2)], [("float", 1)]), [x], tmp_path
    )
    assert got.shape == (4,)


def test_positions_out_of_range_are_moved_to_the_nearest(tmp_path: Path) -> None:
    x = sample((3, 2))
    at = np.array([-(2**63), -4, 3, 2**63 - 1])
    model = graph(
        "y0 = Gather(x0, x1) y1 = GatherND(x0, n)",
        [("float", 2), ("int64", 1)],
        [("float", 2), ("float", 1)],
        n=np.array([[9, -9]]),
    )
    rows, element = run_everywhere(model, [x, at], tmp_path)
    assert same_bits(rows, x[[0, 0, 2, 2]])
    assert same_bits(element, x[2, :1])


def test_gathering_from_nothing_is_refused(tmp_path: Path) -> None:
    opened = engine(graph("y0 = Gather(x0, x1)", [("float", 2), ("int64", 1)], [("float", 2)]), tmp_path)
    with pytest.raises(PlanError, match="axis 0 has no elements"):
        opened.run([sample((0, 3)), np.array([0])])
    (got,) = opened.run([sample((0, 3)), np.zeros(0, np.int64)])
    assert got.shape == (0, 3)


@WITH_FILES
@given(data=st.data())
def test_gather_elements_is_numpys(data: st.DataObject, tmp_path: Path) -> None:
    shape = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    n = data.draw(st.integers(0, 7))
    kind = data.draw(st.sampled_from(list(TYPES)))
    x = sample(shape, TYPES[kind])
    index_shape = list(shape)
    index_shape[axis] = n
    at = RNG.integers(-shape[axis], shape[axis], index_shape)
    rank = len(shape)
    model = graph(f"y0 = GatherElements <axis = {axis}> (x0, x1)", [(kind, rank), ("int64", rank)], [(kind, rank)])
    (got,) = engine(model, tmp_path, threads=2).run([x, at])
    assert same_bits(got, np.take_along_axis(x, at, axis))


@pytest.mark.parametrize(
    ("shape", "indices", "batch", "rank"),
    [
        ((4, 5), (3, 2), 0, 1),
        ((4, 5, 6), (2, 3, 1), 0, 4),
        ((2, 4, 5), (2, 3, 1), 1, 3),
        ((2, 3, 4, 5), (2, 3, 2), 2, 2),
    ],
)
def test_gather_nd(shape: tuple[int, ...], indices: tuple[int, ...], batch: int, rank: int, tmp_path: Path) -> None:
    x = sample(shape)
    at = RNG.integers(-2, 2, indices)
    model = graph(
        f"y0 = GatherND <batch_dims = {batch}> (x0, x1)",
        [("float", len(shape)), ("int64", len(indices))],
        [("float", rank)],
    )
    run_both(model, [x, at], tmp_path)
