"""The function whose rows are quantised as it runs: its arithmetic to the bit, and models that call it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper

from edgeort.model import dynamic_products
from edgeort.ort import open_session
from edgeort.passes.functions import DOMAIN
from edgeort.quantize import Options, compare, quantize
from edgeort.quantize.forms import Form
from tests.models import model as proto_of
from tests.quantize.models import Net, save


def called(opset: int, x: np.ndarray, w: np.ndarray, s: np.ndarray) -> np.ndarray:
    """What ONNX Runtime makes of a model that is one call."""
    node = helper.make_node(dynamic_products.NAME, ["x", "w", "s"], ["y"], domain=DOMAIN)
    constants = [onnx.numpy_helper.from_array(w, "w"), onnx.numpy_helper.from_array(s, "s")]
    shapes = [None] * x.ndim
    proto = proto_of([], [("x", shapes)], [("y", shapes)], constants, opset)
    proto.graph.node.append(node)
    made = ir.from_proto(proto)
    dynamic_products.add_function(made)
    dynamic_products.add_function(made)  # once is enough
    return np.asarray(open_session(ir.to_proto(made).SerializeToString()).run(["y"], {"x": x})[0])


def by_hand(x: np.ndarray, w: np.ndarray, s: np.ndarray) -> np.ndarray:
    f = np.float32
    high, low = np.maximum(x.max(-1, keepdims=True), f(0)), np.minimum(x.min(-1, keepdims=True), f(0))
    r = np.maximum((high - low) / f(255), np.finfo(f).tiny)
    i = f(1) / r
    z = np.rint(-low * i)
    q = np.clip(np.rint(x * i) + z, 0, 255).astype(np.int64)
    acc = q @ w.astype(np.int64) - z.astype(np.int64) * w.astype(np.int64).sum(0)
    return acc.astype(f) * s * r


@pytest.mark.parametrize("opset", [13, 17, 18, 21])
@pytest.mark.parametrize("shape", [(7, 33), (2, 3, 33), (1, 33)])
def test_the_arithmetic(opset: int, shape: tuple[int, ...]):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape).astype(np.float32) * np.float32(10)
    x.reshape(-1, 33)[0] = 0
    x.reshape(-1, 33)[-1] = np.abs(x.reshape(-1, 33)[-1]) + 5  # no zero among them
    w = rng.integers(-127, 128, (33, 5), np.int8)
    s = rng.random(5).astype(np.float32)
    assert np.array_equal(called(opset, x, w, s), by_hand(x, w, s))


def test_extreme_rows():
    w, s = np.full((8, 2), 127, np.int8), np.ones(2, np.float32)
    rows = [[1e-44] * 8, [-1e-44] * 8, [1e30] * 8, [-1e30] * 8, [1e38, -1e38] * 4]
    x = np.array(rows, np.float32)
    found = called(17, x, w, s)
    assert np.isfinite(found).all()
    assert np.allclose(found[2:4], x[2:4] @ w.astype(np.float32), rtol=1e-2)


def transformer() -> onnx.ModelProto:
    """A MatMul with bias, one without, and a Gemm with transposed weights, behind layer norms."""
    net = Net()
    scale, shift = net.constant(np.ones(32, np.float32)), net.weight(32)
    normed = net.op("LayerNormalization", "x", scale, shift)
    stream = net.op("Add", net.op("MatMul", normed, net.weight(32, 32)), net.weight(32))
    normed = net.op("LayerNormalization", stream, scale, shift)
    stream = net.op("MatMul", normed, net.weight(32, 32))
    normed = net.op("LayerNormalization", stream, scale, shift)
    return net.model(net.op("Gemm", normed, net.weight(12, 32), net.weight(12), transB=1), ["n", 32], ["n", 12])


def test_a_model_of_layer_norms(tmp_path: Path):
    path, out = save(tmp_path / "m.onnx", transformer()), tmp_path / "q.onnx"
    rng = np.random.default_rng(0)
    data = [{"x": rng.standard_normal((int(n), 32)).astype(np.float32)} for n in rng.integers(1, 9, 24)]
    quantize(path, out, data)
    made = onnx.load(out)
    assert [n.op_type for n in made.graph.node].count(dynamic_products.NAME) == 3
    assert {t.data_type for t in made.graph.initializer if len(t.dims) == 2} == {onnx.TensorProto.INT8}
    onnx.checker.check_model(made)
    (found,) = compare(path.read_bytes(), out.read_bytes(), data)
    assert found.sqnr_db > 33
    quantize(path, tmp_path / "inlined.onnx", data, Options(inline=True))
    inlined = onnx.load(tmp_path / "inlined.onnx")
    assert not inlined.functions and {entry.domain for entry in inlined.opset_import} == {""}
    (same,) = compare(out.read_bytes(), (tmp_path / "inlined.onnx").read_bytes(), data)
    assert same.noise == 0
    quantize(path, out, data, Options(activations=Form.STATIC))
    assert "QuantizeLinear" in {n.op_type for n in onnx.load(out).graph.node}
    quantize(path, out, data, Options(activations=Form.FLOAT))
    assert not {"QuantizeLinear", dynamic_products.NAME} & {n.op_type for n in onnx.load(out).graph.node}
    (weights,) = compare(path.read_bytes(), out.read_bytes(), data)
    assert weights.sqnr_db > found.sqnr_db
