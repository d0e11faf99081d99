"""Products are found with their shapes, counted, and can stand alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from benchmarks.kernels import measure, summary, table
from benchmarks.models import Model, find
from benchmarks.shapes import Product, products
from edgeort import device_profiles

GRAPH = """
<ir_version: 9, opset_import: ["": 17]>
g (float[n, 4, 9, 8] x, float[2, 3] q) => (float[n, 8, 5, 4] y, float[n, 6, 17, 15] t, float[2, 5] z, float[2, 2] s) {
  c = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(x, w1, b1)
  d = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(c, w1, b1)
  y = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [2, 2], group = 4>(d, w2)
  t = ConvTranspose<strides = [2, 2]>(d, w3)
  z = Gemm<transB = 1>(q, w4, b4)
  r = Transpose(q)
  s = MatMul(q, r)
}"""
WEIGHTS = {"w1": (4, 4, 3, 3), "b1": (4,), "w2": (8, 1, 3, 3), "w3": (4, 6, 1, 1), "w4": (5, 3), "b4": (5,)}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Counter[Product]:
    rng = np.random.default_rng(0)
    model = onnx.parser.parse_model(GRAPH)
    for name, shape in WEIGHTS.items():
        model.graph.initializer.append(
            onnx.numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), name)
        )
    path: Path = tmp_path_factory.mktemp("shapes") / "model.onnx"
    onnx.save(model, path)
    feeds = {"x": np.zeros((2, 4, 9, 8), np.float32), "q": np.zeros((2, 3), np.float32)}
    return products(Model("small", path, feeds))


def test_equal_products_are_one_with_a_count(found: Counter[Product]):
    assert {(product.text(), count) for product, count in found.items()} == {
        ("Conv 2x4x9x8 * 4x4x3x3", 2),
        ("Conv 2x4x9x8 * 8x1x3x3, stride 2x2, group 4", 1),
        ("ConvTranspose 2x4x9x8 * 4x6x1x1, stride 2x2", 1),
        ("Gemm 2x3 * 5x3", 1),
        ("MatMul 2x3 * 3x2", 1),
    }


def test_multiply_adds_are_those_of_the_plain_algorithm(found: Counter[Product]):
    assert {product.text().split(",")[0]: product.multiply_adds for product in found} == {
        "Conv 2x4x9x8 * 4x4x3x3": 2 * 9 * 8 * 4 * 4 * 9,
        "Conv 2x4x9x8 * 8x1x3x3": 2 * 5 * 4 * 8 * 9,
        "ConvTranspose 2x4x9x8 * 4x6x1x1": 2 * 9 * 8 * 4 * 6,
        "Gemm 2x3 * 5x3": 2 * 5 * 3,
        "MatMul 2x3 * 3x2": 2 * 2 * 3,
    }


def test_every_product_stands_alone(found: Counter[Product]):
    for product in found:
        model = product.model()
        onnx.checker.check_model(model, full_check=True)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        feeds = {value.name: array for value, array in zip(session.get_inputs(), product.feeds(), strict=True)}
        (y,) = session.run(None, feeds)
        assert y.shape == product.y


def test_kernels_are_measured_at_the_shapes_of_the_sample():
    isa = device_profiles.load("host").cpu.isa[0]
    rows = measure(["digits"], [isa])
    assert {row.product for row in rows} == {product.text() for product in products(find("digits"))}
    for row in rows:
        assert row.ops and row.microseconds > 0 and row.peak > 0
        assert row.gflops == pytest.approx(2e-3 * row.multiply_adds / row.microseconds)
    assert table(rows).row_count == len(rows)
    assert summary(rows).row_count == 1
