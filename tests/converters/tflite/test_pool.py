"""Pools equal ONNX Runtime's for every padding, rounding and count."""

from __future__ import annotations

import numpy as np
import pytest

from tests.converters.tflite.support import check, reasons


@pytest.mark.parametrize(
    "attributes",
    [
        "kernel_shape=[2,2], strides=[2,2]",
        "kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]",
        "kernel_shape=[3,2], strides=[1,2], pads=[0,1,2,0]",
        "kernel_shape=[3,3], strides=[2,2], ceil_mode=1",
        "kernel_shape=[3,3], auto_pad=\"SAME_UPPER\", strides=[2,2]",
        "kernel_shape=[3,3], auto_pad=\"SAME_LOWER\", strides=[2,2]",
        "kernel_shape=[5,5], pads=[2,2,2,2]",
    ],
)  # fmt: skip
@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_windows(op: str, attributes: str):
    check(f"g (float[2,3,9,8] x) => (float[n,c,h,w] y) {{ y = {op}<{attributes}>(x) }}")


@pytest.mark.parametrize("ceil_mode", [0, 1])
@pytest.mark.parametrize(
    "attributes", ["pads=[1,1,1,1], strides=[2,2]", "pads=[0,2,1,0]", "pads=[1,0,0,1], strides=[3,2]"]
)
def test_averages_that_count_padding(attributes: str, ceil_mode: int):
    attributes += f", kernel_shape=[3,3], count_include_pad=1, ceil_mode={ceil_mode}"
    check(f"g (float[1,3,9,8] x) => (float[n,c,h,w] y) {{ y = AveragePool<{attributes}>(x) }}", opset=19)


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_one_spatial_axis(op: str):
    check(f"g (float[2,3,11] x) => (float[n,c,l] y) {{ y = {op}<kernel_shape=[4], strides=[3], pads=[1,2]>(x) }}")


def test_maximum_of_what_is_not_negative_is_padded_by_zeros():
    text = """g (float[1,3,8,8] x) => (float[n,c,h,w] y) {
        t = Relu(x) y = MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(t) }"""
    negative = {"x": -np.ones((1, 3, 8, 8), np.float32)}
    assert check(text, feeds=negative) == ["TRANSPOSE", "RELU", "PAD", "MAX_POOL_2D", "TRANSPOSE"]
    assert "PADV2" in check(text.replace("t = Relu", "t = Tanh"), feeds=negative)


def test_maxima_with_gaps():
    text = """g (float[1,3,9,8] x) => (float[n,c,h,w] y) {
        y = MaxPool<kernel_shape=[3,2], dilations=[2,3], strides=[2,1], pads=[1,0,2,1]>(x) }"""
    assert check(text).count("MAXIMUM") == 5


def test_averages_with_gaps_are_refused():
    text = "g (float[1,3,9,8] x) => (float[n,c,h,w] y) { y = AveragePool<kernel_shape=[3,3], dilations=[2,2]>(x) }"
    assert reasons(text, opset=19) == [("AveragePool", "it averages windows with gaps")]


@pytest.mark.parametrize(("op", "name"), [("GlobalAveragePool", "MEAN"), ("GlobalMaxPool", "REDUCE_MAX")])
@pytest.mark.parametrize("shape", ["2,3,5,7", "2,3,9"])
def test_whole_images(op: str, name: str, shape: str):
    dims = "n,c,h,w" if shape.count(",") == 3 else "n,c,l"
    assert name in check(f"g (float[{shape}] x) => (float[{dims}] y) {{ y = {op}(x) }}")


def test_norms_of_images():
    weights = {"s": np.float32([1, 2, 0.5]), "b": np.float32([0, -1, 1])}
    check("g (float[2,3,5,7] x) => (float[n,c,h,w] y) { y = InstanceNormalization(x, s, b) }", weights=weights)
    check("g (float[2,8,5,7] x) => (float[n,c,h,w] y) { y = LRN<size=5, alpha=0.3, beta=0.6, bias=1.5>(x) }")
    text = "g (float[2,8,5,7] x) => (float[n,c,h,w] y) { y = LRN<size=4>(x) }"
    assert reasons(text) == [("LRN", "it normalises over an even number of channels")]
