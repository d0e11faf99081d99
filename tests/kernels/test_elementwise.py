"""Programs of micro-operations: every one of them, broadcasting, immediates and chains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeort.lowering import layout
from tests.kernels.support import everywhere, parse, reference, run_both, run_everywhere, same_bits
from tests.reference import UNARY, library

Run = Callable[[Sequence[np.ndarray]], list[np.ndarray]]
RNG = np.random.default_rng(5)

# Node texts of one operand; the name before "(" is the operator.
ONE_OPERAND = (
    "Neg", "Abs", "Sqrt", "Reciprocal", "Exp", "Log", "Floor", "Ceil", "Round", "Sign", "Sin", "Cos", "Tan", "Asin",
    "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh", "Relu", "LeakyRelu<alpha=0.3>",
    "ThresholdedRelu<alpha=0.4>", "Elu<alpha=1.5>", "Selu", "Selu<alpha=1.5,gamma=0.9>", "Celu<alpha=0.7>",
    "HardSigmoid", "HardSigmoid<alpha=0.4,beta=0.3>", "HardSwish", "Sigmoid", "Tanh", "Erf", "Gelu",
    'Gelu<approximate="tanh">', "Mish", "Softplus", "Softsign", "Shrink",
    "Shrink<lambd=0.8,bias=0.3>", "Identity",
)  # fmt: skip
TWO_OPERANDS = ("Add", "Sub", "Mul", "Div", "Min", "Max", "Pow", "PRelu")
# Those that tests.reference writes down, to be compared bit by bit.
_SAME_BITS = {
    "Exp": "exp", "Log": "log", "Tanh": "tanh", "Erf": "erf", "Sigmoid": "sigmoid", "Softplus": "softplus",
    "Sin": "sin", "Cos": "cos", "Tan": "tan", "Asin": "asin", "Acos": "acos", "Atan": "atan", "Sinh": "sinh",
    "Cosh": "cosh", "Asinh": "asinh", "Acosh": "acosh", "Atanh": "atanh", "HardSwish": "hard_swish", "Mish": "mish",
    "Gelu": "gelu", 'Gelu<approximate="tanh">': "gelu_tanh",
}  # fmt: skip


def _call(text: str, operands: str) -> str:
    name, _, attributes = text.partition("<")
    return f"{name}<{attributes} ({operands})" if attributes else f"{name}({operands})"


def _unary_model() -> onnx.ModelProto:
    outputs = ", ".join(f"float[n] y{i}" for i in range(len(ONE_OPERAND)))
    nodes = " ".join(f"y{i} = {_call(text, 'x')}" for i, text in enumerate(ONE_OPERAND))
    return parse(f"g (float[n] x) => ({outputs}) {{ {nodes} }}", opset=20)


@pytest.fixture(scope="module")
def unary(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return everywhere(_unary_model(), tmp_path_factory.mktemp("unary"))


@pytest.mark.parametrize("n", (0, 1, 7, 16, 37, 1037))
def test_every_unary_operator(unary: Run, n: int) -> None:
    x = (RNG.normal(size=n) * 3).astype(np.float32)
    x[:5] = np.array([0.0, -0.0, 0.5, -0.75, 1.0], np.float32)[: min(n, 5)]
    got = unary([x])
    with np.errstate(all="ignore"):
        want = reference(_unary_model(), [x])
    for text, ours, theirs in zip(ONE_OPERAND, got, want, strict=True):
        if text in _SAME_BITS:
            assert same_bits(ours, library().unary(_SAME_BITS[text], x)), text
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6, err_msg=text)


def test_special_values(unary: Run) -> None:
    x = np.array([np.nan, np.inf, -np.inf, 1e-42, -1e-42, 3e38, -3e38, 0.0, -0.0], np.float32)
    got = dict(zip(ONE_OPERAND, unary([x]), strict=True))
    for text, name in _SAME_BITS.items():
        assert same_bits(got[text], library().unary(name, x)), text
    np.testing.assert_array_equal(got["Neg"], -x)
    np.testing.assert_array_equal(np.signbit(got["Relu"][-2:]), [False, True])
    assert same_bits(got["Relu"], np.where(x < 0, np.float32(0), x))
    assert same_bits(got["Sign"], np.where(x > 0, np.float32(1), np.where(x < 0, np.float32(-1), x)))


def test_round_to_even_and_negative_zero(unary: Run) -> None:
    x = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 0.49999997, 8388609.0, -0.2], np.float32)
    got = dict(zip(ONE_OPERAND, unary([x]), strict=True))
    for text, function in (("Round", np.rint), ("Floor", np.floor), ("Ceil", np.ceil)):
        assert same_bits(got[text], function(x)), text


def test_rows_cover_every_micro_operation() -> None:
    tested = {text.partition("<")[0] for text in (*ONE_OPERAND, *TWO_OPERANDS)} | {"Clip"}
    reversed_ones = {"ReverseSub", "ReverseDiv", "ReversePow"}  # test_immediates
    fused = {"Silu", "GeluTanh", "Swish"}  # test_silu_and_swish, test_every_unary_operator
    quantised = {"Dequantize", "Quantize"}  # test_quantised_operands_broadcast, tests/contract
    assert set(layout.UOPS) == (tested - {"Identity"}) | reversed_ones | fused | quantised


def test_silu_and_swish(tmp_path: Path) -> None:
    text = """g (float[n] x) => (float[n] silu, float[n] scaled) {
      s = Sigmoid(x) silu = Mul(x, s) scaled = Swish<alpha=1.5>(x) }"""
    x = (RNG.normal(size=133) * 4).astype(np.float32)
    silu, scaled = run_everywhere(parse(text, opset=24, ir_version=11), [x], tmp_path)
    assert same_bits(silu, library().unary("silu", x))
    np.testing.assert_allclose(scaled, x / (1 + np.exp(-1.5 * x.astype(np.float64))), rtol=1e-5, atol=1e-7)


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Run:
    outputs = ", ".join(f"float[p,q,r,s] y{i}" for i in range(len(TWO_OPERANDS)))
    nodes = " ".join(f"y{i} = {name}(x, z)" for i, name in enumerate(TWO_OPERANDS))
    text = f"g (float[a,b,c,d] x, float[e,f,g,h] z) => ({outputs}) {{ {nodes} }}"
    return everywhere(parse(text), tmp_path_factory.mktemp("binary"))


def _prelu(x: np.ndarray, slope: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return np.where(x < 0, x * slope, x)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from((0, 1, 2, 3, 5, 17, 40)), st.sampled_from("xzb")), min_size=4, max_size=4),
    st.integers(0, 1000),
)
def test_broadcasting(binary: Run, dims: list[tuple[int, str]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = np.abs(rng.normal(size=[1 if who == "z" else n for n, who in dims])).astype(np.float32) + np.float32(0.1)
    z = rng.normal(size=[1 if who == "x" else n for n, who in dims]).astype(np.float32)
    got = binary([x, z])
    formulas = (np.add, np.subtract, np.multiply, np.divide, np.minimum, np.maximum)
    for ours, formula in zip(got, formulas, strict=False):
        assert same_bits(ours, formula(x, z)), formula
    np.testing.assert_allclose(got[6], np.power(x.astype(np.float64), z), rtol=1e-6)
    assert same_bits(got[7], _prelu(x, z))


@pytest.mark.parametrize(
    ("a", "b"),
    [((7, 9, 33), (7, 1, 33)), ((5, 1, 40), (1, 6, 40)), ((3, 50, 8), (3, 1, 1)), ((4, 3, 30, 5), (4, 1, 30, 1))],
)
def test_rows_that_are_even_in_groups_alone(a: tuple[int, ...], b: tuple[int, ...], tmp_path: Path) -> None:
    """Several short rows are run at once, but never of two groups."""
    dims = [", ".join(map(str, shape)) for shape in (a, b)]
    model = parse(
        f"g (float[{dims[0]}] p, float[{dims[1]}] q) => (float y, float z) {{ y = Sub (p, q) z = Div (q, p) }}"
    )
    for value in model.graph.output:
        value.type.tensor_type.shape.Clear()
        value.type.tensor_type.ClearField("shape")
    x = [RNG.normal(0, 1, shape).astype(np.float32) for shape in (a, b)]
    got = run_everywhere(model, x, tmp_path)
    assert same_bits(got[0], x[0] - x[1]) and same_bits(got[1], x[1] / x[0])


@pytest.mark.parametrize("width", [1, 3, 37])
def test_rows_with_gaps_between_them(width: int, tmp_path: Path) -> None:
    text = f"""g (float[2, 60, {width}] p, float[60, {width}] q) => (float[2, 60, {2 * width}] y) {{
        s = Sub (p, q) y = Concat <axis = 2> (s, p) }}"""
    p, q = RNG.normal(0, 1, (2, 60, width)).astype(np.float32), RNG.normal(0, 1, (60, width)).astype(np.float32)
    (got,) = run_everywhere(parse(text), [p, q], tmp_path)
    assert same_bits(got, np.concatenate([p - q, p], 2))


def test_squares_are_products(tmp_path: Path) -> None:
    model = parse("g (float[n] x) => (float[n] y) { t = Constant<value_float = 2.0>() y = Pow (x, t) }")
    x = np.array([0.0, -0.0, -3.0, 1e-30, 1e30, np.inf, -np.inf, 0.1, 7.3], np.float32)
    with np.errstate(over="ignore", under="ignore"):
        assert same_bits(run_everywhere(model, [x], tmp_path)[0], x * x)


def test_nan_and_signs_of_two_operands(binary: Run) -> None:
    values = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -2.0], np.float32)
    x, z = values.reshape(1, 1, 7, 1), values.reshape(1, 1, 1, 7)
    got = dict(zip(TWO_OPERANDS, binary([x, z]), strict=True))
    with np.errstate(all="ignore"):
        assert same_bits(got["Div"], x / z)
        assert same_bits(got["Pow"], np.power(x, z))
    for name in ("Min", "Max"):
        np.testing.assert_array_equal(np.isnan(got[name]), np.isnan(x) | np.isnan(z))
    assert same_bits(got["PRelu"], _prelu(x, z))


def test_immediates(tmp_path: Path) -> None:
    """A constant of one element on either side."""
    names = [name for name in TWO_OPERANDS if name != "PRelu"]
    nodes = " ".join(f"l{name} = {name}(c, x) r{name} = {name}(x, c)" for name in names)
    outputs = ", ".join(f"float[n] l{name}, float[n] r{name}" for name in names)
    x = np.abs(RNG.normal(size=45)).astype(np.float32)
    run_both(parse(f"g (float[n] x) => ({outputs}) {{ {nodes} }}", {"c": np.float32([1.7])}), [x], tmp_path)


def test_clip(tmp_path: Path) -> None:
    text = """g (float[n] x) => (float[n] both, float[n] below, float[n] above) {
      both = Clip(x, lo, hi) below = Clip(x, lo) above = Clip(x, , hi) }"""
    x = np.append(RNG.normal(size=45), [np.nan, np.inf, -np.inf]).astype(np.float32)
    run_both(parse(text, {"lo": np.float32(-0.5), "hi": np.float32(0.25)}), [x], tmp_path)


def test_a_chain_keeps_its_order_and_operands(tmp_path: Path) -> None:
    """One program: repeated operands, a diamond, an operand that broadcasts along rows and one along columns."""
    text = """g (float[b,c,w] x, float[c,1] scale, float[w] shift) => (float[b,c,w] y) {
      a = Mul(x, scale) d = Add(a, shift) e = Tanh(d) f = Mul(e, d) g = Sub(f, x) y = Max(g, shift) }"""
    operands = [RNG.normal(size=s).astype(np.float32) for s in ((2, 5, 1031), (5, 1), (1031,))]
    x, scale, shift = operands
    got = run_everywhere(parse(text), operands, tmp_path)[0]
    d = x * scale + shift
    assert same_bits(got, np.maximum(library().unary("tanh", d) * d - x, shift))


def test_operands_that_do_not_broadcast_are_an_error(tmp_path: Path) -> None:
    run = everywhere(parse("g (float[n] x, float[m] z) => (float[k] y) { y = Add(x, z) }"), tmp_path)
    with pytest.raises(Exception, match="broadcast"):
        run([np.zeros(3, np.float32), np.zeros(4, np.float32)])


def test_unary_names_of_the_reference_are_used() -> None:
    assert set(_SAME_BITS.values()) | {"silu", "expm1", "log1p", "rsqrt"} == set(UNARY)


@pytest.mark.parametrize("dtype", ("uint8", "int8"))
@pytest.mark.parametrize("other", ([4, 3, 37], [3, 37], [37], [4, 1, 37], [3, 1], [4, 1, 1], [1]), ids=str)
def test_quantised_operands_broadcast(dtype: str, other: list[int], tmp_path: Path) -> None:
    """Integers of any place in the broadcast, read by one program and by two, and a result that is read by another."""
    shape = ",".join(map(str, other))
    text = f"""g (float[4,3,37] x, float[{shape}] z) => (float[4,3,37] y, {dtype}[4,3,37] q) {{
      s = Constant<value_float=0.03125>() zero = Constant<value = {dtype} {{77}}>() t = Constant<value_float=0.0625>()
      xq = QuantizeLinear(x, s, zero) xd = DequantizeLinear(xq, s, zero)
      zq = QuantizeLinear(z, t, zero) zd = DequantizeLinear(zq, t, zero)
      a = Add(xd, zd) b = Sigmoid(a) q = QuantizeLinear(b, s, zero) qd = DequantizeLinear(q, s, zero)
      y = Mul(qd, zd) }}"""
    x, z = (RNG.normal(size=shape).astype(np.float32) * 2 for shape in ([4, 3, 37], other))
    run_both(parse(text), [x, z], tmp_path)
