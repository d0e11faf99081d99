"""Boxes behind a model, against non-maximum suppression written down in NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeort.errors import InputError
from tests.recipes.attached import behind, identity, run

RNG = np.random.default_rng(0)


def overlaps(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    shared = np.prod(np.maximum(sides, 0), axis=1)
    return shared / (np.prod(box[2:] - box[:2]) + np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) - shared)


def suppressed(
    corners: np.ndarray, scores: np.ndarray, score: float, iou: float, most: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes [n, 4], scores and classes that are left of corners [n, 4] and scores [n, classes]."""
    best, classes = scores.max(axis=1), scores.argmax(axis=1)
    kept: list[int] = []
    for index in np.argsort(-best, kind="stable"):
        rivals = [k for k in kept if classes[k] == classes[index]]
        if best[index] > score and (not rivals or overlaps(corners[index], corners[rivals]).max() <= iou):
            kept.append(int(index))
    kept = kept[:most]
    return corners[kept], best[kept], classes[kept]


def crowd(count: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (centres and sizes) [count, 4] that overlap a lot, and scores [count, classes]."""
    rng = np.random.default_rng(seed)
    boxes = np.hstack([rng.uniform(20, 100, (count, 2)), rng.uniform(10, 50, (count, 2))])
    return boxes.astype(np.float32), rng.uniform(0, 1, (count, classes)).astype(np.float32) ** 3


def corners_of(boxes: np.ndarray) -> np.ndarray:
    return np.hstack([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2])


def plans(tmp_path: Path) -> Path:
    (tmp_path / "plans").mkdir(exist_ok=True)
    return tmp_path / "plans"


@pytest.mark.parametrize("opset", [11, 17, 21])
@pytest.mark.parametrize(("count", "classes", "most"), [(63, 3, 300), (200, 1, 7), (131, 80, 100)])
def test_yolo(count: int, classes: int, most: int, opset: int, tmp_path: Path):
    boxes, scores = crowd(count, classes)
    head = np.vstack([boxes.T, scores.T])[None]
    names = tmp_path / "names.txt"
    names.write_text("\n".join(f"n{k}" for k in range(classes)))
    model = identity(f"float[1, {4 + classes}, {count}] y", opset=opset)
    attached = behind(model, f"yolo score=0.3 iou=0.4 max={most} labels={names}")
    assert attached.outputs == ("boxes", "label", "score", "class")
    found = run(attached, [head], plans(tmp_path))
    want = suppressed(corners_of(boxes), scores, 0.3, 0.4, most)
    assert 0 < len(want[1]) < count
    for name, array in zip(("boxes", "score", "class"), want, strict=True):
        np.testing.assert_array_equal(found[name], array)
    np.testing.assert_array_equal(found["label"], [f"n{k}" for k in want[2]])


def test_there_may_be_no_box_and_then_some(tmp_path: Path):
    from edgeort.recipes.postprocessing import attach  # noqa: F401

    boxes, scores = crowd(50, 2)
    attached = behind(identity("float[1, 6, 50] y"), "yolo score=0.3")
    for weaker in (scores * 0.1, scores, scores * 0):
        found = run(attached, [np.vstack([boxes.T, weaker.T])[None]], plans(tmp_path))
        want = suppressed(corners_of(boxes), weaker, 0.3, 0.45, 300)
        assert found["boxes"].shape == (len(want[1]), 4) and found["class"].shape == want[2].shape
        np.testing.assert_array_equal(found["boxes"], want[0])


def test_equal_scores(tmp_path: Path):
    """The first of two equal boxes stays; a box whose classes tie has the first one."""
    boxes = np.array([[30, 30, 20, 20], [30, 30, 20, 20], [90, 90, 20, 20], [60, 30, 20, 20]], np.float32)
    scores = np.array([[0.5, 0.1], [0.5, 0.1], [0.5, 0.5], [0.1, 0.5]], np.float32)
    found = run(behind(identity("float[1, 6, 4] y"), "yolo"), [np.vstack([boxes.T, scores.T])[None]], plans(tmp_path))
    np.testing.assert_array_equal(found["class"], [0, 0, 1])
    np.testing.assert_array_equal(found["boxes"], corners_of(boxes[[0, 2, 3]]))


@pytest.mark.parametrize("form", ["xyxy", "yxyx", "cxcywh"])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("batch", ["1, ", ""])
def test_nms(form: str, turned: bool, batch: str, tmp_path: Path):
    boxes, scores = crowd(40, 5, seed=3)
    given = {"cxcywh": boxes, "xyxy": corners_of(boxes), "yxyx": corners_of(boxes)[:, [1, 0, 3, 2]]}[form]
    table = scores.T if turned else scores
    model = identity(f"float[{batch}40, 4] boxes", f"float[{batch}{table.shape[0]}, {table.shape[1]}] s")
    attached = behind(
        model, f"nms boxes=boxes scores=s format={form} {'columns' if turned else 'rows'} score=0.2 max=30"
    )
    assert attached.outputs == ("post_boxes", "score", "class")
    lead = (1,) if batch else ()
    found = run(attached, [given.reshape(*lead, 40, 4), table.reshape(*lead, *table.shape)], plans(tmp_path))
    want = suppressed(corners_of(boxes), scores, 0.2, 0.45, 30)
    np.testing.assert_array_equal(found["post_boxes"], want[0])
    np.testing.assert_array_equal(found["class"], want[2])


def test_shares_of_the_input_become_pixels(tmp_path: Path):
    boxes, scores = crowd(40, 5, seed=4)
    shares = corners_of(boxes) / np.float32([320, 240, 320, 240])
    model = identity("float[1, 40, 4] b", "float[1, 40, 5] s")
    found = run(
        behind(model, "nms boxes=b scores=s relative", (240, 320)), [shares[None], scores[None]], plans(tmp_path)
    )
    want = suppressed(shares * np.float32([320, 240, 320, 240]), scores, 0.25, 0.45, 300)
    np.testing.assert_array_equal(found["boxes"], want[0])
    with pytest.raises(InputError, match="which is free"):
        behind(model, "nms boxes=b scores=s relative")


@pytest.mark.parametrize(
    ("output", "recipe", "message"),
    [
        ("float[2, 6, 50] y", "yolo", r"is \[2, 6, 50\], and yolo reads \[1, 4 \+ classes, boxes\]"),
        ("float[1, N, 50] y", "yolo", r"is \[1, N, 50\]"),
        ("float[1, 4, 50] y", "yolo", "yolo reads"),
        ("float[1, 6, 50] y", "yolo output=z", "the model has no output 'z'"),
        ("float[1, 6, 50] y", "yolo iou=1.5", "iou is from 0 to 1"),
        ("float[1, 6, 50] y", "yolo max=0", "no whole number"),
        ("float[1, 6, 50] y", "nms boxes=y", "scores= is missing"),
        ("float[1, 6, 50] y", "nms boxes=y scores=y", "nms reads boxes"),
        ("float[1, 50, 4] y", "nms boxes=y scores=y format=polar", "format is one of"),
        ("float[1, 50, N] y", "nms boxes=y scores=y", r"is \[1, 50, N\], and nms reads boxes"),
        ("float[1, 4, 50] y", "nms boxes=y scores=y", r"is \[1, 4, 50\], and nms reads boxes of \[1, boxes, 4\]"),
    ],
)
def test_what_does_not_fit_is_named(output: str, recipe: str, message: str):
    with pytest.raises(InputError, match=message):
        behind(identity(output), recipe)


@pytest.mark.parametrize(("shape", "word"), [("1, 6, 50", "rows"), ("1, 50, 6", "columns"), ("1, 49, 6", "rows")])
def test_boxes_and_scores_are_as_many(shape: str, word: str):
    with pytest.raises(InputError, match="of 50 boxes"):
        behind(identity("float[1, 50, 4] b", f"float[{shape}] s"), f"nms boxes=b scores=s {word}")
