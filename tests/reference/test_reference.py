"""The C reference means what ONNX means: each operator against ONNX Runtime, within rounding."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from tests.reference import REDUCTIONS, Array, library

RNG = np.random.default_rng(3)


def draw(*shape: int) -> Array:
    return RNG.normal(0, 1, shape).astype(np.float32)


def onnx_run(op: str, *inputs: Array, **attributes: object) -> Array:
    names = [f"i{k}" for k in range(len(inputs))]
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, v.shape) for n, v in zip(names, inputs, strict=True)]
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([helper.make_node(op, names, ["y"], **attributes)], "g", values, [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, dict(zip(names, inputs, strict=True)))[0]


def nhwc(x: Array) -> Array:
    return np.moveaxis(x, 1, -1)


def close(got: Array, want: Array) -> None:
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(("groups", "stride", "dilation"), [(1, 1, 1), (2, 2, 1), (4, 1, 2)])
def test_conv2d(groups: int, stride: int, dilation: int) -> None:
    x, w, b = draw(2, 4, 9, 8), draw(8, 4 // groups, 3, 2), draw(8)
    sizes = {"strides": (stride, stride), "dilations": (dilation, dilation), "pads": (1, 0, 2, 1)}
    close(
        library().conv2d(nhwc(x), w, b, groups=groups, **sizes), nhwc(onnx_run("Conv", x, w, b, group=groups, **sizes))
    )


@pytest.mark.parametrize(("groups", "stride", "dilation"), [(1, 1, 1), (2, 2, 1), (4, 3, 2)])
def test_conv_transpose2d(groups: int, stride: int, dilation: int) -> None:
    x, w, b = draw(2, 4, 5, 6), draw(4, 8 // groups, 3, 2), draw(8)
    sizes = {"strides": (stride, stride), "dilations": (dilation, dilation), "pads": (1, 0, 2, 1)}
    sizes["output_padding"] = (stride - 1, 0)
    want = onnx_run("ConvTranspose", x, w, b, group=groups, **sizes)
    close(library().conv_transpose2d(nhwc(x), w, b, groups=groups, **sizes), nhwc(want))


def test_gemm() -> None:
    a, b, c = draw(5, 37), draw(37, 6), draw(6)
    close(library().gemm(a, b, c), onnx_run("Gemm", a, b, c))


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("count_pad", [False, True])
def test_average_pool(count_pad: bool, ceil_mode: bool) -> None:
    x = draw(1, 3, 8, 7)
    sizes = {"strides": (2, 3), "pads": (1, 0, 1, 2)}
    got = library().pool2d(nhwc(x), (3, 3), count_pad=count_pad, ceil_mode=ceil_mode, **sizes)
    modes = {"count_include_pad": int(count_pad), "ceil_mode": int(ceil_mode)}
    close(got, nhwc(onnx_run("AveragePool", x, kernel_shape=(3, 3), **modes, **sizes)))


def test_max_pool() -> None:
    x = draw(1, 3, 8, 7)
    sizes = {"strides": (2, 1), "dilations": (1, 2), "pads": (1, 0, 1, 1)}
    want = onnx_run("MaxPool", x, kernel_shape=(2, 3), **sizes)
    np.testing.assert_array_equal(library().pool2d(nhwc(x), (2, 3), maximum=True, **sizes), nhwc(want))


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions(name: str) -> None:
    x = np.abs(draw(3, 5, 7)) + np.float32(0.5)
    op = "Reduce" + "".join(part.capitalize() for part in name.split("_"))
    if name == "sum":
        want = x.sum(axis=(0, 2))  # its axes became an input
    else:
        want = onnx_run(op, x, axes=[0, 2], keepdims=0)
    close(library().reduce(name, x, [0, 2]) / np.maximum(1, np.abs(want)), want / np.maximum(1, np.abs(want)))


@pytest.mark.parametrize("axis", [1, -1])
def test_softmax(axis: int) -> None:
    x = draw(3, 18, 5) * 10
    close(library().softmax(x, axis), onnx_run("Softmax", x, axis=axis))
    close(library().softmax(x, axis, log=True), onnx_run("LogSoftmax", x, axis=axis))


def test_layer_norm() -> None:
    x, scale, bias = draw(4, 35), draw(35), draw(35)
    close(library().layer_norm(x, scale, bias, 1e-5), onnx_run("LayerNormalization", x, scale, bias, epsilon=1e-5))


def test_rms_norm() -> None:
    x, scale = draw(4, 35), draw(35)
    want = x / np.sqrt(np.mean(x.astype(np.float64) ** 2, axis=-1, keepdims=True) + 1e-5) * scale
    close(library().rms_norm(x, scale, 1e-5), want.astype(np.float32))


def test_group_norm() -> None:
    x, scale, bias = draw(2, 6, 4, 5), draw(6), draw(6)
    want = onnx_run("InstanceNormalization", x, scale, bias, epsilon=1e-5)
    close(library().group_norm(nhwc(x), scale, bias, 6, 1e-5), nhwc(want))
    ones = np.ones(2, np.float32)
    grouped = onnx_run("InstanceNormalization", x.reshape(2, 2, -1), ones, 0 * ones, epsilon=1e-5).reshape(x.shape)
    close(library().group_norm(nhwc(x), scale, bias, 2, 1e-5), nhwc(grouped) * scale + bias)
