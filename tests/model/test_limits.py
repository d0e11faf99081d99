"""Limits in a row: what they do together, and what is left alone."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from edgeort.model import clean
from tests.model.support import make, operators, run

X = np.linspace(-5, 5, 12).astype(np.float32).reshape(3, 4)
INTERVALS = [(0, 1), (2, 3), (-3, -1), (3, 1), (-2, 2)]


def same(text: str, *, opset: int = 18, x: np.ndarray = X) -> list[str]:
    """The operators that are left, once the results have the same bits."""
    proto = make(f'<ir_version: 8, opset_import: ["": {opset}]> ' + text)
    cleaned = clean(ir.from_proto(proto))
    for ours, theirs in zip(run(cleaned, x=x), run(proto, x=x), strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype
    return operators(cleaned)


@pytest.mark.parametrize("first", INTERVALS)
@pytest.mark.parametrize("second", INTERVALS)
def test_two_clips(first: tuple[int, int], second: tuple[int, int]) -> None:
    (a, b), (c, d) = first, second
    numbers = f"float a = {{{a}}}, float b = {{{b}}}, float c = {{{c}}}, float d = {{{d}}}"
    text = f"g (float[3,4] x) => (float[3,4] y) <{numbers}> {{ u = Clip(x, a, b)  y = Clip(u, c, d) }}"
    assert same(text) == ["Clip"]


@pytest.mark.parametrize("opset", [8, 12, 21])
@pytest.mark.parametrize("body", ["u = Max(x, a)  y = Min(u, b)", "u = Min(b, x)  y = Max(u, a)"])
@pytest.mark.parametrize(("a", "b"), INTERVALS)
def test_minimum_and_maximum(body: str, a: int, b: int, opset: int) -> None:
    text = f"g (float[3,4] x) => (float[3,4] y) <float a = {{{a}}}, float b = {{{b}}}> {{ {body} }}"
    assert same(text, opset=opset) == ["Clip"]


@pytest.mark.parametrize("body", ["u = Relu(x)  y = Clip(u, a, b)", "u = Clip(x, a, b)  y = Relu(u)"])
@pytest.mark.parametrize(("a", "b"), INTERVALS)
def test_relu_and_clip(body: str, a: int, b: int) -> None:
    assert same(f"g (float[3,4] x) => (float[3,4] y) <float a = {{{a}}}, float b = {{{b}}}> {{ {body} }}") == ["Clip"]


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ("u = Relu(x)  v = Relu(u)  y = Relu(v)", ["Relu"]),
        ("u = Relu(x)  v = Clip(u)  y = Max(a, v)", ["Clip"]),
        ("u = Clip(x, a)  y = Clip(u, , b)", ["Clip"]),
        ("u = Max(x)  y = Max(u, a)", ["Max", "Max"]),
        ("u = Relu(x)  v = Min(u, b)  y = Add(u, v)", ["Relu", "Min", "Add"]),
        ("u = Max(x, w)  y = Min(u, b)", ["Max", "Min"]),
    ],
)
def test_chains(body: str, left: list[str]) -> None:
    constants = "float a = {0.5}, float b = {1.5}, float[4] w = {-1, 0, 1, 2}"
    assert same(f"g (float[3,4] x) => (float[3,4] y) <{constants}> {{ {body} }}") == left


def test_a_constant_of_more_dimensions_stays() -> None:
    text = "g (float[4] x) => (float[1,4] y) <float[1,1] a = {1}, float b = {3}> { u = Max(x, a)  y = Min(u, b) }"
    assert same(text, x=X[0]) == ["Max", "Min"]


@pytest.mark.parametrize("body", ["u = Max(x, a)  y = Max(u, h)", "u = Min(x, a)  y = Min(u, l)"])
@pytest.mark.parametrize("opset", [10, 18])
def test_everything_beyond_infinity_stays(body: str, opset: int) -> None:
    text = f"g (float[3,4] x) => (float[3,4] y) <float a = {{1}}, float h = {{inf}}, float l = {{-inf}}> {{ {body} }}"
    assert len(same(text, opset=opset)) == 2


def test_a_limit_that_an_output_shows_stays() -> None:
    text = "g (float[3,4] x) => (float[3,4] u, float[3,4] y) <float b = {3}> { u = Relu(x)  y = Min(u, b) }"
    assert same(text) == ["Relu", "Min"]


def test_integers_stay() -> None:
    text = "g (int64[3,4] x) => (int64[3,4] y) <int64 a = {-2}, int64 b = {2}> { u = Max(x, a)  y = Min(u, b) }"
    assert same(text, x=X.astype(np.int64)) == ["Max", "Min"]


def test_unequal_halves_of_an_odd_axis() -> None:
    text = """g (float[2,5] x) => (float[2,3] z, float[2,2] y)
    <int64[1] o = {0}, int64[1] m = {2}, int64[1] e = {5}, int64[1] axis = {1}>
    { v = Slice(x, m, e, axis)  u = Slice(x, o, m, axis)  z = Neg(v)  y = Relu(u) }"""
    assert same(text, x=X.reshape(-1)[:10].reshape(2, 5)) == ["Slice", "Slice", "Neg", "Relu"]
