"""Reductions, softmax, norms, the largest elements and their places."""

from __future__ import annotations

import numpy as np
import pytest

from tests.converters.tflite.support import check, normal, reasons


@pytest.mark.parametrize(
    "op", ["ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare"]
)
@pytest.mark.parametrize(("axes", "keep"), [([1], 1), ([-1, 0], 0), ([2, 3], 1), ([], 0)])
def test_reductions(op: str, axes: list[int], keep: int):
    rank = 4 if keep else (4 - len(axes) if axes else 0)
    out = f"[{','.join('abcd'[:rank])}]" if rank else ""
    given = (
        f"a = Constant<value_ints = {axes}>() y = {op}<keepdims={keep}>(x, a)"
        if axes
        else f"y = {op}<keepdims={keep}>(x)"
    )
    check(f"g (float[2,3,4,5] x) => (float{out} y) {{ {given} }}", opset=18)


def test_log_of_a_sum_and_nothing_to_reduce():
    feeds = {"x": np.abs(normal(x=(2, 3))["x"])}
    check(
        "g (float[2,3] x) => (float[a,b] y) { a = Constant<value_ints=[1]>() y = ReduceLogSum(x, a) }",
        opset=18,
        feeds=feeds,
    )
    check("g (float[2,3] x) => (float[a,b] y) { t = ReduceSum<noop_with_empty_axes=1>(x) y = Neg(t) }", opset=18)


@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize(("axis", "keep"), [(0, 1), (1, 0), (-1, 1)])
def test_places_of_the_largest(op: str, axis: int, keep: int):
    out = "a,b,c" if keep else "a,b"
    check(f"g (float[3,4,5] x) => (int64[{out}] y) {{ y = {op}<axis={axis}, keepdims={keep}>(x) }}")
    text = f"g (float[3,4] x) => (int64[a,b] y) {{ y = {op}<select_last_index=1>(x) }}"
    assert reasons(text) == [(op, "it takes the last of equal elements, and LiteRT the first")]


@pytest.mark.parametrize("largest", [0, 1])
def test_top_k(largest: int):
    text = f"""g (float[3,9] x) => (float[a,b] y, int64[a,b] i) {{
        k = Constant<value_ints=[4]>() y, i = TopK<largest={largest}>(x, k) }}"""
    check(text)


@pytest.mark.parametrize("attributes", ["", "<exclusive=1>", "<reverse=1>", "<exclusive=1, reverse=1>"])
def test_running_sums(attributes: str):
    text = f"g (float[3,9] x) => (float[a,b] y) {{ a = Constant<value_int=1>() y = CumSum{attributes}(x, a) }}"
    check(text)


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize(("axis", "opset"), [(-1, 17), (1, 17), (0, 17), (1, 11), (2, 11)])
def test_softmax(op: str, axis: int, opset: int):
    check(f"g (float[2,3,5] x) => (float[a,b,c] y) {{ y = {op}<axis={axis}>(x) }}", opset=opset)


@pytest.mark.parametrize("axis", [-1, 1])
def test_layer_norm(axis: int):
    weights = normal(s=(4, 5) if axis == 1 else (5,), b=(4, 5) if axis == 1 else (5,))
    text = f"g (float[2,4,5] x) => (float[a,b,c] y) {{ y = LayerNormalization<axis={axis}, epsilon=0.001>(x, s, b) }}"
    assert check(text, weights=weights) == ["MEAN", "SUB", "SQUARE", "MEAN", "ADD", "RSQRT", "MUL", "MUL", "ADD"]
    check(text.replace("(x, s, b)", "(x, s)"), weights={"s": weights["s"]})


def test_layer_norm_of_old_opsets():
    text = """g (float[2,4,5] x) => (float[a,b,c] y) {
        m = ReduceMean<axes=[-1]>(x) d = Sub(x, m) two = Constant<value_float=2.0>() q = Pow(d, two)
        v = ReduceMean<axes=[-1]>(q) e = Constant<value_float=0.00001>() f = Add(v, e) r = Sqrt(f) n = Div(d, r)
        t = Mul(n, s) y = Add(t, b) }"""
    assert "RSQRT" in check(text, weights=normal(s=(5,), b=(5,)), opset=13)
