"""Outputs that join boxes and scores are measured as the two that they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from edgeort.quantize import Options, Steps, quantize
from edgeort.quantize.measuring import differences
from edgeort.quantize.parts import Part, parts
from edgeort.validate import Exam, assess
from tests.quantize.models import Net, pictures, save

PLAIN = Steps(False, False, False, False, False)


def detector(perm: list[int] | None = None) -> onnx.ModelProto:
    """Boxes of hundreds of pixels and scores of 0..1 for each of 144 positions in one output, [1, 7, 144]."""
    net = Net(2)
    body = net.conv("x", 3, 16, 3)
    body = net.op("Mul", body, net.op("Sigmoid", body))
    shape = net.constant(np.array([1, -1, 144], np.int64))
    boxes = net.op("Mul", net.op("Reshape", net.conv(body, 16, 4), shape), net.constant(np.float32(300)))
    scores = net.op("Sigmoid", net.op("Reshape", net.conv(body, 16, 3), shape))
    joined = net.op("Concat", boxes, scores, axis=1)
    if perm:
        joined = net.op("Transpose", joined, perm=perm)
    return net.model(joined, [1, 3, 12, 12], [1, 7, 144] if perm is None else [1, 144, 7])


def found_in(proto: onnx.ModelProto) -> list[Part]:
    return parts(ir.from_proto(onnx.shape_inference.infer_shapes(proto)).graph)


def test_the_parts_of_a_concat():
    assert found_in(detector()) == [Part("y", 1, 0, 4), Part("y", 1, 4, 7)]
    assert found_in(detector([0, 2, 1])) == [Part("y", 2, 0, 4), Part("y", 2, 4, 7)]
    assert found_in(detector([0, 2, 1]))[1].name == "y[:, :, 4:7]"
    net = Net()
    assert found_in(net.model(net.conv("x", 3, 8), [1, 3, 4, 4], [1, 8, 4, 4])) == []


@pytest.mark.parametrize("op", ["RandomNormal", "Constant"])
def test_what_reads_nothing_has_no_parts(op: str):
    net = Net()
    value = net.op(op, **({"shape": [1, 8]} if op == "RandomNormal" else {"value_floats": [1.0, 2.0]}))
    assert found_in(net.model(value, [1, 3, 4, 4], [1, 8] if op == "RandomNormal" else [2])) == []


@pytest.mark.parametrize(("factor", "names"), [(1, ["y"]), (100, ["y[:, 0:4]", "y[:, 4:7]"])])
def test_only_unlike_parts_are_apart(factor: int, names: list[str]):
    reference = np.random.default_rng(0).standard_normal((1, 7, 9)).astype(np.float32)
    reference[:, :4] *= factor
    other = reference.copy()
    other[:, 4:] *= np.float32(1.1)
    found = differences([({"y": reference}, {"y": other})], [Part("y", 1, 0, 4), Part("y", 1, 4, 7)])
    assert [one.output for one in found] == names
    assert found[-1].sqnr_db == pytest.approx(20, abs=4)


def test_the_verdict_has_both(tmp_path: Path):
    path = save(tmp_path / "m.onnx", detector())
    samples = [{"x": picture[np.newaxis]} for picture in pictures(16)]
    quantize(path, tmp_path / "q.onnx", samples, Options(steps=PLAIN))
    halves = quantize(path, tmp_path / "h.onnx", samples, Options(weights="float16"))
    assert [one.output for one in halves.differences] == ["y[:, 0:4]", "y[:, 4:7]"]
    found = assess(tmp_path / "q.onnx", path, Exam(iter(samples)))
    assert [one.note for one in found.figures if one.name == "sqnr_db"] == ["output y[:, 0:4]", "output y[:, 4:7]"]


def test_ranges_are_those_with_less_noise_in_the_worst_part(tmp_path: Path):
    path = save(tmp_path / "m.onnx", detector())
    samples = [{"x": picture[np.newaxis]} for picture in pictures(16)]
    for sample in samples:
        sample["x"][0, :, 0, 0] *= 8  # one position of 144
    worst = {}
    for method in ("mse", "quartic", "auto"):
        result = quantize(path, tmp_path / "q.onnx", samples, Options(method=method, steps=PLAIN))
        assert [one.output for one in result.differences] == ["y[:, 0:4]", "y[:, 4:7]"]
        worst[method] = min(one.sqnr_db for one in result.differences)
        chosen = result.method
    assert chosen == max(("mse", "quartic"), key=lambda method: worst[method])
    assert worst["auto"] == pytest.approx(worst[chosen])
