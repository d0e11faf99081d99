from __future__ import annotations

import pytest

from edgeort.passes.recognise_activations import recognise_activations
from tests.passes.harness import check, counts, model_of

CONSTANTS = """<float one = {1}, float two = {2}, float three = {3}, float[1] six = {6}, float zero = {0},
    float half = {0.5}, float sixth = {0.16666667}, float root2 = {1.4142135}, float invroot2 = {0.70710677},
    float k = {0.044715}, float beta = {0.7978846}, float quick = {1.702}, float nine = {9}>"""


def graph(body: str) -> str:
    return f"g (float[N,4,3] x) => (float[N,4,3] y) {CONSTANTS} {{ {body} }}"


HARD_SWISH = [
    "a = Add (x, three) c = Clip (a, zero, six) m = Mul (x, c) y = Div (m, six)",
    "a = Add (three, x) c = Clip (a, zero, six) m = Mul (c, x) y = Mul (m, sixth)",
    "a = Add (x, three) c = Clip (a, zero, six) d = Div (c, six) y = Mul (x, d)",
    "a = Add (x, three) c = Clip (a, zero, six) d = Mul (sixth, c) y = Mul (d, x)",
    "a = Add (x, three) r = Relu (a) c = Min (r, six) d = Div (c, six) y = Mul (d, x)",
    "h = HardSigmoid <alpha = 0.16666667, beta = 0.5> (x) y = Mul (x, h)",
    "d = Div (x, six) a = Add (d, half) c = Clip (a, zero, one) y = Mul (x, c)",
    "e = Mul (x, sixth) a = Add (e, half) c = Clip (a, zero, one) y = Mul (c, x)",
]
GELU = [
    "d = Div (x, root2) e = Erf (d) a = Add (e, one) m = Mul (x, a) y = Mul (m, half)",
    "d = Mul (x, invroot2) e = Erf (d) a = Add (one, e) h = Mul (x, half) y = Mul (h, a)",
    "d = Div (x, root2) e = Erf (d) a = Add (e, one) h = Mul (half, a) y = Mul (x, h)",
    "d = Div (x, root2) e = Erf (d) a = Add (e, one) m = Mul (x, a) y = Div (m, two)",
]
GELU_TANH = [
    """p = Pow (x, three) q = Mul (p, k) s = Add (x, q) i = Mul (s, beta) t = Tanh (i) a = Add (t, one)
       h = Mul (x, half) y = Mul (h, a)""",
    """u = Mul (x, x) v = Mul (u, x) q = Mul (k, v) s = Add (q, x) i = Mul (beta, s) t = Tanh (i) a = Add (one, t)
       m = Mul (x, a) y = Mul (half, m)""",
    """u = Mul (x, x) q = Mul (k, u) s = Add (q, one) r = Mul (x, s) i = Mul (r, beta) t = Tanh (i) a = Add (t, one)
       h = Mul (a, half) y = Mul (x, h)""",
]


@pytest.mark.parametrize("opset", [13, 17])
@pytest.mark.parametrize("body", HARD_SWISH)
def test_hard_swish(body: str, opset: int) -> None:
    model, _ = check(model_of(graph(body), opset=opset), (recognise_activations,))
    assert counts(model) == {"HardSwish": 1}
    assert model.graph[0].domain == ("edgeort" if opset < 14 else "")


@pytest.mark.parametrize("opset", [13, 20])
@pytest.mark.parametrize("body", GELU)
def test_gelu(body: str, opset: int) -> None:
    model, _ = check(model_of(graph(body), opset=opset), (recognise_activations,))
    assert counts(model) == {"Gelu": 1}
    assert model.graph[0].domain == ("edgeort" if opset < 20 else "")


@pytest.mark.parametrize("opset", [13, 20])
@pytest.mark.parametrize("body", GELU_TANH)
def test_gelu_by_tanh(body: str, opset: int) -> None:
    model, _ = check(model_of(graph(body), opset=opset), (recognise_activations,))
    assert counts(model) == ({"GeluTanh": 1} if opset < 20 else {"Gelu": 1})


@pytest.mark.parametrize("body", ["s = Sigmoid (x) y = Mul (x, s)", "s = Sigmoid (x) y = Mul (s, x)"])
def test_silu(body: str) -> None:
    model, _ = check(model_of(graph(body)), (recognise_activations,))
    assert counts(model) == {"Silu": 1}


def test_silu_times_something_is_silu_and_mul() -> None:
    model, _ = check(model_of(graph("s = Sigmoid (x) m = Mul (x, s) y = Mul (m, half)")), (recognise_activations,))
    assert counts(model) == {"Silu": 1, "Mul": 1}


@pytest.mark.parametrize("opset", [13, 18])
def test_mish(opset: int) -> None:
    body = "p = Softplus (x) t = Tanh (p) y = Mul (t, x)"
    model, _ = check(model_of(graph(body), opset=opset), (recognise_activations,))
    assert counts(model) == {"Mish": 1}
    assert model.graph[0].domain == ("edgeort" if opset < 18 else "")


@pytest.mark.parametrize(
    "body",
    [
        "a = Add (x, three) c = Clip (a, zero, six) y = Div (c, six)",
        "a = Add (x, three) d = Div (a, six) y = Clip (d, zero, one)",
        "m = Mul (x, quick) a = Sub (m, half) y = Clip (a, zero, one)",
    ],
)
def test_hard_sigmoid(body: str) -> None:
    model, _ = check(model_of(graph(body)), (recognise_activations,))
    assert counts(model) == {"HardSigmoid": 1}


@pytest.mark.parametrize(
    "body",
    [
        "r = Relu (x) y = Clip (r, zero, six)",
        "c = Clip (x, half, six) y = Relu (c)",
        "c = Clip (x, zero, six) y = Clip (c, half, nine)",
        "r = Max (x, half) y = Min (six, r)",
        "r = Min (x, one) y = Max (r, half)",
        "r = Relu (x) y = Min (r, six)",
    ],
)
def test_bounds_merge_into_one_clip(body: str) -> None:
    text = graph(body).replace("float[1] six", "float six")
    model, _ = check(model_of(text), (recognise_activations,))
    assert counts(model) == {"Clip": 1}


@pytest.mark.parametrize(
    "body",
    [
        "a = Add (x, two) c = Clip (a, zero, six) m = Mul (x, c) y = Div (m, six)",
        "a = Add (x, three) c = Clip (a, zero, six) m = Mul (a, c) y = Div (m, six)",
        "h = HardSigmoid <alpha = 0.2, beta = 0.5> (x) y = Mul (x, h)",
        "q = Mul (x, quick) s = Sigmoid (q) y = Mul (x, s)",
        "d = Div (x, two) e = Erf (d) a = Add (e, one) m = Mul (x, a) y = Mul (m, half)",
        "d = Div (x, root2) e = Erf (d) a = Add (e, one) y = Mul (x, a)",
        "d = Div (x, root2) e = Erf (d) a = Add (e, two) m = Mul (x, a) y = Mul (m, half)",
        "p = Pow (x, two) q = Mul (p, k) s = Add (x, q) i = Mul (s, beta) t = Tanh (i) a = Add (t, one) "
        "h = Mul (x, half) y = Mul (h, a)",
        "t = Tanh (x) y = Mul (t, x)",
        "c = Clip (x, zero, one) y = Clip (c, two, three)",
    ],
)
def test_near_misses_stay(body: str) -> None:
    model = model_of(graph(body))
    before = counts(model)
    model, _ = check(model, (recognise_activations,))
    assert counts(model) == before


def test_a_bound_of_more_dimensions_stays() -> None:
    text = "g (float[4] x) => (float[1,4] y) <float[1,1] a = {1}, float b = {2}> { m = Max (x, a) y = Min (m, b) }"
    model, _ = check(model_of(text), (recognise_activations,))
    assert counts(model) == {"Max": 1, "Min": 1}


def test_a_part_with_another_reader_stays() -> None:
    text = "g (float[N,4] x) => (float[N,4] y, float[N,4] s) { s = Sigmoid (x) y = Mul (x, s) }"
    model, ctx = check(model_of(text), (recognise_activations,))
    assert counts(model) == {"Sigmoid": 1, "Mul": 1}
    assert "used elsewhere" in str(ctx.log[0])


def test_other_types_stay() -> None:
    text = "g (float16[N,4] x) => (float16[N,4] y) { s = Sigmoid (x) y = Mul (x, s) }"
    model, ctx = check(model_of(text), (recognise_activations,), rtol=1e-2)
    assert counts(model) == {"Sigmoid": 1, "Mul": 1}
    assert "not float32" in str(ctx.log[0])
