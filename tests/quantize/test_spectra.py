"""What a logarithm reads is no int8: front ends that make spectra keep floats and half floats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import numpy_helper

from edgeort.quantize import quantize
from edgeort.quantize.selection import SPECTRUM, select
from edgeort.quantize.spectra import spectrum_layers
from tests.quantize.models import Net, save

FRAMES, TAPS = 12, 64


def network(*, decibels: bool = True, filtered: bool = False) -> onnx.ModelProto:
    """A Fourier transform as convolutions over sound, its power, the logarithm of that, and two more layers."""
    net, at = Net(), np.arange(TAPS)
    waves = np.concatenate([f(2 * np.pi * k * at / TAPS) for k in range(1, 17) for f in (np.cos, np.sin)])
    kernels = (waves.reshape(32, 1, 1, TAPS) * np.hanning(TAPS)).astype(np.float32)
    x = "x"
    if filtered:
        x = net.op("Pad", net.op("Conv", x, net.constant(np.full((1, 1, 1, 3), 1 / 3, np.float32))), net.constant(PADS))
    parts = net.op("Conv", x, net.constant(kernels), strides=[1, TAPS // 2])
    power = net.op("Mul", parts, parts)
    if decibels:
        power = net.op("Log", net.op("Add", power, net.constant(np.float32(1e-6))))
    hidden = net.op("Relu", net.conv(power, 32, 16))
    return net.model(net.conv(hidden, 16, 4), [1, 1, 1, TAPS // 2 * (FRAMES + 1)], [1, 4, 1, FRAMES])


PADS = np.array([0, 0, 0, 1, 0, 0, 0, 1])


def sound(count: int) -> list[dict[str, np.ndarray]]:
    """Tones from loud to a thousand times less, and noise below them."""
    rng, time = np.random.default_rng(0), np.arange(TAPS // 2 * (FRAMES + 1))
    loud = 10 ** rng.uniform(-3, 0, (count, 1))
    waves = loud * np.sin(rng.uniform(0.1, 1.4, (count, 1)) * time) + 1e-3 * loud * rng.standard_normal(
        (count, len(time))
    )
    return [{"x": wave.astype(np.float32).reshape(1, 1, 1, -1)} for wave in waves]


@pytest.mark.parametrize(
    ("options", "layers"), [({}, 1), ({"filtered": True}, 2), ({"decibels": False}, 0)]
)  # fmt: skip
def test_layers_before_a_logarithm(options: dict[str, bool], layers: int):
    graph = ir.from_proto(onnx.shape_inference.infer_shapes(network(**options))).graph
    assert len(spectrum_layers(graph)) == layers
    selection = select(graph)
    assert list(selection.left.values()) == [f"{SPECTRUM}; its weights are float16"] * layers
    assert len(selection.halves) == layers
    assert all(selection.forms[layer.name] == "static" for layer in selection.layers)


def test_it_is_told_where_float16_cannot_hold_the_weights():
    """As those of samples of 24 bits are: they stay float32."""
    model = network()
    (weight,) = [tensor for tensor in model.graph.initializer if list(tensor.dims[-1:]) == [TAPS]]
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(2**23), weight.name))
    selection = select(ir.from_proto(onnx.shape_inference.infer_shapes(model)).graph)
    assert list(selection.left.values()) == [f"{SPECTRUM}; float16 has no numbers as large as its largest"]


def test_a_layer_behind_another_function_is_none():
    net = Net()
    hidden = net.op("Relu", net.conv("x", 3, 8))
    softened = net.op("Log", net.op("Add", net.op("Exp", net.conv(hidden, 8, 8)), net.constant(np.float32(1))))
    last = net.op("Log", net.op("Abs", net.conv(softened, 8, 4)))
    graph = ir.from_proto(net.model(last, [1, 3, 8, 8], [1, 4, 8, 8])).graph
    (found,) = spectrum_layers(graph)
    assert found.inputs[0].name == softened, "neither softplus nor what a Relu stands behind"


def test_quiet_sound_is_no_noise(tmp_path: Path):
    result = quantize(save(tmp_path / "m.onnx", network()), tmp_path / "q.onnx", sound(40))
    assert min(difference.sqnr_db for difference in result.differences) > 30
