"""The function through which alone a tensor is read: where there is one, and what it gives."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from edgeort.quantize.functions import function_behind, read_through
from tests.quantize.models import Net


def value_of(proto: onnx.ModelProto, name: str) -> ir.Value:
    graph = ir.from_proto(onnx.shape_inference.infer_shapes(proto)).graph
    return next(value for node in graph for value in node.outputs if value.name == name)


def silu(net: Net, x: str) -> str:
    return net.op("Mul", x, net.op("Sigmoid", x))


def gelu(net: Net, x: str) -> str:
    erf = net.op("Erf", net.op("Div", x, net.constant(np.float32(2**0.5))))
    return net.op("Mul", net.op("Mul", x, net.op("Add", erf, net.constant(np.ones(1, np.float32)))), half(net))


def half(net: Net) -> str:
    return net.constant(np.float32(0.5))


@pytest.mark.parametrize(("make", "wanted"), [(silu, [-0.0447, 0, 3.9281]), (gelu, [0, 0, 3.9999])])
def test_functions_that_are_spelt_out(make, wanted: list[float]):
    net = Net()
    conv = net.conv("x", 3, 8)
    last = make(net, conv)
    function = function_behind(value_of(net.model(net.conv(last, 8, 3), [1, 3, 4, 4], [1, 3, 4, 4]), conv), 17)
    assert function is not None
    x = np.array([-5 if make is silu else -9, 0, 4.0])
    np.testing.assert_allclose(function(x), np.array(wanted), atol=2e-2)


@pytest.mark.parametrize("reader", ["residual", "output", "channels", "none"])
def test_what_is_read_by_others_too(reader: str):
    net = Net()
    conv = net.conv("x", 3, 8)
    if reader == "channels":
        last = net.op("PRelu", conv, net.constant(np.full((8, 1, 1), 0.1, np.float32)))
    else:
        last = conv if reader == "none" else silu(net, conv)
    result = net.op("Add", net.conv(last, 8, 8), conv) if reader == "residual" else net.conv(last, 8, 8)
    proto = net.model(result, [1, 3, 4, 4], [1, 8, 4, 4])
    if reader == "output":
        proto.graph.output.append(onnx.helper.make_tensor_value_info(conv, 1, [1, 8, 4, 4]))
    value = value_of(proto, conv)
    assert read_through(value) == ([], value)
    assert function_behind(value, 17) is None
