"""What is computed of constants at build time, and what is left to the run."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from edgeort.model import clean, constant_products
from tests.model.support import make, operators, run

RNG = np.random.default_rng(5)
POSITIONS = """g (float[n,256] x) => (float[n,512] y, float[n,512] z) {
    up = MatMul(x, w_up)  h = MatMul(up, w_down)  t = LayerNormalization<axis=-1>(table, scale, bias)
    q = MatMul(h, w1)  k = MatMul(t, w1)  kb = Add(k, bias)  kt = Transpose<perm=[1,0]>(kb)  y = MatMul(q, kt)
    r = MatMul(h, w2)  l = MatMul(t, w2)  lb = Add(l, bias)  lt = Transpose<perm=[1,0]>(lb)  z = MatMul(r, lt) }"""


def numbers(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def positions(inner: int) -> onnx.ModelProto:
    """Two layers of relative positions as DeBERTa has them, behind weights of 2 KiB * `inner`."""
    sizes = {"table": (512, 256), "w1": (256, 256), "w2": (256, 256), "w_up": (256, inner), "w_down": (inner, 256)}
    return make(POSITIONS, scale=numbers(256), bias=numbers(256), **{n: numbers(*s) for n, s in sizes.items()})


def check_same(model: ir.Model, proto: onnx.ModelProto, **feeds: np.ndarray) -> None:
    for ours, theirs in zip(run(model, **feeds), run(proto, **feeds), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5 * float(np.ptp(theirs)))


def test_a_table_times_the_weights_of_layers_is_computed_once() -> None:
    proto = positions(2048)
    model = clean(ir.from_proto(proto))
    assert operators(model) == ["MatMul"] * 6
    assert "table" not in model.graph.initializers and {"w1", "kt", "lt"} <= set(model.graph.initializers)
    check_same(model, proto, x=numbers(3, 256))


def test_a_result_is_the_nearest_to_the_real_numbers() -> None:
    proto = positions(2048)
    arrays = {entry.name: onnx.numpy_helper.to_array(entry).astype(np.float64) for entry in proto.graph.initializer}
    table = arrays["table"] - arrays["table"].mean(1, keepdims=True)
    table = table / np.sqrt((table**2).mean(1, keepdims=True) + np.float32(1e-5)) * arrays["scale"] + arrays["bias"]
    want = (table @ arrays["w1"] + arrays["bias"]).T
    tensor = clean(ir.from_proto(proto)).graph.initializers["kt"].const_value
    assert tensor is not None
    assert np.mean(tensor.numpy() != want.astype(np.float32)) < 1e-4  # but where two orders of sums round apart


def test_results_add_a_quarter_to_the_weights_at_most() -> None:
    """Here they take 1 MiB and the table's 0.5 MiB go, of 1.5 MiB of weights, or of 2.5."""
    assert operators(clean(ir.from_proto(positions(256)))).count("MatMul") == 8
    assert operators(clean(ir.from_proto(positions(768)))).count("MatMul") == 6


@pytest.mark.parametrize(
    "body",
    [
        "t = Transpose<perm=[1,0]>(w)  y = MatMul(x, t)  u = MatMul(y, w)  z = Relu(u)",
        "t = Add(w, c)  y = MatMul(x, t)  z = MatMul(x, w)",
        "t = Unsqueeze(w, axis)  u = Sqrt(t)  s = Concat<axis=0>(u, u, u, u, u, u, u, u, u, u, u, u, u, u, u, u, u, u) "
        " y = MatMul(x, s)  z = MatMul(x, w)",
    ],
)
def test_what_is_moved_or_repeated_stays(body: str) -> None:
    text = "g (float[n,512] x) => (float[a,b] y, float[c,d] z) <int64[1] axis = {0}> {" + body + "}"
    proto = make(text, w=np.abs(numbers(512, 512)), c=numbers(512))
    model = clean(ir.from_proto(proto))
    assert sum(value.const_value.nbytes for value in model.graph.initializers.values() if value.const_value) < 2**21
    assert len(operators(model)) == len(proto.graph.node)


def test_integers_of_floats_are_those_of_the_run() -> None:
    """0.7 * 10 is 7 in float32, and less in float64."""
    table, by = np.zeros((512, 64), np.float32), np.zeros((64, 256), np.float32)
    table[:, 0], by[0] = np.arange(512) / np.float32(10), 10
    text = """g (int32[512,256] x, float[n,1024] u) => (int32[512,256] y, float[n,1024] z) {
        s = MatMul(table, by)  t = Cast<to=6>(s)  y = Add(x, t)  z = MatMul(u, w) }"""
    proto = make(text, table=table, by=by, w=numbers(1024, 1024))
    check_same(clean(ir.from_proto(proto)), proto, x=np.zeros((512, 256), np.int32), u=numbers(1, 1024))


def test_softmax_of_several_axes() -> None:
    """As before opset 13."""
    text = """g (float[16,24,32] x, float[n,512] u) => (float[16,24,32] y, float[n,512] z) {
        s = Softmax<axis=1>(e)  y = Add(x, s)  z = MatMul(u, w) }"""
    proto = make(text, e=numbers(16, 24, 32), w=numbers(512, 512))
    proto.opset_import[0].version = 11
    check_same(clean(ir.from_proto(proto)), proto, x=numbers(16, 24, 32), u=numbers(1, 512))


def test_a_node_that_fails_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate = constant_products._evaluate

    def broken(node: ir.Node, *rest: object) -> list[np.ndarray]:
        if any(value is not None and value.name == "w1" for value in node.inputs):
            raise ValueError("too much for NumPy")
        return evaluate(node, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(constant_products, "_evaluate", broken)
    proto = positions(2048)
    model = clean(ir.from_proto(proto))
    assert operators(model).count("MatMul") == 7 and operators(model).count("Transpose") == 1
    check_same(model, proto, x=numbers(3, 256))


def test_what_would_take_minutes_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constant_products, "WORK_LIMIT", 512 * 256 * 256)
    assert operators(clean(ir.from_proto(positions(2048)))).count("MatMul") == 8
