"""What the nodes of a profile achieve, on a real bundle and by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import edgeort
from edgeort.bench import measure
from edgeort.bench.nodes import with_work
from edgeort.bundle import open_bundle
from edgeort.device_profiles import Measured
from edgeort.devices import Job, open_device
from edgeort.providers import Node
from tests.bundle.test_bundle import MANIFEST
from tests.models import HOST, mlp, model

PEAKS = Measured(
    on="2026-11-29",
    threads=4,
    float32_gflops=10.0,
    float32_gflops_all=40.0,
    int8_gops=80.0,
    int8_gops_all=300.0,
    bandwidth_gbs=5.0,
    bandwidth_gbs_all=9.0,
)


def node(name: str, precision: str = "f32", macs: int | None = 1_000_000) -> Node:
    return Node(name, "Conv", "cpu", precision, macs=macs)


def row(name: str, index: int, ms: float = 1.0) -> dict:
    return {"name": name, "op": "Conv", "ms": ms, "skipped": ms == 0, "run_of": index}


def worked(nodes: list[Node], rows: list[dict], threads: int = 1, *, is_real: bool = True) -> list[dict]:
    return with_work(rows, dataclasses.replace(MANIFEST, nodes=tuple(nodes), measured=PEAKS), threads, is_real=is_real)


def test_rates_and_shares_by_hand():
    (found,) = worked([node("a")], [row("a", 0, ms=0.5)])
    assert found["macs"] == 1_000_000 and found["gflops"] == pytest.approx(4.0)  # 2 * 10^6 in half a millisecond
    assert found["share_of_peak"] == pytest.approx(0.4)
    (found,) = worked([node("a", "int8")], [row("a", 0)])
    assert found["share_of_peak"] == pytest.approx(2 / 80)


def test_the_peak_is_that_of_as_many_threads():
    assert worked([node("a")], [row("a", 0)], 4)[0]["share_of_peak"] == pytest.approx(2 / 40)
    assert worked([node("a")], [row("a", 0)], 2)[0]["share_of_peak"] is None
    assert worked([node("a", "i64")], [row("a", 0)])[0]["share_of_peak"] is None


def test_parts_of_another_nodes_run_count_there():
    nodes = [node("a"), node("b", macs=2_000_000), node("view", macs=0)]
    first, second, view = worked(nodes, [row("a", 1, 0), row("b", 1), row("view", -1, 0)])
    assert (first["macs"], second["macs"], view["macs"]) == (None, 3_000_000, None)
    assert second["gflops"] == pytest.approx(6.0) and first["gflops"] is None


def test_what_is_not_known_is_none():
    for found in (
        worked([node("a", macs=None)], [row("a", 0)]),
        worked([node("a", macs=None), node("b")], [row("a", 1, 0), row("b", 1)]),
        worked([node("a")], [row("fused", 0)]),  # an engine with nodes of its own
        worked([node("a"), node("b")], [row("a", 0)]),
    ):
        assert all(one["macs"] is None and one["gflops"] is None for one in found)
    (emulated,) = worked([node("a")], [row("a", 0)], is_real=False)
    assert emulated["macs"] == 1_000_000 and emulated["gflops"] is None and emulated["share_of_peak"] is None


def streamed() -> onnx.ModelProto:
    """1x1 from 8 to 48 channels, depthwise 3x3, 1x1 to 12: wide enough in the middle to run strip by strip."""
    rng = np.random.default_rng(0)
    shapes = {"w1": (48, 8, 1, 1), "w2": (48, 1, 3, 3), "w3": (12, 48, 1, 1)}
    constants = [numpy_helper.from_array(rng.standard_normal(s).astype(np.float32), n) for n, s in shapes.items()]
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], name="expand"),
        helper.make_node("Conv", ["a", "w2"], ["b"], name="depthwise", group=48, pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["b", "w3"], ["y"], name="project"),
    ]
    return model(nodes, [("x", [1, 8, 80, 80])], [("y", [1, 12, 80, 80])], constants)


@pytest.mark.parametrize("network", [mlp, streamed])
def test_a_real_profile_has_all_multiply_adds_of_the_model(tmp_path: Path, network):
    onnx.save(network(), tmp_path / "m.onnx")
    edgeort.build(tmp_path / "m.onnx", dataclasses.replace(HOST, measured=PEAKS), tmp_path / "b")
    with open_bundle(tmp_path / "b") as bundle, open_device("local", bundle.manifest) as device:
        found = measure(bundle, device, Job(threads=1, runs=5, warmup=2, profile=True))
    macs = 8 * 37 + 37 * 5 if network is mlp else 80 * 80 * (8 * 48 + 48 * 9 + 48 * 12)
    assert sum(one["macs"] or 0 for one in found.profile) == macs
    worked_out = [one for one in found.profile if one["macs"]]
    assert all(one["gflops"] == pytest.approx(2e-6 * one["macs"] / one["ms"]) for one in worked_out)
    assert all(one["share_of_peak"] == pytest.approx(one["gflops"] / 10) for one in worked_out)
    if network is streamed:
        runs_of = {one["name"].removesuffix("_nhwc"): one["run_of"] for one in found.profile}
        assert len(worked_out) == 1 and runs_of["expand"] == runs_of["depthwise"] == runs_of["project"] >= 0
