from __future__ import annotations

import pytest

from edgeort.passes.factor_residual import factor_residual
from tests.passes.harness import check, counts, model_of


@pytest.mark.parametrize("body", ["m = Mul (x, s) y = Add (x, m)", "m = Mul (s, x) y = Add (m, x)"])
@pytest.mark.parametrize("scale", ["N,4,1,1", "4,1,1", "1", ""])
def test_factors(body: str, scale: str) -> None:
    text = f"g (float[N,4,H,5] x, float[{scale}] s) => (float[N,4,H,5] y) {{ {body} }}".replace("float[]", "float")
    model, _ = check(model_of(text), (factor_residual,))
    assert [node.op_type for node in model.graph] == ["Add", "Mul"]
    assert model.graph[0].outputs[0].shape == model.graph.inputs[1].shape


@pytest.mark.parametrize(
    ("body", "scale"),
    [
        ("m = Mul (x, s) y = Add (x, m)", "N,4,H,5"),  # as large: nothing is won
        ("m = Mul (x, s) y = Add (z, m)", "N,4,1,1"),
        ("m = Mul (x, s) a = Add (x, m) y = Add (a, m)", "N,4,1,1"),
        ("m = Mul (x, x) y = Add (x, m)", "N,4,1,1"),
        ("m = Mul (x, s) y = Sub (x, m)", "N,4,1,1"),
    ],
)
def test_near_misses_stay(body: str, scale: str) -> None:
    text = f"g (float[N,4,H,5] x, float[{scale}] s, float[N,4,H,5] z) => (float[N,4,H,5] y) {{ {body} }}"
    before = counts(model_of(text))
    model, _ = check(model_of(text), (factor_residual,))
    assert counts(model) == before
