"""Scales for channels of what only depthwise convolutions read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
from onnx import numpy_helper

from edgeort.quantize import Options, compare, quantize
from edgeort.quantize.channels import FLOOR, MARGIN, keeps_channels_apart, quantity
from edgeort.quantize.refinement import Steps
from tests.quantize.models import SIDE, Net, mobile, samples, save

CHANNELS = 16


def network() -> onnx.ModelProto:
    """Channels of very different sizes between a convolution with a Relu and a depthwise one."""
    net = Net()
    sizes = np.geomspace(0.05, 5, CHANNELS).astype(np.float32)
    first = net.constant((net.rng.standard_normal((CHANNELS, 3, 1, 1)) * sizes.reshape(-1, 1, 1, 1)).astype(np.float32))
    wide = net.op("Relu", net.op("Conv", "x", first))
    apart = net.constant((net.rng.standard_normal((CHANNELS, 1, 3, 3)) / sizes.reshape(-1, 1, 1, 1)).astype(np.float32))
    deep = net.op("Conv", wide, apart, pads=[1] * 4, group=CHANNELS)
    return net.model(net.conv(deep, CHANNELS, 4), [1, 3, SIDE, SIDE], [1, 4, SIDE, SIDE])


def test_which_tensors():
    graph = ir.from_proto(onnx.shape_inference.infer_shapes(mobile())).graph
    depthwise = next(node for node in graph if node.op_type == "Conv" and node.attributes["group"].as_int() > 1)
    found = [v for v in (*graph.inputs, *(o for n in graph for o in n.outputs)) if keeps_channels_apart(v)]
    assert found == [depthwise.inputs[0]]


def test_the_range_of_every_channel_is_covered():
    lows, highs = np.array([-1.0, 0.0, -0.3, 0.0]), np.array([4.0, 2.0, 0.1, 0.0])
    found = quantity((-1.0, 4.0), lows, highs, np.ones(4))
    scale = np.asarray(found.scale, np.float64)
    assert (-found.zero * scale <= np.maximum(np.minimum(MARGIN * lows, -FLOOR), -1) * (1 - 1e-6)).all()
    assert ((255 - found.zero) * scale >= np.minimum(np.maximum(MARGIN * highs, 4 * FLOOR), 4) * (1 - 1e-6)).all()
    assert scale[2] < scale[0]
    assert quantity((0.0, 6.0), np.zeros(2), np.array([7.0, 1.0]), np.ones(2)).zero == 0
    unread = quantity((-1.0, 4.0), lows, highs, np.array([1.0, 0.0, 0.0, 1.0]))
    assert np.isfinite(unread.scale).all() and 0 < unread.zero < 255
    assert quantity((0.0, 0.0), np.zeros(2), np.zeros(2), np.ones(2)).scale == 1


def test_a_model_for_edgeort(tmp_path: Path):
    path, outs = save(tmp_path / "m.onnx", network()), {name: tmp_path / f"{name}.onnx" for name in ("onnx", "edgeort")}
    found = {}
    steps = Steps(equalisation=False)  # which does as much for this network
    for name, out in outs.items():
        result = quantize(path, out, samples(24), Options(runtime=name, steps=steps))
        (found[name],) = compare(path.read_bytes(), out.read_bytes(), samples(8, seed=5), fuse_qdq=False)
        assert abs(result.differences[0].sqnr_db - found[name].sqnr_db) < 3
    assert found["edgeort"].sqnr_db > found["onnx"].sqnr_db + 3
    sizes = {t.name: numpy_helper.to_array(t).size for t in onnx.load(outs["edgeort"]).graph.initializer}
    assert [size for name, size in sizes.items() if name.endswith("_scale") and name.startswith("t")] == [CHANNELS, 1]
    onnx.checker.check_model(onnx.load(outs["edgeort"]))
    (fused,) = compare(path.read_bytes(), outs["onnx"].read_bytes(), samples(8, seed=5))
    assert fused.sqnr_db > found["onnx"].sqnr_db - 1, "every runtime runs the plain one"
