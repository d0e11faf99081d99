"""Smoothing leaves the model's numbers as they are and lowers the noise where channels differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgeort.quantize import Options, Steps, compare, quantize
from edgeort.quantize.forms import Form
from edgeort.quantize.preparing import prepare
from edgeort.quantize.selection import select
from edgeort.quantize.smoothing import factors, smooth
from edgeort.quantize.store import Store
from tests.quantize.models import Net, save

WIDTH = 32


def network(readers: str) -> onnx.ModelProto:
    """A layer norm with two loud channels before a MatMul; with `readers` "residual" an Add reads it too."""
    net = Net()
    loud = np.ones(WIDTH, np.float32)
    loud[3], loud[11] = 60, 40
    normed = net.op("LayerNormalization", "x", net.constant(loud), net.weight(WIDTH))
    if readers == "relu":
        normed = net.op("Mul", net.op("Relu", normed), net.op("Sigmoid", normed))
    product = net.op("MatMul", normed, net.weight(WIDTH, WIDTH))
    return net.model(net.op("Add", product, normed) if readers == "residual" else product, ["n", WIDTH], ["n", WIDTH])


def data(count: int = 24) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [{"x": rng.standard_normal((int(n), WIDTH)).astype(np.float32)} for n in rng.integers(1, 9, count)]


@pytest.mark.parametrize(("readers", "muls"), [("one", 0), ("residual", 1), ("relu", 2)])
def test_the_numbers_stay(tmp_path: Path, readers: str, muls: int):
    path = save(tmp_path / "m.onnx", network(readers))
    prepared, samples = prepare(path), data()
    with Store() as store:
        for index, sample in enumerate(samples):
            store.put("x", index, sample["x"])
        store.samples = len(samples)
        assert smooth(prepared, select(prepared.model.graph), store) == 1
    (found,) = compare(path.read_bytes(), prepared.serialized, samples)
    assert found.sqnr_db > 100
    assert [node.op_type for node in prepared.model.graph].count("Mul") == muls


def test_the_noise_falls(tmp_path: Path):
    path = save(tmp_path / "m.onnx", network("one"))
    found = []
    for smoothing in (False, True):
        quantize(path, tmp_path / "q.onnx", data(), Options(steps=Steps(smoothing=smoothing)))
        (difference,) = compare(path.read_bytes(), (tmp_path / "q.onnx").read_bytes(), data())
        found.append(difference.sqnr_db)
    assert found[1] > found[0] + 3


def test_products_that_read_the_input(tmp_path: Path):
    net = Net()
    path = save(tmp_path / "m.onnx", net.model(net.op("MatMul", "x", net.weight(WIDTH, 8)), ["n", WIDTH], ["n", 8]))
    loud = [{"x": sample["x"] * np.where(np.arange(WIDTH) == 3, np.float32(60), 1)} for sample in data()]
    result = quantize(path, tmp_path / "q.onnx", loud, Options(activations=Form.DYNAMIC))
    assert result.forms == {"dynamic": 1}
    assert result.differences[0].sqnr_db > 30


def test_channels_that_are_alike_are_left_alone():
    rng = np.random.default_rng(0)
    assert factors(rng.uniform(-1, 1, (64, 16)), [rng.uniform(-1, 1, (8, 16))]) is None


def test_dead_channels():
    rng = np.random.default_rng(0)
    rows, weight = rng.standard_normal((64, 16)), rng.standard_normal((8, 16))
    rows[:, 0] *= 100
    rows[:, 1], weight[:, 2] = 0, 0
    found = factors(rows, [weight])
    assert found is not None and np.isfinite(found).all() and (found > 0).all()
    assert found[1] == found[2] == 1


@pytest.mark.filterwarnings("error")
def test_rows_that_are_zero_have_no_factors():
    assert factors(np.zeros((4, WIDTH), np.float32), [np.ones((8, WIDTH), np.float32)]) is None
