"""What a converter refuses is a line, and no file."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import tflite
from benchmarks.models import Model


def test_a_refused_model_is_a_line_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def convert(model: Model, path: Path) -> None:
        print("progress")
        if model.name == "digits":
            raise NotImplementedError("no such operator\ndetails")
        path.write_bytes(b"12345")

    monkeypatch.setattr(tflite, "convert", convert)
    monkeypatch.setattr(tflite, "find", lambda name: Model(name, tmp_path / name, {}))
    assert tflite.main([str(tmp_path / "out"), "digits", "minilm"]) == 0
    assert capsys.readouterr().out == "digits: NotImplementedError: no such operator\nminilm: 5 bytes\n"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["minilm.tflite"]
    assert tflite.main([str(tmp_path / "none"), "digits"]) == 1
