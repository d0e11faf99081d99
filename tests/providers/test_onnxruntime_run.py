"""Bundles that run by ONNX Runtime, run here with its CPU kernels: by sessions, bench, run.py."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgeort
from edgeort import bench, ort, providers, sample
from edgeort.bundle import open_bundle
from edgeort.devices import Job, open_device
from edgeort.errors import CheckError
from edgeort.pipeline import Wish, build
from edgeort.providers import PROVIDERS, onnxruntime, probing
from tests.providers.on_cpu import OnCpu, run_py

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs the libonnxruntime.so of the package")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the sample that runs by ONNX Runtime's CPU kernels."""
    folder = tmp_path_factory.mktemp("here") / "bundle"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(providers, "PROVIDERS", (*PROVIDERS, OnCpu()))
        result = build(sample.path(), "host", folder, wish=Wish("onnxruntime", required=True))
    assert result.checked_on == "local" and result.max_difference == 0
    assert result.measurement is not None and "CPUExecutionProvider" in result.measurement.isa
    return folder


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "PROVIDERS", (*PROVIDERS, OnCpu()))


def copied(bundle: Path, to: Path) -> Path:
    """An unsealed copy, to be changed."""
    for path in bundle.rglob("*"):
        if path.is_file():
            place = to / path.relative_to(bundle)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())
            place.chmod(path.stat().st_mode)
    return to


@on_linux
def test_bench_and_sessions_run_the_bundle(here: Path, known: None):
    images = np.random.default_rng(0).random((3, 1, 8, 8), np.float32)
    with edgeort.InferenceSession(here) as session:
        (got,) = session.run(None, {"image": images})
    np.testing.assert_array_equal(got, ort.open_session(sample.path()).run(None, {"image": images})[0])
    with open_bundle(here) as bundle:
        found = bench.measure(bundle, open_device(None, bundle.manifest), Job(runs=3, check=True))
    assert found.check == "passed" and found.latency_ms["runs"] == 3


@on_linux
def test_bench_refuses_outputs_that_are_not_the_cpus(here: Path, known: None, tmp_path: Path):
    bundle = copied(here, tmp_path / "b")
    np.save(bundle / "golden/output0.npy", -np.load(bundle / "golden/output0.npy"))
    with open_bundle(here) as opened, pytest.raises(CheckError, match="its SQNR is -.* dB, below 60.0 dB"):
        changed = replace(opened, folder=bundle)
        bench.measure(changed, open_device(None, opened.manifest), Job(runs=1, check=True))


@on_linux
def test_run_py_checks_places_and_times(here: Path):
    done = run_py(here, "--json", "--runs", "4")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["check"] == "passed" and found["sqnr_db"] == 150 and found["latency_ms"]["runs"] == 4
    assert {node["provider"] for node in found["nodes"]} == {"CPUExecutionProvider"}
    assert any(node["op"] == "Conv" for node in found["nodes"])
    text = run_py(here, "--runs", "1").stdout
    assert "nodes on CPUExecutionProvider" in text and "check passed" in text


@on_linux
def test_run_py_says_loudly_that_outputs_are_wrong(here: Path, tmp_path: Path):
    bundle = copied(here, tmp_path / "b")
    np.save(bundle / "golden/output0.npy", np.zeros_like(np.load(bundle / "golden/output0.npy")))
    done = run_py(bundle)
    assert done.returncode == 1
    assert "DO NOT USE THIS PROVIDER HERE: output 'logits' has an SQNR of" in done.stderr
    assert "latency" not in done.stdout


@on_linux
@pytest.mark.parametrize(
    ("conf", "why"),
    [
        ("provider = CUDAExecutionProvider", "here has no CUDAExecutionProvider; it has |CUDAEx.* does not start here"),
        (f"{onnxruntime.NO_FALLBACK} = 1", "fallback to CPU EP has been explicitly disabled"),
    ],
)
def test_run_py_never_falls_back(here: Path, tmp_path: Path, conf: str, why: str):
    if "CUDA" in conf and probing.obstacle("CUDAExecutionProvider") is None:
        pytest.skip("this machine has the GPU")
    bundle = copied(here, tmp_path / "b")
    (bundle / "model/provider.conf").write_text(conf + "\n")
    done = run_py(bundle)
    assert done.returncode == 2 and re.search(why, done.stderr) and not done.stdout


@on_linux
def test_run_py_names_the_nodes_that_a_provider_leaves(here: Path, tmp_path: Path):
    """Azure's provider, which the package here has, takes no node of any of these models."""
    if "AzureExecutionProvider" not in probing.offers().providers:
        pytest.skip("needs an onnxruntime with a provider beside the CPU's")
    bundle = copied(here, tmp_path / "b")
    (bundle / "model/provider.conf").write_text("provider = AzureExecutionProvider\n")
    done = run_py(bundle)
    assert done.returncode == 2
    assert "AzureExecutionProvider would leave 19 nodes to the CPU: " in done.stderr and "(Conv)" in done.stderr
    (bundle / "model/provider.conf").write_text(f"provider = AzureExecutionProvider\n{onnxruntime.NO_FALLBACK} = 0\n")
    done = run_py(bundle)
    assert done.returncode == 0, done.stderr
    assert "was not taken by AzureExecutionProvider: it runs on CPUExecutionProvider" in done.stdout


@on_linux
def test_an_onnxruntime_that_does_not_tell_of_nodes_is_asked_by_a_profile(here: Path):
    code = (
        "import runpy, json\n"
        f"program = runpy.run_path({str(here / 'run.py')!r})\n"
        "program['run'].__globals__['has_placement'] = lambda: False\n"
        "from pathlib import Path\n"
        f"print(json.dumps(program['run'](Path({str(here)!r}), 2, 0, 1)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found, usual = json.loads(done.stdout.splitlines()[-1]), json.loads(run_py(here, "--json").stdout)
    assert {node["provider"] for node in found["nodes"]} == {"CPUExecutionProvider"}
    assert {node["op"] for node in found["nodes"]} & {node["op"] for node in usual["nodes"]} >= {"Gemm"}


@on_linux
def test_the_environment_of_run_py_is_what_the_harness_needs(here: Path):
    pairs = dict(line.split("=", 1) for line in run_py(here, "--environment").stdout.splitlines())
    assert pairs["ORT_DISABLE_TELEMETRY"] == "1"
    assert all(Path(place).exists() for place in pairs["EDGEORT_LIBRARIES"].split(os.pathsep))
    arguments = ["bin/edgeort_bench", "model/model.onnx", "--check", "golden", "--min-sqnr", "60", "--runs", "2"]
    done = subprocess.run(arguments, cwd=here, env={**os.environ, **pairs}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "check        passed" in done.stdout
