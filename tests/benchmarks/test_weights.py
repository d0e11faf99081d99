"""The chains of `python -m benchmarks.weights`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from benchmarks import weights
from edgeort import device_profiles
from edgeort.compiling import plan_of
from tests.kernels.support import reference

STORED = dict(zip(weights.FORMS, ("f32", "f16", "int8", "int8", "int8", "int4"), strict=True))


@pytest.mark.parametrize("form", weights.FORMS)
def test_every_form_is_stored_as_it_says(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "STORED", 3 * 64 * 64)
    model = weights.chain(64, form)
    assert np.isfinite(reference(model, [np.ones((1, 64), np.float32)])[0]).all()
    onnx.save(model, tmp_path / "chain.onnx")
    plan, _ = plan_of(tmp_path / "chain.onnx", device_profiles.load("host"))
    assert {plan.weights(node)[0] for node in plan.nodes} == {STORED[form]}


def test_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "STORED", 1 << 16)
    assert weights.main(["--size", "64", "--form", "int4 blocks", "--seconds", "0.01"]) == 0
    assert "64, int4 blocks" in capsys.readouterr().out
