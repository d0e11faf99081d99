"""The example runs as its docstring says, and its bundle agrees with PyTorch."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the example starts from PyTorch")
pytest.importorskip("onnxscript", reason="PyTorch exports through it")

from examples import pytorch_to_bundle as example


def test_module_becomes_a_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    output = tmp_path / "keywords"
    monkeypatch.setattr(sys, "argv", ["pytorch_to_bundle.py", "-o", str(output)])
    example.main()
    assert "largest difference from PyTorch" in capsys.readouterr().out
    assert (output / "model.plan").is_file()
    assert "raspberrypi4" in json.dumps(json.loads((output / "manifest.json").read_text()))


def test_a_wrong_bundle_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["pytorch_to_bundle.py", "-o", str(tmp_path / "keywords")])
    monkeypatch.setattr(example.edgeort, "build", lambda *_: None)
    monkeypatch.setattr(example, "difference", lambda *_: float("nan"))
    with pytest.raises(SystemExit, match="more than"):
        example.main()
