"""Functions of elements equal ONNX Runtime's, with broadcasting, for the types that LiteRT takes."""

from __future__ import annotations

import numpy as np
import pytest

from tests.converters.tflite.support import check, normal, reasons

UNARY = (
    "Abs", "Ceil", "Cos", "Exp", "Floor", "HardSwish", "Mish", "Neg", "Relu", "Round", "Sigmoid", "Sign", "Sin",
    "Softplus", "Softsign", "Tanh", "Identity", "Erf", "Selu", "Elu", "Celu", "LeakyRelu", "HardSigmoid",
)  # fmt: skip


@pytest.mark.parametrize("op", UNARY)
def test_unary(op: str):
    check(f"g (float[2,3,5,7] x) => (float[a,b,c,d] y) {{ y = {op}(x) }}", opset=18, tolerance=2e-6)


@pytest.mark.parametrize("op", ["Log", "Sqrt", "Reciprocal"])
def test_unary_of_positive_numbers(op: str):
    feeds = {"x": np.abs(normal(x=(2, 3, 5))["x"]) + 0.1}
    check(f"g (float[2,3,5] x) => (float[a,b,c] y) {{ y = {op}(x) }}", feeds=feeds)


@pytest.mark.parametrize(
    "call",
    [
        "Elu<alpha=0.5>", "Celu<alpha=2.0>", "Selu<alpha=1.5, gamma=2.0>", "LeakyRelu<alpha=0.3>",
        "HardSigmoid<alpha=0.3, beta=0.4>", "HardSigmoid<alpha=0.16666667, beta=0.5>",
    ],
)  # fmt: skip
def test_parameters(call: str):
    check(f"g (float[2,3,5] x) => (float[a,b,c] y) {{ y = {call}(x) }}", tolerance=2e-6)


def test_reciprocal_of_a_square_root_is_one_operator():
    feeds = {"x": np.abs(normal(x=(2, 3, 5))["x"]) + 0.1}
    assert check("g (float[2,3,5] x) => (float[a,b,c] y) { t = Sqrt(x) y = Reciprocal(t) }", feeds=feeds) == ["RSQRT"]


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu(approximate: str):
    text = f'g (float[2,3,5] x) => (float[a,b,c] y) {{ y = Gelu<approximate="{approximate}">(x) }}'
    assert check(text, opset=20) == ["GELU"]


def test_silu_from_its_parts():
    assert check("g (float[2,3,5] x) => (float[a,b,c] y) { s = Sigmoid(x) y = Mul(x, s) }") == ["LOGISTIC", "MUL"]


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div", "Max", "Min", "PRelu"])
@pytest.mark.parametrize("other", [(), (7,), (5, 1), (3, 1, 1), (1, 3, 5, 7)])
def test_broadcasting_a_constant(op: str, other: tuple[int, ...]):
    weights = normal(seed=3, w=other)
    weights["w"] = np.asarray(np.where(np.abs(weights["w"]) < 0.1, 0.5, weights["w"]), np.float32)
    check(f"g (float[2,3,5,7] x) => (float[a,b,c,d] y) {{ y = {op}(x, w) }}", weights=weights)


def test_broadcasting_inputs_both_ways():
    text = "g (float[2,1,5,7] x, float[3,5,1] z) => (float[a,b,c,d] y) { t = Add(x, z) y = Mul(z, t) }"
    assert check(text) == ["ADD", "MUL"]


def test_more_than_two_operands_and_activations():
    text = """g (float[2,3] a, float[3] b, float[2,1] c) => (float[m,n] y, float[m,n] z) {
        t = Sum(a, b, c) y = Max(t, b, c) u = Sub(a, c) z = Relu(u) }"""
    assert check(text).count("RELU") == 0


@pytest.mark.parametrize("op", ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"])
def test_comparisons_and_select(op: str):
    feeds = {"x": np.float32([[1, 2, 3], [4, 5, 6]]), "z": np.float32([[1, 3, 2], [4, 4, 7]])}
    text = f"g (float[2,3] x, float[2,3] z) => (bool[m,n] c, float[m,n] y) {{ c = {op}(x, z) y = Where(c, x, z) }}"
    check(text, feeds=feeds)


def test_booleans():
    text = """g (bool[2,3] a, bool[3] b) => (bool[m,n] y) {
        t = And(a, b) u = Or(a, b) v = Xor(t, u) y = Not(v) }"""
    feeds = {"a": np.array([[1, 0, 1], [0, 0, 1]], bool), "b": np.array([1, 1, 0], bool)}
    check(text, feeds=feeds)


@pytest.mark.parametrize("to", [6, 7, 9, 1])
def test_casts(to: int):
    kind = {6: "int32", 7: "int64", 9: "bool", 1: "float"}[to]
    feeds = {"x": np.float32([-2.5, -0.5, 0, 0.5, 3.7])}
    check(f"g (float[5] x) => ({kind}[n] y) {{ y = Cast<to={to}>(x) }}", feeds=feeds)


def test_integers():
    feeds = {"x": np.int64([[3, -2, 7]]), "z": np.int64([[2, 5, 7]])}
    text = """g (int64[1,3] x, int64[1,3] z) => (int64[a,b] s, int64[a,b] p, bool[a,b] e) {
        s = Add(x, z) p = Mul(x, z) e = Equal(x, z) }"""
    check(text, feeds=feeds)


def test_not_a_number():
    feeds = {"x": np.float32([1, np.nan, np.inf])}
    check("g (float[3] x) => (bool[n] y) { y = IsNaN(x) }", feeds=feeds)


def test_powers_by_a_constant():
    feeds = {"x": np.abs(normal(x=(2, 3))["x"]) + 0.1}
    check("g (float[2,3] x) => (float[a,b] y) { e = Constant<value_float=1.7>() y = Pow(x, e) }", feeds=feeds)


def test_refused():
    text = "g (int64[3] x, int64[3] z) => (int64[n] y) { y = Div(x, z) }"
    assert reasons(text) == [("Div", "integer division rounds otherwise in LiteRT")]
    text = "g (float[3] x) => (float[n] y) { y = Acosh(x) }"
    assert reasons(text) == [("Acosh", "LiteRT has no Acosh, and no few operators that compute it are known here")]
    text = "g (int8[3] x, int8[3] z) => (bool[n] y) { y = Greater(x, z) }"  # LiteRT aborts the process
    assert reasons(text) == [("Greater", "LiteRT's GREATER does not take int8")]
    text = "g (float[3] x, float h) => (float[n] y) { y = Clip(x, h) }"
    assert reasons(text) == [("Clip", "its bounds are computed as the model runs")]
    text = "g (double[3] x) => (double[n] y) { y = Relu(x) }"
    assert "is of type double" in reasons(text)[0][1]
