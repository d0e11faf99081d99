"""Products of matrices: constant ones with their bias, batches, vectors."""

from __future__ import annotations

import numpy as np
import pytest

from tests.converters.tflite.support import check, normal, reasons


@pytest.mark.parametrize(
    ("attributes", "b", "c"),
    [
        ("", (5, 4), (4,)),
        ("<transB=1>", (4, 5), (1, 4)),
        ("<transB=1, alpha=0.5, beta=2.0>", (4, 5), ()),
        ("<alpha=0.25>", (5, 4), (1, 1)),
    ],
)
def test_gemm(attributes: str, b: tuple[int, ...], c: tuple[int, ...]):
    text = f"g (float[3,5] x) => (float[m,n] y) {{ y = Gemm{attributes}(x, b, c) }}"
    assert check(text, weights=normal(b=b, c=c)) == ["FULLY_CONNECTED"]


def test_gemm_without_a_bias_and_with_an_activation():
    text = "g (float[3,5] x) => (float[m,n] y) { t = Gemm(x, b) y = Relu(t) }"
    assert check(text, weights=normal(b=(5, 4))) == ["FULLY_CONNECTED"]


@pytest.mark.parametrize("x", ["3,5", "2,3,5", "2,3,1,5"])
def test_matmul_by_a_constant_takes_the_bias_and_the_activation(x: str):
    dims = ",".join("abcd"[: x.count(",") + 1])
    text = f"g (float[{x}] x) => (float[{dims}] y) {{ t = MatMul(x, b) u = Add(c, t) y = Relu(u) }}"
    assert check(text, weights=normal(b=(5, 4), c=(4,))) == ["FULLY_CONNECTED"]


def test_a_sum_that_is_read_twice_stays():
    text = "g (float[3,5] x) => (float[m,n] y) { t = MatMul(x, b) u = Add(t, c) y = Mul(t, u) }"
    assert check(text, weights=normal(b=(5, 4), c=(4,))) == ["FULLY_CONNECTED", "ADD", "MUL"]


@pytest.mark.parametrize(
    ("x", "z"),
    [("3,5", "5,4"), ("2,3,5", "2,5,4"), ("2,6,3,5", "2,6,5,4"), ("2,6,3,5", "6,5,4"), ("1,3,5", "4,5,2"),
     ("5", "5,4"), ("2,3,5", "5"), ("5", "5")],
)  # fmt: skip
def test_matmul_of_inputs(x: str, z: str):
    rank = np.matmul(*(np.ones([int(d) for d in s.split(",")]) for s in (x, z))).ndim
    out = f"[{','.join('abcd'[:rank])}]" if rank else ""
    check(f"g (float[{x}] x, float[{z}] z) => (float{out} y) {{ y = MatMul(x, z) }}")


def test_matmul_by_a_constant_batch():
    text = "g (float[2,3,5] x) => (float[a,b,c] y) { y = MatMul(x, b) }"
    assert check(text, weights=normal(b=(2, 5, 4))) == ["BATCH_MATMUL"]


def test_refused():
    text = "g (float[5,3] x) => (float[m,n] y) { y = Gemm<transA=1>(x, b) }"
    assert reasons(text, weights=normal(b=(5, 4))) == [("Gemm", "its first operand is transposed")]
    text = "g (float[3,5] x, float[4] c) => (float[m,n] y) { y = Gemm(x, b, c) }"
    assert "from row to row" in reasons(text, weights=normal(b=(5, 4)))[0][1]
