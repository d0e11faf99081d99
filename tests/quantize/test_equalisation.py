"""Equalisation leaves the model's numbers as they are, refuses near misses, and is kept only where the noise falls."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from edgeort.quantize import Options, Steps, compare, quantize
from edgeort.quantize.equalisation import MARGIN, WIDEST, Pair, apply, factors, pairs
from edgeort.quantize.preparing import prepare, serialize
from tests.quantize.models import Net, samples, save

C = 16
PLAIN = Steps(gptq=False, bias_correction=False, compensation=False)


def network(
    function: str, second: str = "dense", extra: str = "", spread: float = 40, most: float = 1
) -> onnx.ModelProto:
    """Two convolutions with a function between; the first one's channels differ by up to `spread`, from `most` on."""
    net = Net()
    rows = np.geomspace(most, most / spread, C).astype(np.float32)
    weight = net.rng.standard_normal((C, 3, 3, 3)).astype(np.float32) * rows[:, None, None, None]
    bias = net.rng.standard_normal(C).astype(np.float32) * rows
    made = net.op("Conv", "x", net.constant(weight), net.constant(bias), pads=[1] * 4)
    value = {
        "none": lambda: made,
        "relu": lambda: net.op("Relu", made),
        "leaky": lambda: net.op("LeakyRelu", made, alpha=0.1),
        "relu6": lambda: net.relu6(made),
        "clip": lambda: net.op("Clip", made, net.constant(np.float32(-1)), net.constant(np.float32(1))),
        "sigmoid": lambda: net.op("Sigmoid", made),
        "hardswish": lambda: net.op("HardSwish", made),
    }[function]()
    shapes = {"dense": (8, 1, 1), "depthwise": (2 * C, 3, C), "grouped": (8, 1, 2), "strided": (8, 3, 1)}
    outputs, kernel, group = shapes[second]
    last = net.conv(value, C, outputs, kernel, group, 2 if second == "strided" else 1)
    if extra:
        last = net.op("Add", last, net.op("ReduceMean", {"value": value, "inside": made}[extra]))
    side = 6 if second == "strided" else 12
    return net.model(last, [1, 3, 12, 12], [1, outputs, side, side])


def found(tmp_path: Path, proto: onnx.ModelProto) -> tuple[ir.Model, list[Pair]]:
    model = prepare(save(tmp_path / "m.onnx", proto)).model
    return model, list(pairs(model.graph))


@pytest.mark.parametrize("second", ["dense", "depthwise", "strided"])
@pytest.mark.parametrize("function", ["none", "relu", "leaky"])
def test_the_numbers_stay(tmp_path: Path, function: str, second: str):
    model, (pair,) = found(tmp_path, network(function, second))
    s = np.geomspace(0.1, 10, C).astype(np.float32)
    apply(model.graph, pair, s)
    (difference,) = compare((tmp_path / "m.onnx").read_bytes(), serialize(model), samples(4))
    assert difference.sqnr_db > 100


@pytest.mark.parametrize(
    ("function", "second", "extra"),
    [
        ("sigmoid", "dense", ""),
        ("hardswish", "dense", ""),
        ("clip", "dense", ""),
        ("relu", "grouped", ""),
        ("relu", "dense", "value"),
        ("relu", "dense", "inside"),
    ],
)
def test_near_misses(tmp_path: Path, function: str, second: str, extra: str):
    assert not found(tmp_path, network(function, second, extra))[1]


def test_a_graph_output_between(tmp_path: Path):
    proto = network("relu")
    proto.graph.output.append(onnx.helper.make_tensor_value_info("t1", 1, None))
    assert not found(tmp_path, proto)[1]
    proto = network("relu")
    proto.graph.output.append(onnx.helper.make_tensor_value_info("t0", 1, None))
    assert not found(tmp_path, proto)[1]


def test_factors_of_a_depthwise_reader_make_channels_alike(tmp_path: Path):
    _, (pair,) = found(tmp_path, network("relu", "depthwise"))
    highs = np.geomspace(1, 0.1, C)
    highs[5] = 0  # a dead channel
    s = factors(pair, np.zeros(C), highs)
    assert s is not None and s[5] == 1
    after, free = highs / s, (highs > 0) & (highs * MARGIN < 1)
    assert (s[~free] == 1).all() and np.allclose(after[free], 1 / MARGIN)
    s = factors(pair, np.zeros(C), np.geomspace(1, 1e-4, C))
    assert s is not None and s.min() == np.float32(1 / WIDEST), "a channel of next to nothing is not blown up"
    assert factors(pair, np.zeros(C), np.ones(C)) is None


def test_a_bound_keeps_its_distance(tmp_path: Path):
    _, (pair,) = found(tmp_path, network("relu6"))
    assert pair.bound == 6
    highs = np.geomspace(6, 0.05, C)
    s = factors(pair, np.zeros(C), highs)
    assert s is not None and (s[highs * MARGIN >= 6] == 1).all()
    free = highs * MARGIN < 6
    assert free.any() and (highs[free] / s[free] * MARGIN <= 6.0001).all()
    assert factors(pair, np.zeros(C), np.full(C, 5.9)) is None


@pytest.mark.parametrize("function", ["relu", "relu6"])
def test_the_noise_falls(tmp_path: Path, function: str):
    path, sqnr = save(tmp_path / "m.onnx", network(function, "depthwise", most=0.1)), []
    for equalisation in (False, True):
        steps = Steps(gptq=False, bias_correction=False, compensation=False, equalisation=equalisation)
        result = quantize(path, tmp_path / "q.onnx", samples(24), Options(steps=steps))
        assert result.equalised == (equalisation and function == "relu6")
        assert result.evened == (equalisation and function == "relu"), "by channels' steps, without a trial"
        (difference,) = compare(path.read_bytes(), (tmp_path / "q.onnx").read_bytes(), samples(24, seed=9))
        sqnr.append(difference.sqnr_db)
    assert sqnr[1] > sqnr[0] + 1


def test_channels_that_are_alike_are_left_alone(tmp_path: Path):
    path = save(tmp_path / "m.onnx", network("relu", "depthwise", spread=1))
    assert quantize(path, tmp_path / "q.onnx", samples(16), Options(steps=PLAIN)).equalised == 0


def test_excluded_layers_and_given_ranges_are_left_alone(tmp_path: Path):
    path, ranges = save(tmp_path / "m.onnx", network("relu", "depthwise")), tmp_path / "r.json"
    assert quantize(path, tmp_path / "q.onnx", samples(16), Options(steps=PLAIN, exclude=["n2"])).equalised == 0
    quantize(path, tmp_path / "q.onnx", samples(16), Options(steps=PLAIN, save_ranges=ranges))
    assert quantize(path, tmp_path / "q.onnx", samples(16), Options(steps=PLAIN, ranges=ranges)).equalised == 0
