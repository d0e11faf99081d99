"""The choice of a provider: by measurement, with a margin for the one that the profile prefers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import pytest

from edgeort import device_profiles
from edgeort.device_profiles import KernelRate, Measured
from edgeort.errors import InputError
from edgeort.pipeline import Candidate, Wish, build, survey
from edgeort.pipeline.choosing import _best, recorded
from tests.models import mlp


def attempts(*names: str) -> list[Any]:
    return [SimpleNamespace(made=SimpleNamespace(provider=name)) for name in names]


@pytest.mark.parametrize(
    ("latencies", "taken"),
    [
        ({"cpu": 10.0, "openvino": 9.0}, "openvino"),
        ({"cpu": 10.0, "openvino": 9.6}, "cpu"),  # within what two runs differ by
        ({"cpu": 0.03, "openvino": 0.02}, "cpu"),  # ten microseconds are not worth 85 MB
        ({"cpu": 10.0, "openvino": 9.0, "litert": 8.0}, "litert"),
        ({"openvino": 9.0}, "openvino"),  # the only one whose device is here
        ({}, "cpu"),
    ],
)
def test_the_fastest_is_taken(latencies: dict[str, float], taken: str):
    assert _best(attempts("cpu", "openvino", "litert"), latencies).made.provider == taken


def test_without_cpu_and_times_the_profile_decides():
    assert _best(attempts("coreml", "litert"), {}).made.provider == "coreml"


def test_who_is_tried():
    names = [[one.name for one in wish.candidates(("coreml", "openvino"))] for wish in (Wish(), Wish("litert"))]
    assert names == [["coreml", "openvino", "cpu"], ["litert", "cpu"]]
    assert [one.name for one in Wish("litert", required=True).candidates(())] == ["litert"]
    with pytest.raises(InputError, match="unknown provider 'npu'"):
        Wish("npu").candidates(())


def test_times_are_recorded_where_they_decided():
    cpu, other = Candidate("cpu", True, 1.0, peak_rss_bytes=5), Candidate("openvino", latency_ms=2.0)
    assert [row["latency_ms"] for row in recorded((cpu, other))] == [1.0, 2.0]
    absent = Candidate("openvino", reason="not installed")
    assert [(row["latency_ms"], row["peak_rss_bytes"]) for row in recorded((cpu, absent))] == [(None, None)] * 2
    assert recorded((cpu,)) == () and len(recorded((Candidate("cuda", True, reason="not run on hardware"),))) == 1


def test_the_table_predicts_what_is_not_here(tmp_path: Path):
    """cpu by the rates of its kernels; the others, whose kernels nobody measured there, with that reason."""
    pytest.importorskip("openvino")
    onnx.save(mlp(), tmp_path / "m.onnx")
    pi = device_profiles.load("raspberrypi4")
    profile = replace(pi, runtime=replace(pi.runtime, providers=("openvino", "cpu")))
    result = build(tmp_path / "m.onnx", profile, tmp_path / "b")
    rows = {row.provider: row for row in result.candidates}
    ours, other = rows["cpu"], rows["openvino"]
    assert ours.predicted and ours.latency_ms == result.prediction.latency_ms > 0 and ours.chosen
    assert "an estimate: nobody probed such a device" in ours.reason
    assert other.latency_ms is None and not other.predicted
    assert other.reason.endswith("not predicted: nobody measured the kernels of openvino there")


def test_a_survey_predicts_without_building(tmp_path: Path):
    onnx.save(mlp(), tmp_path / "m.onnx")
    pi = device_profiles.load("raspberrypi4")
    (ours,) = (row for row in survey(pi, tmp_path / "m.onnx") if row.provider == "cpu")
    assert ours.predicted and ours.latency_ms > 0
    built = build(tmp_path / "m.onnx", pi, tmp_path / "b", wish=Wish("cpu", required=True))
    assert built.prediction.latency_ms == pytest.approx(ours.latency_ms)
    measured = Measured("2026-11-29", 4, 10.0, 40.0, 20.0, 80.0, 4.0, 5.0, 0.08, (KernelRate("Gemm", 1, 1000.0),))
    (probed,) = (r for r in survey(replace(pi, measured=measured), tmp_path / "m.onnx") if r.provider == "cpu")
    assert probed.latency_ms > 1.0 and probed.reason == "predictions of this device were off by 8% in the median"
    assert all(row.latency_ms is None for row in survey(pi))
