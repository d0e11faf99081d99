"""Means with another bias are those of the layer when it runs with that bias, however much is kept."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from edgeort.ort import open_session
from edgeort.quantize import channel_means
from edgeort.quantize.calibration import channel_sums
from edgeort.quantize.channel_means import ChannelMeans
from edgeort.quantize.forms import Form
from edgeort.quantize.layers import Layer, read_layer
from edgeort.quantize.qdq import QuantizedLayer
from edgeort.quantize.ranges import UNBOUNDED, Range
from edgeort.quantize.segments import Prefix
from edgeort.quantize.store import Store
from tests.quantize.models import Net

SAMPLES = 3


def convolution(net: Net) -> onnx.ModelProto:
    return net.model(net.op("HardSwish", net.conv("x", 3, 5, kernel=3)), [1, 3, 9, 7], [1, 5, 9, 7])


def product(net: Net) -> onnx.ModelProto:
    made = net.op("Add", net.op("MatMul", "x", net.weight(6, 4)), net.constant(np.ones(4, np.float32)))
    return net.model(net.op("Tanh", made), [1, 5, 6], [1, 5, 4])


def quantized(layer: Layer) -> QuantizedLayer:
    """The layer as it is, with a bias that can be replaced."""
    node, index = layer.bias_operand
    weight, bias, source = layer.node.inputs[1], node.inputs[index], layer.node.inputs[0]
    assert weight is not None and bias is not None and source is not None
    bias.dtype = ir.DataType.FLOAT
    return QuantizedLayer(layer, Form.DYNAMIC, "x", source, None, np.ones(1, np.float32), weight, bias)


@pytest.mark.parametrize(("held", "at_once"), [(0, 1), (1500, 100), (2**20, 2**20)])
@pytest.mark.parametrize("bounds", [UNBOUNDED, (-0.1, 0.3)])
@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("net", [convolution, product])
def test_means_are_those_of_a_run_with_the_bias(
    net: Callable[[Net], onnx.ModelProto], behind: bool, bounds: Range, held: int, at_once: int,
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    monkeypatch.setattr(channel_means, "HELD", held)
    monkeypatch.setattr(channel_means, "_AT_ONCE", at_once)
    model = ir.from_proto(net(Net()))
    layer = read_layer(model.graph[0])
    assert isinstance(layer, Layer)
    made = quantized(layer)
    value = model.graph.outputs[0].producer().inputs[0] if behind else layer.result  # type: ignore[union-attr]
    assert value is not None
    rng = np.random.default_rng(1)
    with Store() as store:
        shape = [int(dim) for dim in model.graph.inputs[0].shape or ()]
        for index in range(SAMPLES):
            store.put("x", index, rng.standard_normal(shape).astype(np.float32))
        store.samples = SAMPLES
        measure = ChannelMeans(Prefix(model.graph, 17, store), made, value, bounds, layer.output_axis)
        for _ in range(3):
            means = measure()
            proto = ir.to_proto(model)
            proto.graph.output[0].name = str(value.name)
            run = open_session(proto.SerializeToString(), optimised=False)
            arrays = np.concatenate([run.run(None, {"x": store.get("x", index)})[0] for index in range(SAMPLES)])
            total, count = channel_sums(np.clip(arrays, *bounds), layer.output_axis)
            assert means.count == count
            np.testing.assert_allclose(means.mean, total / count, atol=1e-6)
            made.set_bias(made.real_bias + rng.standard_normal(layer.channels))
