from __future__ import annotations

import numpy as np
import pytest

from edgeort.passes import PassContext, run_passes
from edgeort.passes.fold_scale import fold_scale
from tests.passes.harness import check, counts, model_of, random_weights

CONV = "g (float[N,4,6,5] x) => (float[N,6,P,Q] y) {{ c = Conv (x, w)  y = {0} }}"


@pytest.mark.parametrize(
    "operation", ["Mul (c, s)", "Mul (s, c)", "Add (c, s)", "Sub (c, s)", "Sub (s, c)", "Div (c, s)"]
)
@pytest.mark.parametrize("shape", [(6, 1, 1), (1, 6, 1, 1), (), (1,)])
def test_folds_into_conv(operation: str, shape: tuple[int, ...]) -> None:
    weights = random_weights(w=(6, 4, 3, 3), s=shape)
    model, ctx = check(model_of(CONV.format(operation), weights=weights), (fold_scale,), sizes={"N": 2})
    assert counts(model) == {"Conv": 1}
    assert not ctx.log


def test_folds_a_chain_whole() -> None:
    text = """g (float[N,4,6,5] x) => (float[N,6,P,Q] y) {
        c = ConvTranspose <group = 2> (x, w)  d = Mul (c, s)  e = Add (d, t)  y = Div (e, s) }"""
    weights = random_weights(w=(4, 3, 3, 3), s=(6, 1, 1), t=(6, 1, 1))
    model, _ = check(model_of(text, weights=weights), (fold_scale,))
    assert counts(model) == {"ConvTranspose": 1}


@pytest.mark.parametrize("operation", ["Mul (c, s)", "Div (c, s)"])
def test_folds_into_matmul(operation: str) -> None:
    text = f"g (float[N,3,4] x) => (float[N,3,6] y) {{ c = MatMul (x, w)  y = {operation} }}"
    model, _ = check(model_of(text, weights=random_weights(w=(4, 6), s=(6,))), (fold_scale,))
    assert counts(model) == {"MatMul": 1}


def test_folds_into_gemm() -> None:
    body = "c = Gemm <transB = 1, beta = 2.0> (x, w, k)  d = Mul (c, s)  y = Add (d, s)"
    text = f"g (float[N,4] x) => (float[N,6] y) {{ {body} }}"
    model, _ = check(model_of(text, weights=random_weights(w=(6, 4), k=(6,), s=(1, 6))), (fold_scale,))
    assert counts(model) == {"Gemm": 1}


@pytest.mark.parametrize(
    ("operation", "shape", "sentence"),
    [
        ("Div (s, c)", (6, 1, 1), "divides by the linear node's result"),
        ("Mul (c, s)", (3,), "does not have one number an output channel"),  # one number a column
        ("Mul (c, s)", (2, 6, 1, 1), "does not have one number an output channel"),
        ("Mul (c, s)", (1, 1, 6, 1, 1), "higher rank"),
    ],
)
def test_near_misses_stay(operation: str, shape: tuple[int, ...], sentence: str) -> None:
    weights = random_weights(w=(6, 4, 3, 3), s=shape)
    text = CONV.format(operation)
    if len(shape) == 5:
        text = text.replace("float[N,6,P,Q] y", "float[1,N,6,P,Q] y")
    model, ctx = check(model_of(text, weights=weights), (fold_scale,), sizes={"N": 2})
    assert sum(counts(model).values()) == 2
    assert sentence in str(ctx.log[0])


def test_a_result_with_two_readers_stays() -> None:
    text = "g (float[1,4,6,5] x) => (float[1,6,4,3] y) { c = Conv (x, w)  d = Mul (c, s)  y = Add (d, c) }"
    model, ctx = check(model_of(text, weights=random_weights(w=(6, 4, 3, 3), s=(6, 1, 1))), (fold_scale,))
    assert counts(model) == {"Conv": 1, "Mul": 1, "Add": 1}
    assert "used elsewhere" in str(ctx.log[0])


def test_the_bias_of_matmul_is_no_match() -> None:
    text = "g (float[N,4] x) => (float[N,6] y) { c = MatMul (x, w)  y = Add (c, s) }"
    model, ctx = check(model_of(text, weights=random_weights(w=(4, 6), s=(6,))), (fold_scale,))
    assert counts(model) == {"MatMul": 1, "Add": 1}
    assert not ctx.log


def test_an_overflowing_weight_stays() -> None:
    weights = {**random_weights(w=(6, 4, 3, 3)), "s": np.array(3e38, np.float32)}
    weights["w"] *= 10
    model = model_of(CONV.format("Mul (c, s)"), weights=weights)
    ctx = PassContext()
    run_passes(model, ctx, (fold_scale,))
    assert counts(model) == {"Conv": 1, "Mul": 1}
    assert "finite" in str(ctx.log[0])
