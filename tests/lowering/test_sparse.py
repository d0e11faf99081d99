"""Where SparseGemm pays, and how its weights lie."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from edgeort.device_profiles.rates import CoreRates
from edgeort.lowering import sparse
from edgeort.lowering.context import Lowering
from tests.kernels.support import parse, plan_of

RNG = np.random.default_rng(4)


def thinned(k: int, n: int, zeros: float) -> np.ndarray:
    return np.where(RNG.random((k, n)) < zeros, 0, RNG.standard_normal((k, n))).astype(np.float32)


def pays(shape: tuple[int | str, ...], matrix: np.ndarray, rate: float = 16) -> bool:
    x = ir.Value(name="x", shape=ir.Shape(shape), type=ir.TensorType(ir.DataType.FLOAT))
    return sparse.pays(Lowering(rates=CoreRates(rate, rate)), node(x), matrix)


def node(x: ir.Value) -> ir.Node:
    return ir.Node("", "MatMul", [x, ir.Value(name="w")])


def test_many_zeros_and_many_products():
    assert pays((1, 14, 14, 512), thinned(512, 512, 0.8))
    assert not pays((1, 14, 14, 512), thinned(512, 512, 0.69))
    assert not pays((1, 512), thinned(512, 512, 0.8))  # one row: vectors of rows would be empty
    assert not pays((1, 14, 14, 8), thinned(8, 8, 0.8))  # transposing takes longer
    assert not pays((0, 512), thinned(512, 512, 0.8))


def test_a_fast_core_transposes_no_faster():
    matrix = thinned(128, 24, 0.8)
    assert pays((1, 28, 28, 128), matrix, 4) and not pays((1, 28, 28, 128), matrix, 64)


def test_free_dimensions_count_as_sixteen():
    assert pays(("n", "h", "w", 512), thinned(512, 512, 0.8))
    assert pays(("n", 512), thinned(512, 512, 0.8)) and not pays((4, 512), thinned(512, 512, 0.8))


def test_what_has_no_rows_is_dense():
    assert not pays((4, 0), np.zeros((0, 4), np.float32))
    unknown = ir.Value(name="x", shape=None, type=ir.TensorType(ir.DataType.FLOAT))
    assert not sparse.pays(Lowering(), node(unknown), thinned(512, 512, 0.9))


@pytest.mark.parametrize(("k", "n"), [(1, 1), (64, 3), (65, 7), (130, 2)])
def test_weights_and_mask(k: int, n: int):
    matrix = thinned(k, n, 0.7)
    weights, mask = sparse.pack(matrix)
    assert mask.shape == (n, -(-k // 64)) and mask.dtype == np.uint64
    bits = np.unpackbits(mask.view(np.uint8), axis=1, bitorder="little").astype(bool)
    assert not bits[:, k:].any()
    found = np.zeros((n, k), np.float32)
    found[bits[:, :k]] = weights
    np.testing.assert_array_equal(found.T, matrix)


@pytest.mark.parametrize(
    ("attributes", "shape"),
    [
        ("<strides: ints = [2, 2]>", "1,512,7,7"),
        ("<pads: ints = [1, 1, 1, 1]>", "1,512,16,16"),
        ("<group: int = 2>", "1,512,14,14"),
    ],
)
def test_other_convolutions_are_dense(attributes: str, shape: str):
    w = thinned(512, 512 if "group" not in attributes else 256, 0.9)[..., None, None]
    text = f"g (float[1,512,14,14] x) => (float[{shape}] y) {{ y = Conv{attributes}(x, w) }}"
    assert "SparseGemm" not in [node.op for node in plan_of(parse(text, {"w": w})).nodes]
    plain = parse(
        text.replace(attributes, "").replace(shape, "1,512,14,14"), {"w": thinned(512, 512, 0.9)[..., None, None]}
    )
    assert "SparseGemm" in [node.op for node in plan_of(plain).nodes]
