"""`edgeort validate --task` with labels: every task's figures on the command line and as JSON, and bad labels."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from PIL import Image

import edgeort
from tests.cli.support import call
from tests.models import HOST, ON_HOST, model

COUNT, CLASSES = 12, 4


def table(path: Path, *rows: Sequence[object]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def scores(rows: int) -> np.ndarray:
    """Random, [COUNT, 1, rows, CLASSES]."""
    return np.random.default_rng(0).standard_normal((COUNT, 1, rows, CLASSES)).astype(np.float32)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """line: x [1, T, 4] -> y [1, T, 4]. vector: x [1, 1, 4] -> y [1, 4]. boxes: a picture -> a box in its middle."""
    folder = tmp_path_factory.mktemp("tasks")
    weight = numpy_helper.from_array(np.eye(CLASSES, dtype=np.float32), "w")
    onnx.save(
        model([helper.make_node("MatMul", ["x", "w"], ["y"])], [("x", [1, "T", 4])], [("y", [1, "T", 4])], [weight]),
        folder / "line.onnx",
    )
    steps = [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Flatten", ["m"], ["y"])]
    onnx.save(model(steps, [("x", [1, 1, 4])], [("y", [1, 4])], [weight]), folder / "vector.onnx")
    # Two rows x1 y1 x2 y2 score class; the score of the second is the mean of the picture, from 0 to 1.
    rows = np.float32([[[8, 8, 24, 24, 0.9, 0], [0, 0, 32, 32, 0, 1]]])
    where = np.zeros((1, 2, 6), np.float32)
    where[0, 1, 4] = 1
    steps = [
        helper.make_node("ReduceMean", ["x"], ["m"], keepdims=0),
        helper.make_node("Mul", ["m", "where"], ["s"]),
        helper.make_node("Add", ["s", "rows"], ["y"]),
    ]
    constants = [numpy_helper.from_array(rows, "rows"), numpy_helper.from_array(where, "where")]
    onnx.save(model(steps, [("x", [1, 3, 32, 32])], [("y", [1, 2, 6])], constants), folder / "boxes.onnx")
    for name in ("line", "vector", "boxes"):
        edgeort.build(folder / f"{name}.onnx", HOST, folder / name)
    return folder


def judge(place: Path, name: str, task: str, data: Path, labels: Path, *more: object) -> dict[str, float]:
    command = ("validate", place / name, "--model", place / f"{name}.onnx", "--data", data, "--labels", labels)
    result = call(*command, "--task", task, *more, "--json")
    assert result.exit_code == 0, result.stderr
    found: Any = json.loads(result.stdout)["evaluation"]
    assert found["task"] == task and found["labelled"] > 0
    printed = call(*command, "--task", task, *more)
    figures = {figure["name"]: figure["value"] for figure in found["figures"]}
    for figure in figures:
        assert f"  {figure} " in printed.stdout
    return figures


def test_classification(place: Path, tmp_path: Path):
    x = scores(1)
    np.save(tmp_path / "x.npy", x)
    answers = x.reshape(COUNT, CLASSES).argmax(axis=1)
    answers[0] = (answers[0] + 1) % CLASSES
    np.save(tmp_path / "labels.npy", answers)
    found = judge(place, "vector", "classification", tmp_path / "x.npy", tmp_path / "labels.npy", "--max-drop", 0)
    assert found["top1"] == found["top1_float"] == pytest.approx(100 * (COUNT - 1) / COUNT)
    assert 0.8 < found["f1_macro"] < 1 and found["drop"] == 0


def test_multilabel(place: Path, tmp_path: Path):
    x = scores(1)
    np.save(tmp_path / "x.npy", x)
    sets = [";".join(map(str, np.flatnonzero(row.reshape(-1) >= 0))) for row in x]
    rows = [("file", "label"), *((f"x.npy[{index}]", text) for index, text in enumerate(sets))]
    labels = table(tmp_path / "l.csv", *rows)
    found = judge(place, "vector", "multilabel", tmp_path / "x.npy", labels, "--threshold", 0, "--max-drop", 0)
    assert found["f1_micro"] == found["f1_macro"] == found["agreement"] == 1
    higher = judge(place, "vector", "multilabel", tmp_path / "x.npy", labels)
    assert higher["f1_micro"] == higher["f1_micro_float"] < 1


def test_a_build_is_judged_by_the_threshold_too(place: Path, tmp_path: Path):
    x = scores(1)
    np.save(tmp_path / "x.npy", x)
    rows = [(f"x.npy[{i}]", ";".join(map(str, np.flatnonzero(row.reshape(-1) >= 0)))) for i, row in enumerate(x)]
    labels = table(tmp_path / "l.csv", ("file", "label"), *rows)
    judged = ("--task", "multilabel", "--data", tmp_path / "x.npy", "--labels", labels, "--threshold", 0, "--json")
    result = call("build", place / "vector.onnx", *ON_HOST, "-o", tmp_path / "b", *judged)
    figures = {one["name"]: one["value"] for one in json.loads(result.stdout)["evaluation"]["figures"]}
    assert figures["f1_micro"] == 1


def test_embedding(place: Path, tmp_path: Path):
    x = scores(1)
    np.save(tmp_path / "x.npy", x)
    units = x.reshape(COUNT, CLASSES) / np.linalg.norm(x.reshape(COUNT, CLASSES), axis=1, keepdims=True)
    pairs = [(f"x.npy[{i}]", f"x.npy[{i + 1}]", float(units[i] @ units[i + 1]) ** 3) for i in range(0, COUNT, 2)]
    labels = table(tmp_path / "pairs.csv", ("first", "second", "score"), *pairs)
    found = judge(place, "vector", "embedding", tmp_path / "x.npy", labels)
    assert found["spearman"] == found["spearman_float"] == pytest.approx(1) and 0.5 < found["pearson"] < 1
    assert found["drop"] == pytest.approx(0)


def test_ocr(place: Path, tmp_path: Path):
    x = np.zeros((2, 1, 5, CLASSES), np.float32)
    for step, kind in enumerate((1, 0, 2, 0, 3)):
        x[:, 0, step, kind] = 1
    np.save(tmp_path / "x.npy", x)
    (tmp_path / "characters.txt").write_text("a\n \nb\n")
    labels = table(tmp_path / "l.csv", ("file", "label"), ("x.npy[0]", "a b"), ("x.npy[1]", "a bbb"))
    found = judge(place, "line", "ocr", tmp_path / "x.npy", labels, "--characters", tmp_path / "characters.txt")
    assert found["cer"] == found["cer_float"] == pytest.approx(100 * 2 / 8)
    assert found["wer"] == pytest.approx(100 * 1 / 4) and found["exact"] == 50


def test_detection(place: Path, tmp_path: Path):
    (tmp_path / "pictures").mkdir()
    images, annotations = [], []
    for index in range(3):
        Image.new("RGB", (64, 64), (40 * index + 40,) * 3).save(tmp_path / f"pictures/{index}.png")
        images.append({"id": index, "file_name": f"{index}.png", "width": 64, "height": 64})
        # The model says 8 .. 24 of 32: 16 .. 48 of the picture. One object is not where it says.
        left = 16 if index else 30
        box = {"image_id": index, "category_id": 5, "bbox": [left, 16, 32, 32]}
        annotations.append({"id": index + 1, **box})
    content = {"images": images, "annotations": annotations, "categories": [{"id": 5}, {"id": 9}]}
    (tmp_path / "boxes.json").write_text(json.dumps(content))
    more = ("--preprocess", "unit")
    found = judge(place, "boxes", "detection", tmp_path / "pictures", tmp_path / "boxes.json", *more)
    # Of three detections with equal scores the first is wrong: a precision of 2/3 up to a recall of 2/3.
    assert found["ap_float"] == found["ap"] == pytest.approx(2 / 3 * 67 / 101)
    assert found["ap50"] == pytest.approx(2 / 3 * 67 / 101) and "ap_large" not in found
    assert found["ar1"] == pytest.approx(2 / 3) and found["drop"] == 0
    (tmp_path / "boxes.json").write_text(json.dumps({**content, "images": 3}))
    command = ("validate", place / "boxes", "--model", place / "boxes.onnx", "--data", tmp_path / "pictures")
    result = call(*command, "--task", "detection", "--labels", tmp_path / "boxes.json")
    assert (
        result.exit_code == 2 and "boxes.json: it has no list 'images'" in result.stderr and "hint: " in result.stderr
    )
