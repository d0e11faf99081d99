"""`edgeort validate` on data: what it prints, its JSON, its exit status, its errors."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import edgeort
from edgeort.cli.validate import _as_json
from tests.cli.support import call
from tests.models import HOST
from tests.quantize.models import mobile, pictures, save

COUNT = 20


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """m.onnx, its bundle b for this machine, its int8 model q.onnx, samples x.npy, labels.csv: the float answers."""
    folder = tmp_path_factory.mktemp("validate")
    save(folder / "m.onnx", mobile())
    np.save(folder / "x.npy", pictures(COUNT))
    edgeort.build(folder / "m.onnx", HOST, folder / "b")
    assert call("quantize", folder / "m.onnx", "-o", folder / "q.onnx", "--data", folder / "x.npy").exit_code == 0
    session = edgeort.InferenceSession(folder / "m.onnx")
    answers = [int(session.run(None, {"x": x[np.newaxis]})[0].argmax()) for x in pictures(COUNT)]
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "label"), *((f"x.npy[{i}]", c) for i, c in enumerate(answers))])
    return folder


def on_data(place: Path, what: str, *more: object) -> tuple[object, ...]:
    return ("validate", place / what, "--model", place / "m.onnx", "--data", place / "x.npy", *more)


def test_a_float_bundle(place: Path):
    result = call(*on_data(place, "b", "--labels", place / "labels.csv", "--max-drop", 0, "--min-agreement", 1))
    assert result.exit_code == 0
    for words in ("bit-identical", "classification, output y", "20, 20 labelled", "top1_float", "kept --max-drop 0"):
        assert words in result.stdout
    assert "validating on local: 20 of 20 samples" in result.stderr


def test_a_model_that_cannot_be_read_is_said_before_anything_runs(place: Path):
    for more in ((), ("--data", place / "x.npy")):
        for wrong, words in ((place, "this is a folder, not an ONNX file"), (place / "none.onnx", "No such file")):
            refused = call("validate", place / "b", "--model", wrong, *more)
            assert refused.exit_code == 2 and words in refused.stderr, refused.stderr
            assert "checking on" not in refused.stderr


def test_as_json(place: Path):
    found = json.loads(call(*on_data(place, "b", "--samples", 5, "--json")).stdout)
    assert found["golden"] and found["evaluation"]["samples"] == 5 and found["evaluation"]["task"] == "custom"
    assert {figure["name"] for figure in found["evaluation"]["figures"]} == {
        "sqnr_db", "cosine", "cosine_min", "agreement",
    }  # fmt: skip


def test_a_qdq_model_over_its_budget_and_its_layers(place: Path):
    result = call(*on_data(place, "q.onnx", "--task", "classification", "--min-sqnr", 200, "--layers"))
    assert result.exit_code == 1
    assert "ran on" in result.stdout and "ONNX Runtime" in result.stdout and "farthest" in result.stdout
    assert "where the error enters" in result.stdout and "->" in result.stdout and "x.npy[" in result.stdout
    assert "under --min-sqnr 200" in result.stderr and "hint: " in result.stderr
    assert call(*on_data(place, "q.onnx", "--min-sqnr", 10)).exit_code == 0


def test_layers_of_a_bundle(place: Path):
    result = call(*on_data(place, "b", "--layers"))
    assert result.exit_code == 2 and "b.stages has none" in result.stderr
    found = json.loads(call(*on_data(place, "b", "--layers", "--quantized", place / "q.onnx", "--json")).stdout)
    assert [layer["tensor"] for layer in found["layers"]][0] == "x"


def test_another_model_is_warned_about(place: Path):
    save(place / "other.onnx", mobile(width=8))
    result = call("validate", place / "b", "--model", place / "other.onnx", "--data", place / "x.npy")
    assert result.exit_code == 0 and "is not the file that" in result.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--max-drop", "1"], "--max-drop needs samples"),
        (["--layers"], "--layers needs samples"),
        (["--output", "y"], "--output needs samples"),
        (["--samples", "3"], "--samples needs samples"),
        (["--threshold", "0"], "--threshold needs samples"),
        (["--preprocess", "imagenet"], "--preprocess needs samples"),
        (["--data", "x.npy"], "there is none"),
        (["--data", "none", "--model", "m.onnx"], "no such file"),
        (["--data", "x.npy", "--model", "none.onnx"], "No such file"),
        (["--data", "x.npy", "--model", "m.onnx", "--task", "art"], "--task art: unknown"),
        (["--data", "x.npy", "--model", "m.onnx", "--max-drop", "1"], "counted on labels"),
        (["--data", "x.npy", "--model", "m.onnx", "--labels", "none.csv"], "none.csv"),
        (
            ["--data", "x.npy", "--model", "m.onnx", "--labels", "labels.csv", "--task", "custom"],
            "no use for labels",
        ),
        (["--data", "x.npy", "--model", "m.onnx", "--task", "ocr"], "a CTC output is"),
        (["--data", "x.npy", "--model", "m.onnx", "--characters", "none"], "none cannot be read"),
    ],
)
def test_bad_options(place: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], words: str):
    monkeypatch.chdir(place)
    result = call("validate", "b", *options)
    assert result.exit_code == 2 and words in result.stderr


def test_json_tells_a_digest_from_a_reason(place: Path):
    found = json.loads(call(*on_data(place, "q.onnx", "--samples", 5, "--json")).stdout)
    assert found["golden"] is None and found["not_checked"] is None, "a model has no golden outputs"
    assert _as_json("nothing runs it here", None, None) == {"golden": None, "not_checked": "nothing runs it here"}


def test_a_model_runs_on_no_device(place: Path):
    result = call(*on_data(place, "q.onnx", "--on", "emulated"))
    assert result.exit_code == 2 and "is no bundle" in result.stderr
