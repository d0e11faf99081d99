"""Average precision against pycocotools: crowds, sizes, ties, no detections, no objects, many detections."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeort.errors import InputError
from edgeort.validate.labels import Truth
from edgeort.validate.metrics.boxes import Detections
from edgeort.validate.metrics.mean_precision import Collected, MeanPrecision
from edgeort.validate.metrics.metric import Case

coco = pytest.importorskip("pycocotools.coco")
cocoeval = pytest.importorskip("pycocotools.cocoeval")

NAMES = (
    "ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large",
    "ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large",
)  # fmt: skip
CLASSES = 3
SEEDS = st.integers(0, 2**32 - 1)
Picture = tuple[Truth, Detections]


def boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    corner, size = rng.integers(0, 200, (count, 2)), rng.choice([1, 7, 20, 32, 50, 96, 180], (count, 2))
    return np.hstack([corner, corner + size]).astype(np.float64)


def picture(rng: np.random.Generator, image: int, objects: int, detections: int, *, levels: int) -> Picture:
    """Random objects, and detections near them or anywhere; scores of a few levels, so that many are equal."""
    own, found = boxes(rng, objects), boxes(rng, detections)
    for index in range(detections):
        if objects and rng.random() < 0.7:
            found[index] = own[rng.integers(objects)] + rng.integers(-6, 7, 4) * (rng.random() < 0.6)
    found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
    areas = (own[:, 2:] - own[:, :2]).prod(axis=1) * rng.choice([0.5, 1, 1], objects)
    crowds = rng.random(objects) < 0.25
    truth = Truth(image, own, rng.integers(0, CLASSES, objects), areas, crowds, CLASSES)
    scores = (rng.integers(1, levels + 1, detections) / levels).astype(np.float64)
    return truth, Detections.of(found, scores, rng.integers(0, CLASSES, detections), 0)


def sides(box: np.ndarray) -> list[float]:
    return [*box[:2], *(box[2:] - box[:2])]


def reference(pictures: list[Picture]) -> list[float]:
    """The twelve figures of pycocotools; -1 where there are no objects."""
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for truth, found in pictures:
        for box, kind, area, crowd in zip(truth.boxes, truth.categories, truth.areas, truth.crowds, strict=True):
            one = {"image_id": truth.image, "category_id": int(kind), "bbox": sides(box)}
            annotations.append({**one, "id": len(annotations) + 1, "area": area, "iscrowd": int(crowd)})
        for box, score, kind in zip(found.boxes, found.scores, found.classes, strict=True):
            one = {"image_id": truth.image, "category_id": int(kind), "bbox": sides(box)}
            results.append({**one, "score": float(score)})
    with contextlib.redirect_stdout(io.StringIO()):
        whole = coco.COCO()
        whole.dataset = {
            "images": [{"id": truth.image} for truth, _ in pictures],
            "categories": [{"id": kind} for kind in range(CLASSES)],
            "annotations": annotations,
        }
        whole.createIndex()
        judge = cocoeval.COCOeval(whole, whole.loadRes(results) if results else coco.COCO(), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return [float(value) for value in judge.stats]


def compare(pictures: list[Picture]) -> None:
    collected = Collected()
    for truth, found in pictures:
        collected.add(truth, found)
    own = collected.figures()
    for name, want in zip(NAMES, reference(pictures), strict=True):
        assert own.get(name, -1.0) == pytest.approx(want, abs=1e-12), name


@settings(max_examples=120, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(0, 6), st.integers(0, 12), st.sampled_from([1, 3, 1000])
)
def test_random_pictures(seed: int, count: int, objects: int, detections: int, levels: int):
    rng = np.random.default_rng(seed)
    order = rng.permutation(count)  # pictures come in another order than their numbers
    sizes = [(int(rng.integers(0, objects + 1)), int(rng.integers(0, detections + 1))) for _ in order]
    compare([picture(rng, int(i) + 1, *size, levels=levels) for i, size in zip(order, sizes, strict=True)])


def test_more_detections_than_are_looked_at():
    rng = np.random.default_rng(5)
    compare([picture(rng, image, 30, 400, levels=50) for image in range(3)])


def test_no_detections_and_no_objects():
    rng = np.random.default_rng(6)
    nothing, only_objects, only_found = ((0, 0), (4, 0), (0, 5))
    compare([picture(rng, 0, *only_objects, levels=3), picture(rng, 1, *nothing, levels=3)])
    compare([picture(rng, 0, *only_found, levels=3)])
    compare([picture(rng, 0, *only_found, levels=3), picture(rng, 1, 5, 5, levels=3)])


def test_crowds_alone():
    rng = np.random.default_rng(7)
    truth, found = picture(rng, 0, 5, 30, levels=10)
    crowds = Truth(0, truth.boxes, truth.categories, truth.areas, np.ones(5, bool), CLASSES)
    compare([(crowds, found), picture(rng, 1, 3, 9, levels=2)])


def case(rows: list[list[float]], now: list[list[float]], truth: Truth | None) -> Case:
    outputs = [{"y": np.array(one, np.float32).reshape(1, -1, 6)} for one in (rows, now)]
    return Case("a.png", outputs[0], outputs[1], "y", truth)


def test_outputs_of_a_model_in_the_pictures_coordinates():
    """The input is half as large as the picture, and shows it from (3, 1) on."""
    own = np.array([[10.0, 10, 30, 50], [40, 20, 60, 80]])
    kinds = np.array([0, 1])
    truth = Truth(1, own, kinds, np.array([800.0, 1200]), np.zeros(2, bool), 2, (0.5, 0.5), (-3, -1))
    rows = [[*(box * 0.5 - [3, 1, 3, 1]), 0.9, kind] for box, kind in zip(own, kinds, strict=True)]
    metric = MeanPrecision()
    metric.add(case(rows, rows[:1], truth))
    metric.add(case(rows, rows, None))  # a picture without labels does not count
    figures = {figure.name: figure.value for figure in metric.figures()}
    assert figures["ap_float"] == pytest.approx(1) and figures["ap"] == pytest.approx(0.5)
    assert figures["drop"] == pytest.approx(50) and "ap_large" not in figures


def test_without_labels_there_are_no_figures_and_an_unknown_class_is_an_error():
    metric = MeanPrecision()
    metric.add(case([[0, 0, 9, 9, 0.9, 1]], [], None))
    assert metric.figures() == []
    truth = Truth(1, np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0), np.zeros(0, bool), 2)
    metric.add(case([], [], truth))
    assert metric.figures() == []
    with pytest.raises(InputError, match="finds class 2, and the labels have 2 categories: 0 to 1"):
        metric.add(case([[0, 0, 9, 9, 0.9, 2]], [], truth))
