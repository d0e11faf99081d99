"""Operators on every element type: arithmetic, comparisons, bits, Where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper

from edgeort.errors import PlanError, UnsupportedError
from tests.kernels.support import (
    INTEGERS,
    NUMBERS,
    engine,
    everywhere,
    parse,
    reference,
    run_both,
    run_everywhere,
    same_bits,
)

Run = Callable[[Sequence[np.ndarray]], list[np.ndarray]]
RNG = np.random.default_rng(11)


def _values(dtype: np.dtype, size: int | tuple[int, ...], low: int = -20, high: int = 20) -> np.ndarray:
    if dtype.kind == "f":
        return (RNG.normal(size=size) * 5).astype(dtype)
    return RNG.integers(max(low, 0) if dtype.kind == "u" else low, high, size=size).astype(dtype)


def _model(ops: Sequence[str], dtypes: Sequence[np.dtype], rank: int = 1, opset: int = 18) -> onnx.ModelProto:
    """Output i is the node ops[i] over all inputs; `Name:attribute=value` sets an attribute."""
    names = [f"x{i}" for i in range(len(dtypes))]
    nodes = []
    for op in ops:
        name, *pairs = op.split(":")
        attributes = {key: int(value) for key, value in (pair.split("=") for pair in pairs)}
        nodes.append(helper.make_node(name, names, [op], **attributes))
    inputs = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(dtype), [f"{name}_{d}" for d in range(rank)]
        )
        for name, dtype in zip(names, dtypes, strict=True)
    ]
    outputs = [onnx.ValueInfoProto(name=op) for op in ops]
    graph = onnx.shape_inference.infer_shapes(
        helper.make_model(
            helper.make_graph(nodes, "g", inputs, outputs), opset_imports=[helper.make_opsetid("", opset)], ir_version=9
        )
    )
    return graph


@pytest.mark.parametrize("dtype", NUMBERS, ids=str)
def test_arithmetic(dtype: np.dtype, tmp_path: Path) -> None:
    """Integers wrap; division truncates."""
    a, b = _values(dtype, 37), _values(dtype, 37)
    b[b == 0] = 3
    ops = ("Add", "Sub", "Mul", "Div", "Min", "Max")
    got = run_everywhere(_model(ops, (dtype, dtype)), [a, b], tmp_path)
    quotient = a / b if dtype.kind == "f" else np.trunc(a.astype("f8") / b.astype("f8")).astype(dtype)
    with np.errstate(over="ignore"):
        want = (a + b, a - b, a * b, quotient, np.minimum(a, b), np.maximum(a, b))
    for op, ours, theirs in zip(ops, got, want, strict=True):
        assert same_bits(ours, theirs.astype(dtype)), op


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_what_processors_trap_on(dtype: np.dtype, tmp_path: Path) -> None:
    """Division by zero is 0, its remainder the dividend; the lowest value divided by -1 wraps."""
    low = np.iinfo(dtype).min
    a = np.array([5, low, low, 7], dtype)
    b = np.array([0, np.array(-1).astype(dtype), 0, np.array(-1).astype(dtype)], dtype)
    div, mod, fmod = run_everywhere(_model(("Div", "Mod", "Mod:fmod=1"), (dtype, dtype)), [a, b], tmp_path)
    signed = dtype.kind == "i"
    np.testing.assert_array_equal(div, np.array([0, low, 0, -7], dtype) if signed else [0, 0, 0, 0])
    np.testing.assert_array_equal(fmod, np.array([5, 0, low, 0], dtype) if signed else [5, low, low, 7])
    np.testing.assert_array_equal(mod, fmod)


@pytest.mark.parametrize("dtype", NUMBERS, ids=str)
def test_remainders(dtype: np.dtype, tmp_path: Path) -> None:
    a, b = _values(dtype, 101), _values(dtype, 101)
    b[b == 0] = 3
    if dtype.kind == "f":
        a[:8] = [1e30, -1e30, 1e-40, 5, -0.0, np.inf, np.nan, 3]
        b[:8] = [3e-30, 7, 1e-44, np.inf, 2, 2, 2, 0]
    ours, python_like = run_everywhere(_model(("Mod:fmod=1", "Mod"), (dtype, dtype)), [a, b], tmp_path)
    with np.errstate(invalid="ignore"):
        assert same_bits(ours, np.fmod(a, b))
        assert dtype.kind == "f" or same_bits(python_like, np.mod(a, b))


@pytest.mark.parametrize("dtype", (*NUMBERS, np.dtype(bool)), ids=str)
def test_comparisons(dtype: np.dtype, tmp_path: Path) -> None:
    a, b = (_values(np.dtype("i8"), 70, 0, 3).astype(dtype) for _ in range(2))
    if dtype.kind == "f":
        a[0] = b[1] = np.nan
    ops = ("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual") if dtype.kind != "b" else ("Equal",)
    functions = (np.equal, np.less, np.less_equal, np.greater, np.greater_equal)
    got = run_everywhere(_model(ops, (dtype, dtype)), [a, b], tmp_path)
    for op, ours, function in zip(ops, got, functions, strict=False):
        assert same_bits(ours, function(a, b)), op


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_bits(dtype: np.dtype, tmp_path: Path) -> None:
    a, b = _values(dtype, 37), _values(dtype, 37)
    got = run_everywhere(_model(("BitwiseAnd", "BitwiseOr", "BitwiseXor"), (dtype, dtype)), [a, b], tmp_path)
    for ours, theirs in zip(got, (a & b, a | b, a ^ b), strict=True):
        assert same_bits(ours, theirs)
    assert same_bits(run_everywhere(_model(("BitwiseNot",), (dtype,)), [a], tmp_path)[0], ~a)


def test_shifts_by_the_width_or_more(tmp_path: Path) -> None:
    text = """g (uint8[n] x, uint8[n] y) => (uint8[n] l, uint8[n] r) {
      l = BitShift<direction="LEFT">(x, y) r = BitShift<direction="RIGHT">(x, y) }"""
    x, y = np.array([255, 255, 255, 129], np.uint8), np.array([1, 8, 200, 7], np.uint8)
    left, right = run_everywhere(parse(text), [x, y], tmp_path)
    np.testing.assert_array_equal(left, [254, 0, 0, 128])
    np.testing.assert_array_equal(right, [127, 0, 0, 1])


def test_logic(tmp_path: Path) -> None:
    a, b = RNG.random(33) < 0.5, RNG.random(33) < 0.5
    got = run_everywhere(_model(("And", "Or", "Xor"), (a.dtype, a.dtype)), [a, b], tmp_path)
    for ours, theirs in zip(got, (a & b, a | b, a ^ b), strict=True):
        assert same_bits(ours, theirs)
    assert same_bits(run_everywhere(_model(("Not",), (a.dtype,)), [a], tmp_path)[0], ~a)


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[np.dtype, Run]]:
    folder = tmp_path_factory.mktemp("where")
    kinds = [np.dtype(name) for name in ("u1", "f2", "f4", "i8")]
    return [(d, everywhere(_model(("Where",), (np.dtype(bool), d, d), rank=3), folder)) for d in kinds]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from((0, 1, 2, 5, 33)), st.integers(0, 7)), min_size=3, max_size=3))
def test_where_broadcasts(where: list[tuple[np.dtype, Run]], dims: list[tuple[int, int]]) -> None:
    """Bit k of a dimension's mask: operand k has size 1 there."""
    shapes = [tuple(1 if mask >> k & 1 else n for n, mask in dims) for k in range(3)]
    condition = RNG.random(shapes[0]) < 0.5
    for dtype, run in where:
        a, b = _values(dtype, shapes[1]), _values(dtype, shapes[2])
        assert same_bits(run([condition, a, b])[0], np.where(condition, a, b))


def test_many_operands_fold_from_the_left(tmp_path: Path) -> None:
    """Sum of the same tensor three times must not read what it has begun to write."""
    text = """g (float[5,1] a, float[7] b, float[5,7] c) => (float s, float m, float lo, float hi, float t) {
      s = Sum(a, b, c) m = Mean(a, b, c) lo = Min(a, b, c) hi = Max(a, b, c) d = Neg(c) t = Sum(d, d, d) }"""
    shapes = ((5, 1), (7,), (5, 7))
    run_both(parse(text), [RNG.normal(size=s).astype(np.float32) for s in shapes], tmp_path, rtol=1e-6)


def test_one_operand_is_a_copy(tmp_path: Path) -> None:
    text = "g (int64[n] a, float[n] x) => (int64[n] s, float[n] m) { s = Max(a) m = Mean(x) }"
    run_both(parse(text), [np.arange(5), np.arange(5, dtype=np.float32)], tmp_path)


@pytest.mark.parametrize("dtype", [d for d in NUMBERS if d.name != "float32"], ids=str)
def test_unary(dtype: np.dtype, tmp_path: Path) -> None:
    x = _values(dtype, 37)
    ops = {"Abs": np.abs, "Sign": np.sign}
    if dtype.kind != "u":
        ops |= {"Neg": np.negative, "Relu": lambda v: np.maximum(v, 0).astype(dtype)}
    if dtype.kind == "f":
        x[:4] = [0.5, 1.5, -2.5, 4503599627370497.5]
        ops |= {"Round": np.rint, "Floor": np.floor, "Ceil": np.ceil, "Sqrt": np.sqrt, "Reciprocal": np.reciprocal}
    got = run_everywhere(_model(tuple(ops), (dtype,)), [x], tmp_path)
    with np.errstate(invalid="ignore"):
        for ours, (op, function) in zip(got, ops.items(), strict=True):
            np.testing.assert_array_equal(ours, function(x), err_msg=op)


@pytest.mark.parametrize("dtype", (np.float32, np.float64, np.float16))
def test_nan_and_infinity(dtype: type, tmp_path: Path) -> None:
    x = np.array([1, np.nan, np.inf, -np.inf, 0], dtype)
    ops = ("IsNaN", "IsInf", "IsInf:detect_negative=0", "IsInf:detect_positive=0")
    got = run_everywhere(_model(ops, (x.dtype,), opset=20), [x], tmp_path)
    for ours, theirs in zip(got, (np.isnan(x), np.isinf(x), x == np.inf, x == -np.inf), strict=True):
        assert same_bits(ours, theirs)


@pytest.mark.parametrize("other", (np.int32, np.int64, np.float32, np.uint8))
@pytest.mark.parametrize("base", (np.int32, np.int64, np.float32))
def test_pow_of_mixed_types(base: type, other: type, tmp_path: Path) -> None:
    x, y = np.array([1, 2, 3, 5], base), np.array([0, 3, 2, 1], other)
    got = run_everywhere(_model(("Pow",), (x.dtype, y.dtype)), [x, y], tmp_path)[0]
    assert same_bits(got, np.array([1, 8, 9, 5], base))


def test_clip_with_limits_that_are_no_constants(tmp_path: Path) -> None:
    text = """g (float[n] x, float lo, float hi, int64[n] k, int64 least) => (float[n] a, float[n] b, int64[n] c) {
      a = Clip(x, lo, hi) b = Clip(x, , hi) c = Clip(k, least) }"""
    x = np.append(RNG.normal(size=30), [np.inf, -np.inf]).astype(np.float32)
    limits = np.array(-0.5, np.float32), np.array(0.5, np.float32)
    run_both(parse(text), [x, *limits, np.arange(32) - 16, np.array(-3)], tmp_path)


def test_shape_arithmetic_runs_at_prepare(tmp_path: Path) -> None:
    text = """g (float[n,m] x) => (int64[2] s) { a = Shape(x) b = Mul(a, a) c = Sub(b, a) d = Div(c, two)
      e = Equal(d, a) s = Where(e, a, d) }"""
    opened = engine(parse(text, {"two": np.array([2])}), tmp_path)
    x = np.zeros((3, 8), np.float32)
    np.testing.assert_array_equal(opened.run([x])[0], reference(parse(text, {"two": np.array([2])}), [x])[0])
    assert opened.nodes and all(node.skipped for node in opened.nodes)


@pytest.mark.parametrize(("name", "function"), [("Sin", np.sin), ("Cos", np.cos)])
def test_sine_and_cosine_of_float64(name: str, function: Callable[[np.ndarray], np.ndarray], tmp_path: Path) -> None:
    quarters = np.arange(-40, 41) * (np.pi / 2)
    near = [np.nextafter(quarters, direction) for direction in (-np.inf, np.inf)]
    far = RNG.uniform(-1, 1, 500) * 10.0 ** RNG.uniform(-8, 13, 500)
    x = np.concatenate([quarters, *near, RNG.uniform(-10, 10, 2000), far, [0.0, -0.0, 5e-324, 2.0**45]])
    text = f"g (double[n] x) => (double[n] y) {{ y = {name}(x) }}"
    got, want = run_everywhere(parse(text), [x], tmp_path)[0], function(x)
    assert np.abs((got - want) / np.spacing(np.abs(want))).max() <= 2
    assert np.array_equal(np.signbit(got), np.signbit(want))
    assert np.isnan(run_everywhere(parse(text), [np.array([np.nan, np.inf, -np.inf, 1e15])], tmp_path)[0]).all()


def test_float64_functions_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="no kernel"):
        engine(parse("g (double[4] x) => (double[4] y) { y = Tan(x) }"), tmp_path)
    with pytest.raises(UnsupportedError, match="f64"):
        engine(parse("g (double[4] x) => (double[4] y) { y = Pow(x, x) }"), tmp_path)


def test_shapes_that_do_not_broadcast_are_an_error(tmp_path: Path) -> None:
    opened = engine(_model(("Add",), (np.dtype("i8"), np.dtype("i8"))), tmp_path)
    with pytest.raises(PlanError, match="do not broadcast"):
        opened.run([np.arange(3), np.arange(4)])
