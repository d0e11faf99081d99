"""`edgeort build --precision int8`: what it prints, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.support import call
from tests.models import ON_HOST
from tests.quantize.models import mobile, pictures, save


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("build")
    save(folder / "m.onnx", mobile())
    for name, count in (("x.npy", 16), ("other.npy", 6)):
        np.save(folder / name, pictures(count))
    return folder


def int8(place: Path, *more: object) -> tuple[object, ...]:
    model, data = place / "m.onnx", place / "x.npy"
    return (
        "build",
        model,
        "--device",
        "host",
        "--provider",
        "cpu",
        "-o",
        place / "b",
        "--precision",
        "int8",
        "--data",
        data,
        *more,
    )


def test_it_prints_the_verdict_of_the_bundle(place: Path):
    result = call(*int8(place, "--min-sqnr", 10, "--min-agreement", 0.5))
    assert result.exit_code == 0
    for words in ("8 samples calibrate, 8 others judge", "int8", "the bundle against", "kept --min-sqnr 10", "local"):
        assert words in result.stdout
    assert "the budget's ledger" not in result.stdout


def test_two_sets_as_json(place: Path):
    found = json.loads(call(*int8(place, "--eval-data", place / "other.npy", "--json")).stdout)
    assert found["evaluation"]["samples"] == 6 and found["quantization"]["samples"] == 16
    assert found["precisions"]["int8"] >= 6


def test_promotions_stand_in_the_ledger(place: Path):
    free = json.loads(call(*int8(place, "--json")).stdout)["evaluation"]["figures"]
    reached = next(figure["value"] for figure in free if figure["name"] == "sqnr_db")
    result = call(*int8(place, "--min-sqnr", reached + 0.5))
    assert result.exit_code == 0
    for words in ("the budget's ledger", "yes ", " ms"):
        assert words in result.stdout


def test_a_budget_out_of_reach(place: Path):
    (place / "gone").mkdir()
    result = call(*int8(place, "--min-sqnr", 300, "-o", place / "gone/b"))
    assert result.exit_code == 1
    assert "the most noise comes from" in result.stderr and "what was reached keeps --min-sqnr" in result.stderr
    assert not list((place / "gone").iterdir())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--precision", "int3"], "one of float32, int8, int4, float16"),
        (["--precision", "int8"], "int8 needs samples"),
        (["--min-sqnr", "20"], "judged on samples"),
        (["--samples", "3"], "--samples needs samples"),
        (["--data", "x.npy", "--max-drop", "1"], "counted on labels"),
        (["--data", "x.npy", "--labels", "none.csv"], "none.csv"),
        (["--data", "x.npy", "--preprocess", "scale=x"], "'x' is no number"),
        (["--tensor-input"], "--tensor-input is about a recipe, and there is none"),
    ],
)
def test_bad_options(place: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], words: str):
    monkeypatch.chdir(place)
    result = call("build", "m.onnx", *ON_HOST, "-o", "bad", *options)
    assert result.exit_code == 2 and words in result.stderr
    assert not Path("bad").exists()


def test_the_recipe_of_edgeort_toml_is_that_of_its_model(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.onnx").write_bytes((place / "m.onnx").read_bytes())
    (tmp_path / "edgeort.toml").write_text('[model]\npath = "m.onnx"\n[preprocess]\nsteps = "unit; crops 3"\n')
    result = call("build", *ON_HOST, "-o", "b")
    assert result.exit_code == 2 and "step 2, 'crops 3': unknown; 'crop' is near" in result.stderr
    (tmp_path / "edgeort.toml").write_text('[model]\npath = "m.onnx"\n[preprocess]\nsteps = "unit"\n')
    result = call("build", *ON_HOST, "--provider", "cpu", "-o", "b", "--json")
    told = "input=x; from=rgb; resize 12x12 bilinear; rgb; scale=1/255"
    assert result.exit_code == 0 and json.loads(result.stdout)["preprocess"] == told
    plain = call("build", "m.onnx", *ON_HOST, "--provider", "cpu", "-o", "t", "--json")
    assert plain.exit_code == 0 and json.loads(plain.stdout)["preprocess"] == ""
