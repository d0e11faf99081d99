"""Reductions and soft maximum, bit for bit against the reference of the contract."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edgeort.errors import PlanError, UnsupportedError
from tests.kernels.support import engine, everywhere, parse, reference, run_both, run_everywhere, same_bits
from tests.reference import REDUCTIONS, library

RNG = np.random.default_rng(7)
OPERATORS = (
    "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare",
    "ReduceLogSum", "ReduceLogSumExp",
)  # fmt: skip


def _all_reductions(
    rank: int, axes: Sequence[int] | None, keepdims: int, dtype: int = TensorProto.FLOAT
) -> onnx.ModelProto:
    """Every reduction of x over `axes`, which are an initializer (opset 18)."""
    names = ["x"] if axes is None else ["x", "axes"]
    nodes = [helper.make_node(op, names, [op], keepdims=keepdims) for op in OPERATORS]
    x = helper.make_tensor_value_info("x", dtype, [f"d{i}" for i in range(rank)])
    constants = [] if axes is None else [numpy_helper.from_array(np.array(axes, np.int64), "axes")]
    outputs = [helper.make_tensor_value_info(op, dtype, None) for op in OPERATORS]
    graph = helper.make_graph(nodes, "g", [x], outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


CASES = {
    "last": ((5, 37), [-1]),
    "short_last": ((300, 3), [1]),
    "first": ((41, 19), [0]),
    "middle": ((3, 33, 70), [1]),
    "trailing_pair": ((4, 3, 5, 7), [2, 3]),
    "outer_and_inner": ((4, 3, 50), [0, 2]),
    "alternate": ((3, 4, 5, 6), [0, 2]),
    "all": ((6, 7, 5), None),
    "one_element": ((1, 1), [0, 1]),
    "more_than_a_chunk": ((2, 3, 1100), [0, 2]),
    "scalar": ((), None),
}


@pytest.mark.parametrize("case", CASES)
def test_bits_of_the_contract(case: str, tmp_path: Path) -> None:
    shape, axes = CASES[case]
    x = np.asarray(np.abs(RNG.normal(size=shape)) + 0.1, np.float32)
    got = run_everywhere(_all_reductions(len(shape), axes, 0), [x], tmp_path)
    for name, ours in zip(REDUCTIONS, got, strict=True):
        want = library().reduce(name, x, range(x.ndim) if axes is None else axes)
        assert same_bits(ours, want), name


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 40), min_size=3, max_size=3), st.integers(0, 100))
def test_any_sizes(middle: list, shape: list[int], seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    x = np.abs(x) + np.float32(0.1)
    for axes, run in middle:
        for name, ours in zip(REDUCTIONS, run([x]), strict=True):
            assert same_bits(ours, library().reduce(name, x, axes)), (name, axes)


@pytest.fixture(scope="module")
def middle(tmp_path_factory: pytest.TempPathFactory) -> list:
    folder = tmp_path_factory.mktemp("reduce")
    return [(axes, everywhere(_all_reductions(3, axes, 0), folder)) for axes in ([1], [2], [0, 2])]


def test_keepdims_and_negative_axes(tmp_path: Path) -> None:
    x = np.abs(RNG.normal(size=(3, 4, 5))).astype(np.float32) + np.float32(0.1)
    run_both(_all_reductions(3, [-2, 0], 1), [x], tmp_path, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", ((0, 4), (3, 0)))
def test_empty_sets(shape: tuple[int, ...], tmp_path: Path) -> None:
    x = np.zeros(shape, np.float32)
    got = dict(zip(OPERATORS, run_everywhere(_all_reductions(2, [1], 0), [x], tmp_path), strict=True))
    if shape[0] == 0:
        assert all(y.shape == (0,) for y in got.values())
        return
    expected = {
        "ReduceSum": 0,
        "ReduceProd": 1,
        "ReduceMax": -np.inf,
        "ReduceMin": np.inf,
        "ReduceMean": np.nan,
        "ReduceL2": 0,
    }
    for name, value in {**expected, "ReduceLogSum": -np.inf, "ReduceLogSumExp": -np.inf}.items():
        np.testing.assert_array_equal(got[name], np.full(3, value, np.float32), err_msg=name)


def test_infinities_and_nan(tmp_path: Path) -> None:
    rows = [[1, np.inf], [1, -np.inf], [np.inf, -np.inf], [np.nan, 1], [1, np.nan], [-np.inf, -np.inf]]
    x = np.array(rows, np.float32)
    got = run_everywhere(_all_reductions(2, [1], 0), [x], tmp_path)
    for name, ours in zip(REDUCTIONS, got, strict=True):
        assert same_bits(ours, library().reduce(name, x, [1])), name


def test_axes_that_are_computed(tmp_path: Path) -> None:
    """The value of `axes` arrives with the run, or follows from shapes."""
    text = """g (float[2,3,4] x, int64[n] axes) => (float y, float z) {
      y = ReduceSum(x, axes) s = Shape(axes) z = ReduceMean<keepdims=0>(x, s) }"""
    x = RNG.normal(size=(2, 3, 4)).astype(np.float32)
    run_both(parse(text, opset=18), [x, np.array([1], np.int64)], tmp_path)


@pytest.mark.parametrize("noop", (0, 1))
def test_empty_axes(noop: int, tmp_path: Path) -> None:
    text = f"g (float[2,3] x) => (float y) {{ y = ReduceSum<noop_with_empty_axes={noop}>(x, axes) }}"
    x = RNG.normal(size=(2, 3)).astype(np.float32)
    run_both(parse(text, {"axes": np.array([], np.int64)}), [x], tmp_path)


@pytest.mark.parametrize("dtype", (np.int32, np.int64, np.float64, np.uint8, np.int8))
def test_other_types(dtype: type, tmp_path: Path) -> None:
    kinds = (
        ("Max", "Min") if np.dtype(dtype).itemsize == 1 else ("Sum", "Mean", "Prod", "Max", "Min", "SumSquare", "L1")
    )
    onnx_type = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    x = RNG.integers(0 if dtype is np.uint8 else -4, 5, size=(3, 5, 7)).astype(dtype)
    for axes in ([1], [2], [0, 2]):
        nodes = [helper.make_node(f"Reduce{kind}", ["x", "axes"], [kind], keepdims=0) for kind in kinds]
        outputs = [helper.make_tensor_value_info(kind, onnx_type, None) for kind in kinds]
        x_info = helper.make_tensor_value_info("x", onnx_type, x.shape)
        graph = helper.make_graph(nodes, "g", [x_info], outputs, [numpy_helper.from_array(np.array(axes), "axes")])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        got = dict(zip(kinds, run_everywhere(model, [x], tmp_path), strict=True))
        functions = {"Sum": np.sum, "Prod": np.prod, "Max": np.max, "Min": np.min}
        for kind, ours in got.items():
            if kind in functions:
                want = functions[kind](x, axis=tuple(axes))
            elif kind == "Mean":
                want = x.sum(axis=tuple(axes)) / math.prod(x.shape[a] for a in axes)
                want = want if dtype is np.float64 else np.trunc(want)
            else:
                want = ((x * x) if kind == "SumSquare" else np.abs(x)).sum(axis=tuple(axes))
            np.testing.assert_allclose(ours, want.astype(dtype), rtol=1e-12, err_msg=kind)


def test_booleans(tmp_path: Path) -> None:
    text = (
        "g (bool[n,m] x) => (bool a, bool b) { a = ReduceMax<keepdims=0>(x, axes) b = ReduceMin<keepdims=0>(x, axes) }"
    )
    model = parse(text, {"axes": np.array([1], np.int64)}, opset=20)
    x = np.array([[True, False], [True, True], [False, False]])
    any_true, all_true = run_everywhere(model, [x], tmp_path)
    np.testing.assert_array_equal(any_true, x.any(axis=1))
    np.testing.assert_array_equal(all_true, x.all(axis=1))
    np.testing.assert_array_equal(run_everywhere(model, [x[:, :0]], tmp_path)[1], [True] * 3)


def test_float16_is_rounded_once(tmp_path: Path) -> None:
    x = RNG.normal(size=(4, 100)).astype(np.float16)
    model = parse("g (float16[4,100] x) => (float16 y) { y = ReduceSum<keepdims=0>(x, a) }", {"a": np.array([1])})
    want = library().reduce("sum", x.astype(np.float32), [1]).astype(np.float16)
    assert same_bits(run_everywhere(model, [x], tmp_path)[0], want)


def test_float64_logarithms_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"ReduceLogSumExp.*f64"):
        engine(parse("g (double[4] x) => (double y) { y = ReduceLogSumExp(x) }"), tmp_path)


def test_an_axis_out_of_range_is_an_error(tmp_path: Path) -> None:
    model = parse("g (float[4] x, int64[1] a) => (float y) { y = ReduceSum(x, a) }")
    with pytest.raises(PlanError, match="axis 3 for rank 1"):
        engine(model, tmp_path).run([np.zeros(4, np.float32), np.array([3], np.int64)])


SOFTMAX = {
    "rows": ((7, 37), -1),
    "whole_vectors": ((3, 64), 1),
    "columns": ((2, 16, 70), 1),
    "few_columns": ((5, 9, 3), 1),
    "first": ((33, 5), 0),
    "one": ((4, 1), 1),
    "empty": ((0, 5), 1),
    "no_elements": ((3, 0), 1),
}


@pytest.mark.parametrize("case", SOFTMAX)
def test_softmax_bits(case: str, tmp_path: Path) -> None:
    shape, axis = SOFTMAX[case]
    dims = ",".join(f"d{i}" for i in range(len(shape)))
    text = f"g (float[{dims}] x) => (float y, float z) {{ y = Softmax<axis={axis}>(x) z = LogSoftmax<axis={axis}>(x) }}"
    x = (RNG.normal(size=shape) * 5).astype(np.float32)
    y, z = run_everywhere(parse(text), [x], tmp_path)
    assert same_bits(y, library().softmax(x, axis))
    assert same_bits(z, library().softmax(x, axis, log=True))


def test_softmax_of_large_and_infinite_values(tmp_path: Path) -> None:
    x = np.array([[1000, 999, -1000], [-np.inf, 0, 1], [3e38, -3e38, 0]], np.float32)
    run_both(parse("g (float[3,3] x) => (float y) { y = Softmax(x) }"), [x], tmp_path)


@pytest.mark.parametrize("axis", (0, 1))
def test_softmax_of_distances_where_exp_is_hardly_a_number(axis: int, tmp_path: Path) -> None:
    x = np.stack([np.linspace(0, -110, 2003), np.linspace(-88, 0, 2003)], axis=1 - axis).astype(np.float32)
    (y,) = run_everywhere(parse(f"g (float[a,b] x) => (float y) {{ y = Softmax<axis={axis}>(x) }}"), [x], tmp_path)
    assert same_bits(y, library().softmax(x, axis))
    assert not np.any((y > 0) & (y < 1e-40)) and np.any(y == 0)


@pytest.mark.parametrize("opset", (11, 13))
@pytest.mark.parametrize("axis", (None, 0, 1, 2))
def test_softmax_axis_by_opset(opset: int, axis: int | None, tmp_path: Path) -> None:
    """Before opset 13, axes from `axis` on are one."""
    attribute = "" if axis is None else f"<axis={axis}>"
    text = f"""g (float[3,4,5] x) => (float y, float z, float h) {{
      y = Softmax{attribute}(x) z = LogSoftmax{attribute}(x) h = Hardmax{attribute}(x) }}"""
    x = RNG.normal(size=(3, 4, 5)).astype(np.float32)
    run_both(parse(text, opset=opset), [x], tmp_path)


def test_hardmax_takes_the_first_of_equals(tmp_path: Path) -> None:
    model = parse("g (float[n,m] x) => (float y) { y = Hardmax(x) }")
    x = np.array([[1, 3, 3], [2, 2, 2]], np.float32)
    got = run_everywhere(model, [x], tmp_path)[0]
    np.testing.assert_array_equal(got, [[0, 1, 0], [1, 0, 0]])
    np.testing.assert_array_equal(got, reference(model, [x])[0])
