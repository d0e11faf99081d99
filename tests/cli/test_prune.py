"""`edgeort prune`: what it prints, its JSON, its errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.cli.support import call
from tests.quantize.models import mobile, pictures, save


@pytest.fixture
def place(tmp_path: Path) -> Path:
    save(tmp_path / "m.onnx", mobile(width=32))
    np.save(tmp_path / "x.npy", pictures(10))
    np.save(tmp_path / "labels.npy", np.arange(10) % 3)
    return tmp_path


def test_it_prints_a_summary(place: Path):
    arguments = ("prune", place / "m.onnx", "-o", place / "p.onnx", "--data", place / "x.npy", "--ratio", 0.2)
    result = call(*arguments, "--labels", place / "labels.npy")
    assert result.exit_code == 0
    for words in ("p.onnx", "million (", "fitted to 5, judged by 5", "output y", "top-1", "5 labelled", "n12"):
        assert words in result.stdout
    assert "edgeort: measuring: group 1 of 3" in result.stderr
    onnx.checker.check_model(onnx.load(place / "p.onnx"))


def test_json_and_a_budget(place: Path):
    arguments = ("prune", place / "m.onnx", "-o", place / "p.onnx", "--data", place / "x.npy", "--json")
    found = json.loads(call(*arguments, "--min-sqnr", 20).stdout)
    assert found["score"]["differences"][0]["sqnr_db"] >= 20 and 0 < found["ratio"] < 1
    over = call(*arguments, "--min-sqnr", 200)
    assert over.exit_code == 1 and "not kept" in json.loads(over.stdout)["error"]


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (("--ratio", "lots"), "--ratio lots: this is no share"),
        (("--ratio", "1.5"), "between 0 and 1"),
        ((), "neither a ratio nor a budget"),
        (("--ratio", "0.1", "--exclude", "nope"), "no layer is called 'nope'"),
    ],
)
def test_bad_input(place: Path, option: tuple[str, ...], words: str):
    result = call("prune", place / "m.onnx", "-o", place / "p.onnx", "--data", place / "x.npy", *option)
    assert result.exit_code == 2 and words in result.stderr and "hint: " in result.stderr
    assert not (place / "p.onnx").exists()
