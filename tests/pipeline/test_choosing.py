"""The choice of a provider: by measurement, with a margin for the one that the profile prefers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import pytest

from edgeort import device_profiles
from edgeort.bench import Contender, Prediction, predict_bundle
from edgeort.bench.predicting import RUN
from edgeort.bundle import open_bundle
from edgeort.device_profiles import EngineRates, KernelRate, Measured
from edgeort.devices import Job
from edgeort.errors import InputError
from edgeort.pipeline import Candidate, Wish, build, choosing, survey
from edgeort.pipeline.choosing import BY_PREDICTIONS, _best, recorded
from tests.models import mlp


def attempts(*names: str) -> list[Any]:
    return [SimpleNamespace(made=SimpleNamespace(provider=name), prediction=None) for name in names]


def predicted(**latencies: float) -> list[Any]:
    """Attempts that were not measured, each with a prediction that was off by 6 % and 8 %."""
    errors = {"cpu": 0.06, "openvino": 0.08}
    return [
        SimpleNamespace(made=SimpleNamespace(provider=name), prediction=Prediction(ms, 1, errors[name]))
        for name, ms in latencies.items()
    ]


@pytest.mark.parametrize(
    ("latencies", "taken"),
    [
        ({"cpu": 10.0, "openvino": 9.0}, "openvino"),
        ({"cpu": 10.0, "openvino": 9.8}, "cpu"),  # within what two medians differ by
        ({"cpu": 10.0, "openvino": 9.6}, "openvino"),
        ({"cpu": 0.03, "openvino": 0.02}, "cpu"),  # ten microseconds are not worth 85 MB
        ({"cpu": 10.0, "openvino": 9.0, "litert": 8.0}, "litert"),
        ({"openvino": 9.0}, "openvino"),  # the only one whose device is here
        ({}, "cpu"),
    ],
)
def test_the_fastest_is_taken(latencies: dict[str, float], taken: str):
    best, how = _best(attempts("cpu", "openvino", "litert"), latencies)
    assert (best.made.provider, how) == (taken, "")


def test_those_near_the_fastest_have_more_turns(monkeypatch: pytest.MonkeyPatch):
    """Each turn's times come from a list: a slow phase, which lasts for two turns, decides nothing."""
    times = {"cpu": [9.0, 9.1], "openvino": [12.0, 13.0], "litert": [9.8, 9.7]}
    asked: list[str] = []

    def turn_ms(contender: Contender, job: Job) -> float:
        name = contender.found.provider
        asked.append(name)
        return times[name][len(asked) % 2] + (20 if name == "cpu" and len(asked) < 6 else 0)

    tried = attempts("cpu", "openvino", "litert")
    for one in tried:
        one.manifest, one.bundle = SimpleNamespace(threads=1), None
        one.measurement = SimpleNamespace(provider=one.made.provider, latency_ms={"p50": 9.0})
    monkeypatch.setattr(choosing, "turn_ms", turn_ms)
    found = choosing._measure_in_turns(tried, SimpleNamespace(device=lambda manifest: None))
    assert {name: asked.count(name) for name in times} == {"cpu": 11, "openvino": 3, "litert": 11}
    assert asked[:6] == ["cpu", "openvino", "litert", "openvino", "litert", "cpu"]
    assert found["cpu"] < 9.2 and found["litert"] < 9.9 and found["openvino"] >= 12
    assert _best(tried, found)[0].made.provider == "cpu"


def test_without_cpu_and_times_the_profile_decides():
    assert _best(attempts("coreml", "litert"), {})[0].made.provider == "coreml"


@pytest.mark.parametrize(
    ("cpu", "openvino", "taken"),
    [(10.0, 7.9, "openvino"), (10.0, 8.1, "cpu"), (10.0, 20.0, "cpu")],
)
def test_predictions_decide_where_nothing_is_measured(cpu: float, openvino: float, taken: str):
    best, how = _best(predicted(openvino=openvino, cpu=cpu), {})
    assert (best.made.provider, how) == (taken, BY_PREDICTIONS)


def test_uncertain_predictions_need_more():
    tried = predicted(cpu=10.0, openvino=7.0)
    for one in tried:
        one.prediction = replace(one.prediction, error=0.3)
    assert _best(tried, {})[0].made.provider == "cpu"  # a difference of two may be off by 42 %


def test_estimates_decide_nothing():
    tried = predicted(openvino=1.0, cpu=10.0)
    tried[1].prediction = replace(tried[1].prediction, is_estimate=True)
    best, how = _best(tried, {})
    assert (best.made.provider, how) == ("cpu", "")


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
    assert other.reason.endswith(
        "not predicted: nobody measured openvino there (edgeort profiles probe --on ssh:pi@raspberrypi.local "
        "-o myraspberrypi4.toml, then --device ./myraspberrypi4.toml)"
    )


def test_a_probed_engine_is_predicted_and_taken_where_it_is_faster(tmp_path: Path):
    """Rates as a probe writes them; the build says that predictions decided, the manifest keeps it, bench tells it."""
    pytest.importorskip("openvino")
    onnx.save(mlp(), tmp_path / "m.onnx")
    pi = device_profiles.load("raspberrypi4")
    slow, quick = KernelRate("Gemm", 1, 1000.0), KernelRate("Gemm", 1, 10.0)
    run = KernelRate(RUN, 1, 20.0, None, 1.0)
    engine = EngineRates("openvino", "openvino 1.2", 0.05, (quick, run))
    measured = Measured("2026-11-29", 4, 10.0, 40.0, 20.0, 80.0, 4.0, 5.0, 0.08, (slow,), (engine,))
    profile = replace(pi, runtime=replace(pi.runtime, providers=("cpu", "openvino")), measured=measured)
    result = build(tmp_path / "m.onnx", profile, tmp_path / "b")
    rows = {row.provider: row for row in result.candidates}
    taken = rows["openvino"]
    assert result.provider == "openvino" and taken.chosen and taken.predicted and taken.error == 0.05
    assert taken.reason.startswith(BY_PREDICTIONS)
    assert taken.reason.endswith("predictions of openvino 1.2 on this device were off by 5% in the median")
    assert 0.02 < taken.latency_ms < rows["cpu"].latency_ms
    with open_bundle(tmp_path / "b") as bundle:
        manifest = bundle.manifest
        assert manifest.measured == replace(measured, engines=())
        found = predict_bundle(manifest, manifest.threads)
        assert found is not None and (found.latency_ms, found.error) == (taken.latency_ms, 0.05)
        assert predict_bundle(manifest, manifest.threads + 1) is None
    surveyed = {row.provider: row for row in survey(profile, tmp_path / "m.onnx")}
    assert surveyed["openvino"].latency_ms == pytest.approx(taken.latency_ms)
    options = build(tmp_path / "m.onnx", profile, tmp_path / "c", wish=Wish(options={"NUM_STREAMS": "1"}))
    (other,) = (row for row in options.candidates if row.provider == "openvino")
    assert options.provider == "cpu" and "not predicted: rates are of the engine's settings" in other.reason


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


@pytest.mark.parametrize(
    ("dims", "told"), [(None, "not predicted: input 'x' has no shape"), (["N", 1 << 18, 1 << 17], "an estimate")]
)
def test_a_survey_makes_no_data(dims: list[int | str] | None, told: str, tmp_path: Path):
    """Of inputs whose shape nobody knows, or that no machine has room for."""
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, dims) for name in "xy"]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", values[:1], values[1:])
    imports = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=imports, ir_version=9), tmp_path / "m.onnx")
    pi = device_profiles.load("raspberrypi4")
    (ours,) = (row for row in survey(pi, tmp_path / "m.onnx") if row.provider == "cpu")
    assert told in ours.reason
