"""What is refused, noted and promised about a whole model."""

from __future__ import annotations

import numpy as np
import pytest

from edgeort import model as models
from edgeort.converters import tflite
from edgeort.errors import ShapeError, UnsupportedError
from tests.converters.tflite.support import check, close, normal, operators, reasons, run
from tests.passes.harness import model_of, run_ort

NET = """g (float[1,3,16,16] x) => (float[a,b] y) {
    t = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w) u = Relu(t) v = GlobalAveragePool(u) f = Flatten(v)
    y = Gemm<transB=1>(f, m, c) }"""
WEIGHTS = normal(w=(32, 3, 3, 3), m=(20, 32), c=(20,))


def test_every_refused_node_is_listed_and_nothing_is_written():
    text = """g (float[2,3] x) => (float[a,b] y, float[a,b] z) {
        t = Acosh(x) u = Relu(t) v = Asinh(u) y = Add(v, t) z = Neg(x) }"""
    assert [op for op, _ in reasons(text)] == ["Acosh", "Asinh"]
    model = models.clean(model_of(text))
    with pytest.raises(UnsupportedError, match=r"\(Acosh\): LiteRT has no Acosh.*\(Asinh\)") as error:
        tflite.write(model)
    assert error.value.hint


def test_an_output_that_the_operators_do_not_give():
    text = "g (float[2,3] x) => (float[a,b] y, float[a,c] m) { y, m = LayerNormalization(x, s) }"
    found = reasons(text, weights=normal(s=(3,)))
    assert found == [("LayerNormalization", "LiteRT's operator does not give its output m")]


def test_bodies_are_refused():
    branches = "then_branch = g1 () => (float[2] p) { p = Neg(x) }, else_branch = g2 () => (float[2] q) { q = Abs(x) }"
    text = f"g (bool c, float[2] x) => (float[a] y) {{ y = If (c) <{branches}> }}"
    assert reasons(text) == [("If", "its bodies are not written")]


def test_a_type_that_nothing_reads():
    model = model_of("g (float[2] x, double[2] d) => (float[a] y) { y = Neg(x) }")
    with pytest.raises(UnsupportedError, match="input 'd' has a type"):
        tflite.refusals(models.clean(model))


def test_an_empty_output():
    text = "g (float[2] x) => (float[a] y, float[b] e) { y = Neg(x) e = Constant<value = float[0] {}>() }"
    with pytest.raises(UnsupportedError, match="'e'.* is empty"):
        tflite.refusals(models.clean(model_of(text)))


def test_free_dimensions_are_named_with_what_fixes_them():
    model = model_of("g (float[batch,3] x) => (float[batch,3] y) { y = Neg(x) }")
    with pytest.raises(ShapeError, match=r"these are free: x \[batchx3\]") as error:
        tflite.write(models.clean(model))
    assert "--shape x=batchx3" in str(error.value.hint)


def test_the_same_model_gives_the_same_bytes_and_stays_as_it_was():
    model = models.clean(model_of(NET, weights=WEIGHTS))
    before = [(node.op_type, [v.dtype for v in node.outputs]) for node in model.graph]
    assert tflite.write(model) == tflite.write(model)
    assert [(node.op_type, [v.dtype for v in node.outputs]) for node in model.graph] == before


def test_float16_weights_halve_the_file():
    made = model_of(NET, weights=WEIGHTS)
    check(made, options=tflite.Options(weights="float16"), tolerance=2e-3)
    sizes = [len(tflite.write(models.clean(made), tflite.Options(weights=w))) for w in ("float32", "float16")]  # type: ignore[arg-type]
    stored = 2 * sum(w.size for w in WEIGHTS.values() if w.size >= 256)
    assert sizes[0] - sizes[1] > 0.8 * stored


def test_a_number_beyond_float16_stays_float32():
    weights = WEIGHTS | {"w": WEIGHTS["w"] * 1e6}
    check(model_of(NET, weights=weights), options=tflite.Options(weights="float16"), tolerance=1e-2)


def test_channels_last_inputs_and_outputs_need_no_transpose():
    text = "g (float[1,3,8,8] x) => (float[a,b,c,d] y) { y = Conv<pads=[1,1,1,1]>(x, w) }"
    made = model_of(text, weights=normal(w=(6, 3, 3, 3)))
    lowered = tflite.lower(models.clean(made), tflite.Options(io_layout="nhwc"))
    assert operators(lowered) == ["CONV_2D"]
    feeds = normal(x=(1, 3, 8, 8))
    got = run(tflite.to_bytes(lowered), {"x": feeds["x"].transpose(0, 2, 3, 1)})
    close(got["y"].transpose(0, 3, 1, 2), run_ort(made, feeds)[0], 1e-5)


def test_half_precision_models_compute_in_float32():
    text = """g (float16[2,40] x) => (float16[a,b] y) { t = MatMul(x, w) y = Relu(t) }"""
    made = model_of(text, weights={"w": normal(w=(40, 30))["w"].astype(np.float16)})
    feeds = {"x": normal(x=(2, 40))["x"].astype(np.float16)}
    got = run(tflite.write(models.clean(made)), feeds)["y"]
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, run_ort(made, feeds)[0], atol=5e-2)
