"""The covariance that predicts the variance of a layer's outputs in ONNX Runtime is the right one."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper, numpy_helper

from edgeort.ort import open_session
from edgeort.quantize import covariance, gptq
from edgeort.quantize.layers import Layer, read_layer
from tests.models import model


def layer_of(op_type: str, weight: np.ndarray, shape: list[int], **attributes: object) -> tuple[onnx.ModelProto, Layer]:
    node = helper.make_node(op_type, ["x", "w"], ["y"], **attributes)
    proto = model([node], [("x", shape)], [("y", ["?"] * len(shape))], [numpy_helper.from_array(weight, "w")])
    found = read_layer(ir.from_proto(proto).graph[0])
    assert isinstance(found, Layer)
    return proto, found


CONVS = {
    "1x1": ((6, 5, 1, 1), {}),
    "3x3": ((4, 5, 3, 3), {"pads": [1, 1, 1, 1]}),
    "stride": ((4, 5, 3, 3), {"pads": [0, 1, 1, 0], "strides": [2, 3]}),
    "dilation": ((4, 5, 3, 2), {"dilations": [2, 3]}),
    "same": ((4, 5, 3, 4), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "same_lower": ((4, 5, 2, 2), {"auto_pad": "SAME_LOWER"}),
    "depthwise": ((10, 1, 3, 3), {"group": 5, "pads": [1, 1, 1, 1]}),
    "groups": ((4, 3, 3, 3), {"group": 2}),
}


@pytest.mark.parametrize("name", CONVS)
def test_it_predicts_the_variance_of_a_convolution(name: str):
    shape, attributes = CONVS[name]
    rng = np.random.default_rng(0)
    weight = rng.standard_normal(shape).astype(np.float32)
    channels = shape[1] * int(attributes.get("group", 1))
    proto, layer = layer_of("Conv", weight, [2, channels, 11, 9], **attributes)
    check(proto, layer, rng.integers(0, 256, (2, channels, 11, 9)).astype(np.uint8), 1)


@pytest.mark.parametrize(("op_type", "shape"), [("Gemm", [7, 12]), ("MatMul", [7, 12]), ("MatMul", [2, 3, 12])])
def test_it_predicts_the_variance_of_a_product(op_type: str, shape: list[int]):
    rng = np.random.default_rng(1)
    proto, layer = layer_of(op_type, rng.standard_normal((12, 5)).astype(np.float32), shape)
    check(proto, layer, rng.integers(0, 256, shape).astype(np.uint8), -1)


def moments_of(patches: covariance.Patches, x: np.ndarray, zero: int) -> covariance.Moments:
    rows = patches.cut(x, zero).astype(np.float32) - zero
    return covariance.Moments.of(rows, rows)


def check(proto: onnx.ModelProto, layer: Layer, x: np.ndarray, axis: int) -> None:
    zero = 17
    moments = covariance.Moments()
    moments.add(moments_of(covariance.Patches(layer, 1), x, zero))
    (y,) = open_session(proto.SerializeToString()).run(None, {"x": x.astype(np.float32) - zero})
    others = tuple(i for i in range(y.ndim) if i != axis % y.ndim)
    rows = gptq.as_rows(layer, layer.weight).astype(np.float64)
    spread = moments.covariance()
    predicted = np.einsum("goi,gij,goj->go", rows, spread, rows).ravel()
    np.testing.assert_allclose(predicted, y.astype(np.float64).var(axis=others), rtol=1e-3)
    assert (gptq.from_rows(layer, gptq.as_rows(layer, layer.weight)) == layer.weight).all()


def test_moments_of_parts_add_up():
    _, layer = layer_of("Conv", np.ones((2, 3, 1, 1), np.float32), [1, 3, 4, 4])
    x = np.random.default_rng(2).integers(0, 256, (2, 3, 4, 4)).astype(np.uint8)
    patches = covariance.Patches(layer, 1)
    total = covariance.Moments()
    for one in x:
        total.add(moments_of(patches, one[np.newaxis], 3))
    whole = covariance.Moments()
    whole.add(moments_of(patches, x, 3))
    np.testing.assert_allclose(total.covariance(), whole.covariance())


def test_large_pictures_are_not_cut_everywhere():
    _, layer = layer_of("Conv", np.ones((2, 5, 1, 1), np.float32), [1, 5, 99, 99])
    x = np.zeros((1, 5, 99, 99), np.uint8)
    assert covariance.Patches(layer, 100).cut(x, 0).shape[1] == covariance.FEWEST
    assert covariance.Patches(layer, 1).cut(x, 0).shape[1] == covariance.ENOUGH * 5


def halves_of(rows: np.ndarray) -> list[covariance.Moments]:
    return [covariance.Moments.of(half, half) for half in (rows[:, ::2], rows[:, 1::2])]


def test_few_rows_say_little_about_pairs_of_channels():
    rng, size = np.random.default_rng(3), 60
    mixing = np.eye(size) + 0.3 * rng.standard_normal((size, size)) / np.sqrt(size)
    true = mixing.T @ mixing
    rows = (rng.standard_normal((1, 40, size)) @ mixing).astype(np.float32)
    halves = halves_of(rows)
    plain, found = halves[0].merged(halves[1]).covariance()[0], covariance.shrunk(halves)[0]
    off = ~np.eye(size, dtype=bool)
    assert np.square(found - true)[off].sum() < 0.3 * np.square(plain - true)[off].sum()
    assert (np.diagonal(found) > np.diagonal(plain)).all()


def test_many_rows_are_believed():
    rng = np.random.default_rng(4)
    halves = halves_of((rng.standard_normal((2, 4000, 6)) @ rng.standard_normal((6, 6))).astype(np.float32))
    plain = halves[0].merged(halves[1]).covariance()
    np.testing.assert_allclose(covariance.shrunk(halves), plain, atol=0.01 * plain.max())


def test_one_sample_has_no_halves():
    rows = np.random.default_rng(5).standard_normal((1, 9, 3)).astype(np.float32)
    halves = [covariance.Moments.of(rows, rows), covariance.Moments()]
    np.testing.assert_allclose(covariance.shrunk(halves), halves[0].covariance(), rtol=1e-5)
