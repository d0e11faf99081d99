from __future__ import annotations

import numpy as np
import pytest

from edgeort.passes.fold_batchnorm import fold_batchnorm
from tests.passes.harness import check, counts, model_of, random_weights


def parameters(channels: int) -> dict[str, np.ndarray]:
    found = random_weights(g=(channels,), b=(channels,), m=(channels,))
    return {**found, "v": np.random.default_rng(5).uniform(0.1, 2, channels).astype(np.float32)}


def graph(producer: str) -> str:
    return f"""g (float[N,4,6,5] x) => (float[N,K,P,Q] y) {{
        c = {producer}
        y = BatchNormalization <epsilon = 0.01> (c, g, b, m, v) }}"""


@pytest.mark.parametrize(
    ("producer", "shapes", "channels"),
    [
        ("Conv (x, w)", {"w": (6, 4, 3, 3)}, 6),
        ("Conv (x, w, k)", {"w": (6, 4, 3, 3), "k": (6,)}, 6),
        ("Conv <group = 4> (x, w)", {"w": (8, 1, 3, 3)}, 8),
        ("ConvTranspose (x, w, k)", {"w": (4, 6, 2, 2), "k": (6,)}, 6),
        ("ConvTranspose <group = 2> (x, w)", {"w": (4, 3, 2, 2)}, 6),
    ],
)
def test_folds_into_the_convolution(producer: str, shapes: dict[str, tuple[int, ...]], channels: int) -> None:
    model = model_of(graph(producer), weights={**random_weights(**shapes), **parameters(channels)})
    model, ctx = check(model, (fold_batchnorm,), sizes={"N": 2})
    assert set(counts(model)) <= {"Conv", "ConvTranspose"}
    assert not ctx.log


@pytest.mark.parametrize(
    ("restore", "arrays"),
    [
        ("DequantizeLinear <axis = 0> (q, s)", {"s": np.linspace(0.01, 0.02, 6, dtype=np.float32)}),
        ("DequantizeLinear (q, s, z)", {"s": np.float32(0.01), "z": np.int8(3)}),
        ("DequantizeLinear <axis = 1, block_size = 2> (q, s)", {"s": np.full((6, 2, 3, 3), 0.01, np.float32)}),
    ],
)
def test_weights_that_are_dequantised_stay_integers(restore: str, arrays: dict[str, np.ndarray]) -> None:
    q = np.random.default_rng(0).integers(-128, 128, (6, 4, 3, 3)).astype(np.int8)
    text = graph("Conv (x, w)").replace("c = Conv", f"w = {restore} c = Conv")
    model = model_of(text, opset=21, weights={"q": q, **arrays, **parameters(6)})
    model, _ = check(model, (fold_batchnorm,), sizes={"N": 2})
    conv = next(node for node in model.graph if node.op_type == "Conv")
    assert "BatchNormalization" not in counts(model)
    assert conv.inputs[1].producer().op_type == "DequantizeLinear"


def test_weights_with_a_scale_for_each_input_become_float32() -> None:
    weights = {"q": np.ones((6, 4, 3, 3), np.int8), "s": np.linspace(0.01, 0.02, 4, dtype=np.float32), **parameters(6)}
    text = graph("Conv (x, w)").replace("c = Conv", "w = DequantizeLinear <axis = 1> (q, s) c = Conv")
    model, _ = check(model_of(text, weights=weights), (fold_batchnorm,), sizes={"N": 2})
    assert next(node for node in model.graph if node.op_type == "Conv").inputs[1].const_value is not None


@pytest.mark.parametrize(
    ("attributes", "w", "k"),
    [("", (4, 6), (6,)), ("transB = 1, alpha = 0.5", (6, 4), (1, 6)), ("beta = 3.0", (4, 6), (1,))],
)
def test_folds_into_gemm(attributes: str, w: tuple[int, ...], k: tuple[int, ...]) -> None:
    text = f"""g (float[N,4] x) => (float[N,6] y) {{
        c = Gemm <{attributes}> (x, w, k)  y = BatchNormalization (c, g, b, m, v) }}"""
    text = text.replace(" <>", "")
    model, _ = check(model_of(text, weights={**random_weights(w=w, k=k), **parameters(6)}), (fold_batchnorm,))
    assert counts(model) == {"Gemm": 1}


@pytest.mark.parametrize("shape", ["N,4", "N,4,7", "N,4,7,3"])
def test_alone_it_becomes_mul_and_add(shape: str) -> None:
    text = f"g (float[{shape}] x) => (float[{shape}] y) {{ y = BatchNormalization (x, g, b, m, v) }}"
    model, _ = check(model_of(text, weights=parameters(4)), (fold_batchnorm,))
    assert counts(model) == {"Mul": 1, "Add": 1}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            """g (float[1,4,6,5] x) => (float[1,6,4,3] y, float[1,6,4,3] c) {
            c = Conv (x, w)  y = BatchNormalization (c, g, b, m, v) }""",
            "used elsewhere",
        ),
        (
            """g (float[1,4,6,5] x, float[6,4,3,3] u) => (float[1,6,4,3] y) {
            c = Conv (x, u)  y = BatchNormalization (c, g, b, m, v) }""",
            "not a constant",
        ),
    ],
)
def test_a_convolution_that_cannot_take_it_stays(text: str, sentence: str) -> None:
    weights = {**random_weights(w=(6, 4, 3, 3)), **parameters(6)}
    model = model_of(text, weights={k: v for k, v in weights.items() if k != "w" or "x, w" in text})
    model, ctx = check(model, (fold_batchnorm,))
    assert counts(model) == {"Conv": 1, "Mul": 1, "Add": 1}
    assert any(sentence in str(entry) for entry in ctx.log)


def test_parameters_that_are_inputs_leave_it_alone() -> None:
    text = "g (float[1,4,3] x, float[4] g) => (float[1,4,3] y) { y = BatchNormalization (x, g, b, m, v) }"
    weights = {k: v for k, v in parameters(4).items() if k != "g"}
    model, ctx = check(model_of(text, weights=weights), (fold_batchnorm,))
    assert counts(model) == {"BatchNormalization": 1}
    assert "not all constants" in str(ctx.log[0])


def test_shared_weights_keep_their_other_reader() -> None:
    text = """g (float[1,4,6,5] x) => (float[1,6,4,3] y, float[1,6,4,3] z) {
        c = Conv (x, w)  y = BatchNormalization (c, g, b, m, v)  z = Conv (x, w) }"""
    model, _ = check(model_of(text, weights={**random_weights(w=(6, 4, 3, 3)), **parameters(6)}), (fold_batchnorm,))
    assert counts(model) == {"Conv": 2}
