"""Operators whose positions are data, against NumPy and ONNX Runtime: types, ties, data-dependent shapes, refusals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeort.errors import PlanError
from tests.kernels.support import engine, parse, reference, run_both, run_everywhere, same_bits

RNG = np.random.default_rng(5)
TYPES = {
    "float": np.float32,
    "double": np.float64,
    "int32": np.int32,
    "int64": np.int64,
    "uint8": np.uint8,
    "int8": np.int8,
}
WITH_FILES = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def sample(shape: Sequence[int], dtype: type = np.float32, high: int = 100) -> np.ndarray:
    return RNG.integers(0, high, tuple(shape)).astype(dtype)


def free(rank: int) -> str:
    return "[" + ", ".join("abcdefgh"[:rank]) + "]" if rank else ""


def graph(
    text: str, inputs: Sequence[tuple[str, int]], outputs: Sequence[tuple[str, int]], **constants: Any
) -> onnx.ModelProto:
    """A model of inputs x0, x1, ... and outputs y0, y1, ... of (type, rank), all dimensions free."""
    names = iter("pqrstuvw" * 8)
    ins = ", ".join(
        f"{kind}[{', '.join(next(names) + str(i) for _ in range(rank))}] x{i}" for i, (kind, rank) in enumerate(inputs)
    )
    outs = ", ".join(f"{kind}{free(rank)} y{i}" for i, (kind, rank) in enumerate(outputs))
    return parse(f"g ({ins}) => ({outs}) {{ {text} }}", constants, opset=18)


# ---- Gather


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


# ---- Scatter


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


# ---- TopK, ArgMax, ArgMin


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


# ---- shapes that depend on data


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


@WITH_FILES
@given(data=st.data())
def test_unique_is_numpys(data: st.DataObject, tmp_path: Path) -> None:
    shape = (data.draw(st.integers(1, 6)), data.draw(st.integers(1, 4)), 2)
    axis = data.draw(st.sampled_from([None, 0, 1, -1]))
    kind = data.draw(st.sampled_from(list(TYPES)))
    ordered = data.draw(st.booleans())
    x = sample(shape, TYPES[kind], high=3)
    attributes = f"sorted = {int(ordered)}" + ("" if axis is None else f", axis = {axis}")
    outputs = [(kind, 1 if axis is None else 3)] + [("int64", 1)] * 3
    model = graph(f"y0, y1, y2, y3 = Unique <{attributes}> (x0)", [(kind, 3)], outputs)
    got = engine(model, tmp_path).run([x])
    want, first, inverse, number = np.unique(x, return_index=True, return_inverse=True, return_counts=True, axis=axis)
    if not ordered:
        order = np.argsort(first)
        rank = np.argsort(order)
        want, first, number = np.take(want, order, axis or 0), first[order], number[order]
        inverse = rank[inverse]
    for ours, theirs in zip(got, (want, first, inverse.reshape(-1), number), strict=True):
        np.testing.assert_array_equal(ours, theirs)


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


# ---- OneHot, CumSum


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


# ---- tensors without elements


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
