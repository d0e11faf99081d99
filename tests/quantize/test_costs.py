"""What speed is worth: multiply-adds, milliseconds, and their weight in bytes."""

from __future__ import annotations

import pytest

from edgeort.quantize import costs
from edgeort.quantize.costs import Rates
from edgeort.quantize.layers import Layer, read_layer
from edgeort.quantize.preparing import prepare
from tests.quantize.models import mobile, save


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> list[Layer]:
    graph = prepare(save(tmp_path_factory.mktemp("m") / "m.onnx", mobile())).model.graph
    return [layer for layer in map(read_layer, graph) if isinstance(layer, Layer)]


def test_multiply_adds(layers: list[Layer]):
    assert [costs.macs(layer) for layer in layers] == [
        16 * 3 * 9 * 36, 32 * 16 * 36, 32 * 9 * 36, 16 * 32 * 36, 64 * 16 * 36, 10 * 64,
    ]  # fmt: skip


def test_without_rates_a_weight_weighs_a_byte(layers: list[Layer]):
    found = costs.lost_speed(layers, None)
    for layer in layers:
        size = layer.weight.size
        assert found[layer.name] == costs.Slowness(size, None, costs.Slowness(size // 2, None))


def test_time_weighs_as_much_as_the_same_part_of_the_bytes(layers: list[Layer]):
    found = costs.lost_speed(layers, Rates(1000.0, 4000.0))
    work, weights = sum(map(costs.macs, layers)), sum(layer.weight.size for layer in layers)
    for layer in layers:
        macs = costs.macs(layer)
        assert found[layer.name].ms == pytest.approx(macs * 3 / 4000)
        assert found[layer.name].in_bytes == round(3 * macs / work * weights)
        twice = found[layer.name].fine
        assert twice is not None and twice.ms == pytest.approx(macs * (3 if layer.groups > 1 else 1) / 4000)
    slow = costs.lost_speed(layers, Rates(1000.0, 500.0))
    assert all(slow[layer.name] == costs.Slowness(0, 0.0, costs.Slowness(0, 0.0)) for layer in layers)
