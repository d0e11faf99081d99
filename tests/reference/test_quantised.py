"""The int8 reference means what ONNX means, and unpacks what lowering packs."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper

from edgeort.lowering import quantised as packing
from tests.reference import quantised
from tests.reference.quantised import Array

RNG = np.random.default_rng(5)


def integers(*shape: int) -> Array:
    return RNG.integers(-128, 128, shape).astype(np.int8)


def onnx_run(op: str, *inputs: Array, **attributes: object) -> Array:
    constants = [numpy_helper.from_array(array, f"i{k}") for k, array in enumerate(inputs)]
    node = helper.make_node(op, [c.name for c in constants], ["y"], **attributes)
    out = helper.make_tensor_value_info("y", 6, None)
    graph = helper.make_graph([node], "g", [], [out], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {})[0]


@pytest.mark.parametrize(("groups", "stride", "dilation"), [(1, 1, 1), (2, 2, 1), (4, 1, 2)])
def test_qconv(groups: int, stride: int, dilation: int) -> None:
    x, w, bias = integers(2, 4, 9, 8), integers(8, 4 // groups, 3, 2), RNG.integers(-999, 999, 8, np.int32)
    sizes = {"strides": (stride, stride), "dilations": (dilation, dilation), "pads": (1, 0, 2, 1)}
    unsigned = (x.astype(np.int16) + 128).astype(np.uint8)
    want = onnx_run("ConvInteger", unsigned, w, np.uint8(128 - 7), np.int8(0), group=groups, **sizes)
    got = quantised.qconv(np.moveaxis(x, 1, -1), w, bias, -7, groups=groups, **sizes)
    np.testing.assert_array_equal(got - bias, np.moveaxis(want, 1, -1))


def test_qdepthwise_is_a_convolution_of_each_channel() -> None:
    x, w, bias = integers(1, 6, 5, 3), integers(3, 1, 3, 3), np.zeros(3, np.int32)
    got = quantised.qdepthwise(x, w, bias, 3, pads=(1, 1, 1, 1))
    for c in range(3):
        want = quantised.qconv(x[..., c : c + 1], w[c : c + 1], bias[:1], 3, pads=(1, 1, 1, 1))
        np.testing.assert_array_equal(got[..., c : c + 1], want)


def test_requantise_and_quantize_round_ties_to_even_and_saturate() -> None:
    acc = np.array([[1, 3, -1, -3, 2**31 - 1, -(2**31)]], np.int32)
    np.testing.assert_array_equal(quantised.requantise(acc, np.float32(0.5), 5), [[5, 7, 5, 3, 127, -128]])
    np.testing.assert_array_equal(quantised.requantise(acc, np.float32(0.5), 5, 4, 6), [[5, 6, 5, 4, 6, 4]])
    x = np.array([0.25, 0.75, -0.25, 1e30, -np.inf, np.nan], np.float32)
    np.testing.assert_array_equal(quantised.quantize(x, 0.5, -3), [-3, -1, -3, 127, -128, -128])


@pytest.mark.parametrize(("taps", "channels", "n"), [(1, 1, 1), (9, 7, 17), (4, 16, 32)])
def test_weights_come_back_from_their_packing(taps: int, channels: int, n: int) -> None:
    weights = integers(taps, channels, n)
    np.testing.assert_array_equal(quantised.unpack_panels(packing.panels(weights), taps, channels, n), weights)
    packed = packing.depthwise(weights[:, :, 0])
    assert packed.size == taps * -(-channels // 16) * 16
    np.testing.assert_array_equal(quantised.unpack_depthwise(packed, taps, channels), weights[:, :, 0])


def test_sixty_four_bytes_are_sixteen_columns_of_four_channels() -> None:
    weights = integers(2, 5, 20)
    first = packing.panels(weights)[:64].reshape(16, 4)
    np.testing.assert_array_equal(first, weights[0, :4, :16].T)
