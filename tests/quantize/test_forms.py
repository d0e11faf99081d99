"""Which layers read one range, a range a row, or floats."""

from __future__ import annotations

import onnx
import onnx_ir as ir
import pytest

from edgeort.quantize.forms import Form
from edgeort.quantize.layers import read_layer
from edgeort.quantize.selection import select
from tests.quantize.models import Net, mobile


def chosen(proto: onnx.ModelProto, wanted: dict[str, Form] | None = None) -> list[str]:
    graph = ir.from_proto(onnx.shape_inference.infer_shapes(proto)).graph
    return [str(form) for form in select(graph, (), wanted or {}).forms.values()]


def perceptron(between: str) -> onnx.ModelProto:
    """Two MatMuls with something between them."""
    net = Net()
    first = net.op("Add", net.op("MatMul", "x", net.weight(16, 16)), net.weight(16))
    middle = net.op(between, first, **({"axis": -1} if between == "Softmax" else {}))
    return net.model(net.op("MatMul", middle, net.weight(16, 4)), [3, 16], [3, 4])


@pytest.mark.parametrize("between", ["Relu", "Sigmoid"])
def test_functions_of_static_products_are_static(between: str):
    assert chosen(perceptron(between)) == ["static", "static"]


def test_behind_a_softmax_rows_have_ranges():
    assert chosen(perceptron("Softmax")) == ["static", "dynamic"]


def test_what_is_wanted_comes_first():
    assert chosen(perceptron("Relu"), {"": Form.DYNAMIC}) == ["dynamic", "dynamic"]
    assert chosen(perceptron("Relu"), {"n0": Form.DYNAMIC}) == ["dynamic", "dynamic"], "what follows a row's is a row's"
    assert chosen(perceptron("Softmax"), {"": Form.STATIC}) == ["static", "static"]
    assert chosen(perceptron("Softmax"), {"": Form.STATIC, "n0": Form.FLOAT}) == ["float", "static"]
    assert set(chosen(mobile(), {"": Form.DYNAMIC})) == {"static", "dynamic"}, "convolutions cannot"


def test_blocks_are_for_products_of_rows():
    assert chosen(perceptron("Softmax"), {"": Form.BLOCKS}) == ["int4 weights", "int4 weights"]
    assert chosen(mobile(), {"": Form.BLOCKS}).count("float") == 5


def test_sixteen_bits_are_static():
    assert chosen(perceptron("Relu"), {"n0": Form.FINE}) == ["int16 weights", "static"]
    graph = ir.from_proto(onnx.shape_inference.infer_shapes(mobile())).graph
    names = [str(node.name) for node in graph]
    wide = select(graph, (), {"n4": Form.WIDE})
    assert [str(value.name) for value in wide.tensors if value in wide.wide] == ["t3"] and "n4" in names
    half = select(graph, (), {"n4": Form.HALF})
    assert [layer.name for layer in half.halves] == ["n4"] and len(half.layers) == 5 and "n4" not in half.forms


def test_what_is_moved_from_a_wide_tensor_is_wide():
    net = Net()
    wide = net.op("MaxPool", net.conv("x", 4, 4), kernel_shape=[2, 2], strides=[2, 2])
    proto = net.model(net.conv(wide, 4, 4), [1, 4, 8, 8], [1, 4, 4, 4])
    found = select(ir.from_proto(onnx.shape_inference.infer_shapes(proto)).graph, (), {"n2": Form.WIDE})
    assert [str(value.name) for value in found.tensors if value in found.wide] == ["t0", "t1"]


def test_the_bias_behind_a_matmul():
    proto = perceptron("Relu")
    nodes = {node.name: node for node in ir.from_proto(proto).graph}
    first, last = (read_layer(nodes[name]) for name in ("n0", "n3"))
    assert first is not None and not isinstance(first, str) and last is not None and not isinstance(last, str)
    assert first.adds is nodes["n1"] and first.bias is not None and first.bias.shape == (16,)
    assert first.result is nodes["n1"].outputs[0] and first.takes_bias
    assert last.adds is None and last.bias is None and not last.takes_bias


def test_an_add_of_something_else_is_no_bias():
    net = Net()
    product = net.op("MatMul", "x", net.weight(16, 16))
    proto = net.model(net.op("Add", product, net.op("Relu", product)), [3, 16], [3, 16])
    layer = read_layer(next(iter(ir.from_proto(proto).graph)))
    assert layer is not None and not isinstance(layer, str) and layer.adds is None
