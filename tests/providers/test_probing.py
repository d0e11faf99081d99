"""What this machine can do of directml, cuda and tensorrt, and on one with the GPU all of it for real."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from edgeort import sample
from edgeort.checkup import examine
from edgeort.errors import MissingExtraError
from edgeort.pipeline import Wish, build
from edgeort.providers import PROVIDERS, probing
from edgeort.providers.onnxruntime import OnnxRuntime
from tests.providers.on_cpu import request, run_py
from tests.reference.build import ROOT

OURS = [provider for provider in PROVIDERS if isinstance(provider, OnnxRuntime)]


def test_probing_tells_what_is_offered_and_what_answers():
    import onnxruntime as real

    offer = probing.offers()
    assert offer.version == real.__version__ and set(offer.providers) == set(real.get_available_providers())
    assert probing.obstacle() is None  # the CPU's kernels get the small model right
    assert (
        probing.obstacle("NoSuchExecutionProvider")
        == f"onnxruntime {offer.version} here has no NoSuchExecutionProvider"
    )
    if "AzureExecutionProvider" in offer.providers:
        assert "would leave 2 nodes to the CPU" in str(probing.obstacle("AzureExecutionProvider"))


def test_a_probe_that_crashes_or_hangs_is_a_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    crashing = tmp_path / "crash.py"
    crashing.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    monkeypatch.setattr(probing, "PROGRAM", crashing)
    assert probing.obstacle.__wrapped__() == "it ended with status -11"
    hanging = tmp_path / "hang.py"
    hanging.write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(probing, "PROGRAM", hanging)
    monkeypatch.setattr(probing, "TIMEOUT_S", 0.5)
    assert "did not answer within" in str(probing.obstacle.__wrapped__())


def test_doctor_says_that_bundles_are_made_and_whether_they_run_here():
    found = {finding.what: finding for finding in examine()}
    for provider in OURS:
        finding = found[f"provider {provider.name}"]
        assert finding.works and finding.detail.startswith("makes bundles")
        if reason := provider.not_here():
            assert finding.detail.startswith(f"makes bundles; does not run them: {reason} (edgeort[{provider.name}]")


def test_extras_are_the_versions_that_bundles_name():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    profiles = {"directml": "windows-laptop", "cuda": "intel-nuc", "tensorrt": "intel-nuc"}
    for provider in OURS:
        named = [line.split(";")[0].strip() for line in extras[provider.name]]
        assert named == list(provider.requirements(request(profiles[provider.name]).profile))


@pytest.mark.parametrize("provider", OURS, ids=lambda p: p.name)
def test_on_a_machine_with_the_gpu(provider: OnnxRuntime, tmp_path: Path):
    """Built, run, compared and timed for real."""
    if reason := provider.not_here():
        pytest.skip(f"{provider.name} does not run here: {reason}")
    try:
        result = build(sample.path(), "host", tmp_path / "b", wish=Wish(provider.name, required=True))
    except MissingExtraError as error:
        pytest.skip(str(error))
    assert result.measurement is not None and provider.execution_providers[0] in result.measurement.isa
    assert result.max_difference < 1e-3
    done = run_py(tmp_path / "b", "--json")
    assert done.returncode == 0, done.stderr
    assert {node["provider"] for node in json.loads(done.stdout)["nodes"]} <= set(provider.execution_providers)
