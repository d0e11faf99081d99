"""What a float layer costs: multiply-adds, bytes, milliseconds, and their sum as shares."""

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


def test_bytes_alone(layers: list[Layer]):
    found = costs.of(layers, None)
    total = sum(layer.weight.size for layer in layers)
    for layer in layers:
        price = found[layer.name]
        assert price.added_bytes == 3 * layer.weight.size and price.added_ms is None
        assert price.share == pytest.approx((3 * layer.weight.size + costs.OVERHEAD_BYTES) / total)


def test_time_counts_where_int8_is_faster(layers: list[Layer]):
    found, bytes_alone = costs.of(layers, Rates(1000.0, 4000.0)), costs.of(layers, None)
    work = sum(map(costs.macs, layers))
    for layer in layers:
        macs = costs.macs(layer)
        assert found[layer.name].added_ms == pytest.approx(macs * 3 / 4000)
        assert found[layer.name].share - bytes_alone[layer.name].share == pytest.approx(3 * macs / work)
    slow = costs.of(layers, Rates(1000.0, 500.0))
    assert all(slow[layer.name].share == bytes_alone[layer.name].share for layer in layers)
