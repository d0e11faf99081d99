"""Scales for channels of what only depthwise convolutions read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
from onnx import numpy_helper

from edgeort.quantize import Options, compare, quantize
from edgeort.quantize.channels import FLOOR, keeps_channels_apart, quantity
from edgeort.quantize.extremes import Reach
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


def reach(lows: list[float], highs: list[float]) -> Reach:
    ends = np.array([lows, highs])
    return Reach(*ends, np.linspace(*ends, 1000, axis=1))


def test_the_range_of_every_channel_is_covered():
    known, ones = reach([-1.0, 0.0, -0.3, 0.0], [4.0, 2.0, 0.1, 0.0]), np.ones((4, 1))
    found = quantity((-1.0, 4.0), known, ones)
    scale = np.asarray(found.scale, np.float64)
    assert (-found.zero * scale <= np.maximum(np.minimum(known.lows, -FLOOR), -1) * (1 - 1e-6)).all()
    assert ((255 - found.zero) * scale >= np.minimum(np.maximum(known.highs, 4 * FLOOR), 4) * (1 - 1e-6)).all()
    assert scale[2] < scale[0]
    assert quantity((0.0, 6.0), reach([0, 0], [7.0, 1.0]), ones[:2]).zero == 0
    unread = quantity((-1.0, 4.0), known, np.array([[1.0], [0.0], [0.0], [1.0]]))
    assert np.isfinite(unread.scale).all() and 0 < unread.zero < 255
    assert quantity((0.0, 0.0), reach([0, 0], [0, 0]), ones[:2]).scale == 1


def test_what_a_channel_mostly_holds_lies_on_the_grid():
    """Nearly all numbers are the same, and 25 taps add their error up."""
    offset, taps = 0.0231, np.full((1, 25), 0.2)
    drawn = np.full((1, 1000), offset)
    drawn[0, :100] = np.linspace(0, 1, 100)
    found = quantity((0.0, 1.0), Reach(np.zeros(1), np.ones(1), drawn), taps)
    plain = 1 / 255
    for scale, limit in ((plain, 1.0), (float(np.asarray(found.scale)[0]), 0.1)):
        error = abs(np.rint(offset / scale) * scale - offset)
        assert (error < limit * abs(np.rint(offset / plain) * plain - offset)) == (limit < 1)
    assert plain <= np.asarray(found.scale)[0] <= 1.31 * plain
    clipped = quantity((0.0, 1.0), Reach(np.zeros(1), np.ones(1), drawn), taps, (0.0, 1.0))
    assert np.asarray(clipped.scale)[0] == np.float32(plain), "else the Clip would have to stay"


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
