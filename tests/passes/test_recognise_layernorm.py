from __future__ import annotations

import pytest

from edgeort.passes.recognise_layernorm import recognise_layernorm
from tests.passes.harness import check, counts, model_of, random_weights

CONSTANTS = "<float eps = {0.001}, float two = {2}, float one = {1}, float negative = {-0.5}, int64[1] axes = {-1}>"
AFFINE = "z = Mul (n, s) y = Add (z, b)"


def mean(of: str, opset: int, extra: str = "") -> str:
    return f"ReduceMean {extra} ({of}, axes)" if opset >= 18 else f"ReduceMean <axes = [-1]> ({of})"


def body(opset: int, square: str, normalise: str) -> str:
    return f"m = {mean('x', opset)} d = Sub (x, m) q = {square} v = {mean('q', opset)} e = Add (v, eps) {normalise}"


@pytest.mark.parametrize("opset", [13, 17, 18])
@pytest.mark.parametrize("square", ["Mul (d, d)", "Pow (d, two)"])
@pytest.mark.parametrize(
    "normalise",
    [
        "r = Sqrt (e) n = Div (d, r)",
        "r = Sqrt (e) i = Reciprocal (r) n = Mul (i, d)",
        "r = Sqrt (e) i = Div (one, r) n = Mul (d, i)",
        "i = Pow (e, negative) n = Mul (d, i)",
    ],
)
@pytest.mark.parametrize("affine", [AFFINE, "y = Identity (n)", "z = Mul (s, n) y = Identity (z)", "y = Add (b, n)"])
def test_matches(opset: int, square: str, normalise: str, affine: str) -> None:
    text = f"g (float[N,5,8] x) => (float[N,5,8] y) {CONSTANTS} {{ {body(opset, square, normalise)} {affine} }}"
    weights = {k: v for k, v in random_weights(s=(8,), b=(8,)).items() if f"{k})" in affine or f"({k}" in affine}
    model, _ = check(model_of(text, opset=opset, weights=weights), (recognise_layernorm,))
    found = counts(model)
    found.pop("Identity", None)
    assert found == ({"LayerNormalization": 1} if opset >= 17 else {"LayerNorm": 1})


def test_a_deviation_computed_twice_matches() -> None:
    text = f"""g (float[N,5,8] x) => (float[N,5,8] y) {CONSTANTS} {{ m = {mean("x", 17)} d = Sub (x, m) d2 = Sub (x, m)
        q = Pow (d2, two) v = {mean("q", 17)} e = Add (v, eps) r = Sqrt (e) n = Div (d, r) {AFFINE} }}"""
    model, _ = check(model_of(text, weights=random_weights(s=(8,), b=(8,))), (recognise_layernorm,))
    assert counts(model) == {"LayerNormalization": 1}


@pytest.mark.parametrize(
    "text",
    [
        # another axis
        "m = ReduceMean <axes = [1]> (x) d = Sub (x, m) q = Mul (d, d) v = ReduceMean <axes = [1]> (q) "
        "e = Add (v, eps) r = Sqrt (e) y = Div (d, r)",
        # no epsilon
        "m = ReduceMean <axes = [-1]> (x) d = Sub (x, m) q = Mul (d, d) v = ReduceMean <axes = [-1]> (q) "
        "r = Sqrt (v) y = Div (d, r)",
        # root mean square: the mean is not subtracted
        "q = Mul (x, x) v = ReduceMean <axes = [-1]> (q) e = Add (v, eps) r = Sqrt (e) y = Div (x, r)",
        # a cube
        "m = ReduceMean <axes = [-1]> (x) d = Sub (x, m) a = Abs (d) q = Mul (a, d) v = ReduceMean <axes = [-1]> (q) "
        "w = Abs (v) e = Add (w, eps) r = Sqrt (e) y = Div (d, r)",
    ],
)
def test_near_misses_stay(text: str) -> None:
    model = model_of(f"g (float[N,5,8] x) => (float[N,5,8] y) {CONSTANTS} {{ {text} }}")
    before = counts(model)
    model, _ = check(model, (recognise_layernorm,))
    assert counts(model) == before


def test_a_scale_of_other_rows_stays_behind() -> None:
    spelt = body(17, "Mul (d, d)", "r = Sqrt (e) n = Div (d, r)")
    text = f"g (float[N,5,8] x) => (float[N,5,8] y) {CONSTANTS} {{ {spelt} y = Mul (n, s) }}"
    model, _ = check(model_of(text, weights=random_weights(s=(5, 1))), (recognise_layernorm,))
    assert counts(model) == {"LayerNormalization": 1, "Mul": 1}


@pytest.mark.parametrize(
    ("shape", "outputs", "sentence"),
    [
        ("N,5,L", "float[N,5,L] y", "only known at run time"),
        ("N,5,8", "float[N,5,8] y, float[N,5,8] d", "used elsewhere"),
    ],
)
def test_refusals_say_why(shape: str, outputs: str, sentence: str) -> None:
    spelt = body(17, "Mul (d, d)", "r = Sqrt (e) y = Div (d, r)")
    text = f"g (float[{shape}] x) => ({outputs}) {CONSTANTS} {{ {spelt} }}"
    model, ctx = check(model_of(text), (recognise_layernorm,), sizes={"L": 8})
    assert counts(model)["Div"] == 1
    assert sentence in str(ctx.log[0])
