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


def test_zeros_instead_of_channels(place: Path):
    arguments = ("prune", place / "m.onnx", "-o", place / "s.onnx", "--data", place / "x.npy", "--sparsity")
    result = call(*arguments, 0.5, "--labels", place / "labels.npy", "--include", "n12")
    assert result.exit_code == 0
    for words in ("s.onnx", "50.0% of", "fitted to 5, judged by 5", "output y", "top-1", "n12", "it has 864 weights"):
        assert words in result.stdout
    assert "edgeort: measuring: layer 1 of 4" in result.stderr
    found = json.loads(call(*arguments, "2:4", "--json").stdout)
    assert found["sparsity"] == 0.5 and found["pattern"] == "2:4" and found["score"]["differences"]
    found = json.loads(call(*arguments, "auto", "--min-sqnr", 20, "--json").stdout)
    assert found["score"]["differences"][0]["sqnr_db"] >= 20
    assert call(*arguments, "auto", "--min-sqnr", 300).exit_code == 1


def test_without_data_the_smallest_weights_go(place: Path):
    result = call("prune", place / "m.onnx", "-o", place / "s.onnx", "--sparsity", 0.5)
    assert result.exit_code == 0 and "50.0% of" in result.stdout and "judged" not in result.stdout
    inspected = call("inspect", place / "s.onnx", "--device", "host")
    assert "weights stored without their zeros" in inspected.stdout and "50%" in inspected.stdout


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (("--sparsity", "lots"), "--sparsity lots: neither a share nor N:M"),
        (("--sparsity", "4:2"), "N of M weights stay"),
        (("--sparsity", "1.5"), "a sparsity of 1.5"),
        (("--sparsity", "auto"), "neither a sparsity nor a budget"),
        (("--sparsity", "0.5", "--ratio", "0.2"), "--ratio and --sparsity are two steps"),
        (("--sparsity", "0.5", "--max-drop", "1"), "judged on samples"),
        (("--ratio", "0.2"), "channels are chosen on samples"),
    ],
)
def test_bad_input_without_data(place: Path, option: tuple[str, ...], words: str):
    result = call("prune", place / "m.onnx", "-o", place / "p.onnx", *option)
    assert result.exit_code == 2 and words in result.stderr and "hint: " in result.stderr
    assert not (place / "p.onnx").exists()
