"""The choice of a provider: by measurement, with a margin for the one that the profile prefers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from edgeort.errors import InputError
from edgeort.pipeline import Candidate, Wish
from edgeort.pipeline.choosing import _best, recorded


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
