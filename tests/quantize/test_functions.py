"""What functions make of a tensor: which nodes belong together, and what they compute."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
from onnx import helper

from edgeort.quantize.functions import behind, evaluator
from tests.quantize.models import Net

SHAPE = [1, 8, 4, 4]


def region_of(net: Net, value: str, result: str):
    proto = onnx.shape_inference.infer_shapes(net.model(result, [1, 3, 4, 4], SHAPE))
    return behind(next(v for node in ir.from_proto(proto).graph for v in node.outputs if v.name == value))


def hard_swish(net: Net, x: str) -> str:
    """x clip(x + 3, 0, 6), spelt out."""
    shifted = net.op("Add", x, net.constant(np.float32([3])))
    return net.op("Mul", x, net.relu6(shifted))


def test_a_spelt_out_function_between_constants():
    net = Net()
    conv = net.conv("x", 3, 8)
    inner = net.op("Add", net.op("Mul", net.constant(np.float32([0.7])), conv), net.constant(np.float32([0.1])))
    product = hard_swish(net, inner)
    scaled = net.op("Div", product, net.constant(np.float32([6])))
    region = region_of(net, conv, net.op("Add", scaled, net.constant(np.float32([0.2]))))
    assert region.result.name == product, "what scales and shifts it stays outside"
    assert len(region.nodes) == 5 and region.is_uniform
    x = np.linspace(-8, 8, 101, dtype=np.float32)
    inside = 0.7 * x + 0.1
    np.testing.assert_allclose(evaluator(region, 17)(x), inside * np.clip(inside + 3, 0, 6), rtol=1e-5, atol=1e-5)


def test_a_gelu_of_one_node_or_of_several():
    net = Net()
    conv = net.conv("x", 3, 8)
    root = net.op("Div", conv, net.constant(np.float32(2**0.5)))
    one = net.op("Add", net.op("Erf", root), net.constant(np.float32(1)))
    product = net.op("Mul", conv, one)
    assert region_of(net, conv, net.op("Mul", product, net.constant(np.float32(0.5)))).result.name == product


def test_what_others_read_ends_it():
    net = Net()
    conv = net.conv("x", 3, 8)
    sigmoid = net.op("Sigmoid", conv)
    product = net.op("Mul", conv, sigmoid)
    region = region_of(net, conv, net.op("Add", product, net.conv(sigmoid, 8, 8)))
    assert region.nodes == () and region.result is region.value
    net = Net()
    conv = net.conv("x", 3, 8)
    clipped = net.op("Relu", conv)
    region = region_of(net, conv, net.op("Add", net.conv(clipped, 8, 8), clipped))
    assert region.result.name == clipped, "all that the convolution makes goes through it"


def test_bodies_that_read_it_are_outside():
    net = Net()
    conv, zeros = net.conv("x", 3, 8), net.constant(np.zeros(SHAPE, np.float32))
    then, other = (
        helper.make_graph(
            [helper.make_node(op, [read], [op])],
            op,
            [],
            [helper.make_tensor_value_info(op, onnx.TensorProto.FLOAT, SHAPE)],
        )
        for op, read in (("Relu", conv), ("Identity", zeros))
    )
    result = net.op("If", net.constant(np.array(True)), then_branch=then, else_branch=other)
    region = region_of(net, conv, result)
    assert region.nodes == () and region.result.name == conv


def test_constants_of_channels_and_of_other_shapes():
    net = Net()
    conv = net.conv("x", 3, 8)
    sloped = net.op("PRelu", conv, net.constant(np.full((8, 1, 1), 0.1, np.float32)))
    region = region_of(net, conv, sloped)
    assert region.result.name == sloped and not region.is_uniform
    net = Net()
    conv = net.conv("x", 3, 1)
    spread = net.op("Max", conv, net.constant(np.zeros((8, 1, 1), np.float32)))
    assert region_of(net, conv, spread).nodes == (), "it would have other channels"
