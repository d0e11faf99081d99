"""Predictions against numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgeort import device_profiles
from edgeort.bench import predict, predict_bundle, predict_engine, predict_for
from edgeort.bench.predicting import FUNCTIONS, RUN
from edgeort.device_profiles import EngineRates, KernelRate, Measured
from edgeort.device_profiles.estimating import EFFICIENCIES
from edgeort.providers import Node
from edgeort.toolchain import families
from tests.bundle.test_bundle import MANIFEST

CONV = KernelRate("Conv", 1, 2.0, 10.0, 5.0)
MEASURED = Measured("2026-11-29", 4, 20.0, 70.0, 40.0, 150.0, 8.0, 12.0, 0.05, (CONV,))


def node(op: str = "Conv", macs: int | None = 0, functions: int | None = 0, moved: int | None = 1000) -> Node:
    return Node(f"a {op}", op, "cpu", "float32", macs=macs, functions=functions, moved_bytes=moved)


def with_rates(*rates: KernelRate) -> Measured:
    return replace(MEASURED, kernels=rates)


def test_a_node_takes_a_call_products_and_bytes():
    found = predict([node(macs=10_000_000, moved=500_000)], MEASURED, 1)
    assert found.latency_ms == pytest.approx((2 + 1000 + 100) * 1e-3)
    assert found.node_ms == {"a Conv": found.latency_ms}
    assert (found.error, found.unknown, found.guessed, found.is_estimate) == (0.05, 0, (), False)
    assert found.basis == "predictions of this device were off by 5% in the median"
    assert found.error_of(found.latency_ms / 1.25) == pytest.approx(0.25)


def test_functions_have_a_rate_of_their_own():
    rates = CONV, KernelRate(FUNCTIONS, 1, 0.0, 2.0)
    one, other = (predict([node(functions=n)], with_rates(*rates), 1).latency_ms for n in (0, 4_000_000))
    assert other - one == pytest.approx(2.0)


def test_threads_between_and_beyond_those_that_were_measured():
    rates = CONV, replace(CONV, threads=4, us=4.0, gmacs=40.0, gbs=20.0)
    one, two, four, eight = (predict([node(macs=40_000_000)], with_rates(*rates), n).latency_ms for n in (1, 2, 4, 8))
    assert one == pytest.approx(4.0022)
    assert four == pytest.approx(1.00405)
    assert two == pytest.approx(one + (four - one) * 2 / 3)  # of a + b / n
    assert eight == four


def test_kernels_without_rates_are_guessed_and_named():
    like = predict([node("ConvTranspose", macs=10_000_000, moved=500_000)], MEASURED, 1)
    assert (like.latency_ms, like.guessed) == (pytest.approx(1.102), ("ConvTranspose",))
    peak = predict([node("Einsum", macs=10_000_000)], MEASURED, 1)
    assert peak.latency_ms == pytest.approx(2e7 / (0.5 * 20e9) * 1e3)
    int8 = predict([node("QConv", macs=10_000_000)], MEASURED, 4)
    assert int8.latency_ms == pytest.approx(2e7 / (0.5 * 150e9) * 1e3)
    moves = predict([node("Tile", moved=8_000_000)], MEASURED, 1)
    assert moves.latency_ms == pytest.approx(1.0)
    both = with_rates(CONV, KernelRate("Elementwise", 1, 1.0, None, 4.0))
    assert predict([node("Tile", moved=8_000_000)], both, 1).latency_ms == pytest.approx(2.001)


def test_views_take_nothing_and_unknown_sizes_are_counted():
    found = predict([node("Reshape", moved=0), node("Expand", moved=None), node()], MEASURED, 1)
    assert (found.unknown, set(found.node_ms)) == (1, {"a Conv"})


def test_products_of_unknown_size_have_no_prediction():
    profile = device_profiles.load("raspberrypi4")
    assert predict_for(profile, [node(macs=None)], 1) is None
    assert predict_for(profile, [node(), node("Expand", moved=None)], 1) is not None


def test_a_device_that_nobody_probed_is_estimated():
    pi = device_profiles.load("raspberrypi4")
    nodes = [node(macs=100_000_000)]
    found = predict_for(pi, nodes, 1)
    assert found is not None and found.is_estimate and found.error is None
    assert "edgeort profiles probe" in found.basis
    assert found.latency_ms == pytest.approx(100 / (0.89 * 4 * 1.8), rel=0.01)  # 4 multiply-adds a cycle at 1.8 GHz
    four = predict_for(pi, nodes, 4)
    assert four is not None and 3 < found.latency_ms / four.latency_ms < 4
    probed = predict_for(replace(pi, measured=MEASURED), nodes, 1)
    assert probed is not None and probed == predict(nodes, MEASURED, 1)
    peaks_alone = predict_for(replace(pi, measured=with_rates()), nodes, 1)
    assert peaks_alone is not None and peaks_alone.latency_ms == found.latency_ms


ENGINE = EngineRates(
    "openvino",
    "openvino 1.2",
    0.07,
    (replace(CONV, gmacs=20.0), KernelRate("MaxPool", 1, 0.0), KernelRate(RUN, 1, 30.0, None, 10.0)),
)


def test_another_engine_takes_its_own_rates_and_a_run():
    nodes = [node(macs=10_000_000, moved=500_000), node("MaxPool", moved=1000)]
    found = predict_engine(ENGINE, MEASURED, nodes, 200_000, 1)
    assert found is not None and found.latency_ms == pytest.approx((2 + 500 + 100 + 30 + 20) * 1e-3)
    assert (found.error, found.guessed, found.is_founded) == (0.07, (), True)
    assert found.basis == "predictions of openvino 1.2 on this device were off by 7% in the median"
    assert predict_engine(ENGINE, MEASURED, [node(macs=None)], 0, 1) is None


def test_what_is_mostly_guessed_is_no_prediction():
    nodes = [node(macs=10_000_000, moved=500_000), node("Einsum", macs=10_000_000)]
    found = predict_engine(ENGINE, MEASURED, nodes, 0, 1)
    assert found is not None and found.guessed == ("Einsum",) and not found.is_founded
    assert found.guessed_ms == pytest.approx(2e7 / (0.5 * 20e9) * 1e3)
    assert found.basis.endswith("is guessed: no rates of Einsum")
    assert not predict_for(device_profiles.load("raspberrypi4"), nodes, 1).is_founded


def test_efficiencies_are_of_kernels_that_there_are():
    assert set(EFFICIENCIES) - {FUNCTIONS} <= set(families())


@pytest.mark.parametrize("row", [{}, {"chosen": True}, {"chosen": True, "predicted": True, "latency_ms": "soon"}])
def test_a_table_of_no_build_tells_nothing(row: dict[str, object]):
    assert predict_bundle(replace(MANIFEST, provider="openvino", candidates=(row,)), MANIFEST.threads) is None
    row = {"chosen": True, "predicted": True, "latency_ms": 2.5}
    found = predict_bundle(replace(MANIFEST, provider="openvino", candidates=(row,)), MANIFEST.threads)
    assert found is not None and found.latency_ms == 2.5
