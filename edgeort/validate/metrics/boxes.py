"""Detections: how many of the float model's boxes are found again.

Boxes come from the outputs by one of these conventions:

    decoded     float [..., n, 4] corners, float [..., n] scores, and, where there is one, [..., n] classes
    rows        float [..., n, 6]: x1 y1 x2 y2 score class
    anchors     float [1, 4 + classes, n], more columns than rows: centre x, centre y, width, height, a score a class
                (the heads of YOLOv8 and later); overlapping boxes of a class are suppressed, as its detectors do

Boxes with a score below 0.25 count as none. A box is matched to the unmatched box of its class with the largest overlap
(intersection over union), at least 0.5, the highest score first (Everingham et al. 2010, "The Pascal Visual Object
Classes Challenge", section 4.2, with the float model's boxes as the truth).

agreement = 2 x matches / (boxes of the float model + boxes now)            the F1 score of finding them
iou = mean overlap of the matched
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgeort.validate.metrics.metric import Case, Figure, Loss

SCORE = 0.25
OVERLAP = 0.5
SUPPRESSED = 0.45  # overlap of two boxes of a class that are one object
CANDIDATES = 300  # boxes with the highest scores that suppression looks at


@dataclass(frozen=True)
class Detections:
    """float64 [n, 4] corners, [n] scores, falling, and [n] classes."""

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray

    @classmethod
    def of(cls, boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, least: float) -> Detections:
        """Those with at least that score, the highest score first."""
        order = np.argsort(-scores, kind="stable")
        order = order[scores[order] >= least]
        return cls(boxes[order].astype(np.float64), scores[order], classes[order])


@dataclass
class Boxes:
    """Matches, boxes on both sides, and the sum of overlaps."""

    matches: int = 0
    boxes: int = 0
    overlap: float = 0.0

    def add(self, case: Case) -> Loss:
        """A sample's loss is 1 - its own agreement."""
        reference, found = (decode(outputs, case.main) for outputs in (case.reference, case.found))
        overlaps = match(reference, found)
        both = len(reference.scores) + len(found.scores)
        self.matches += len(overlaps)
        self.boxes += both
        self.overlap += sum(overlaps)
        note = f"{len(overlaps)} of {len(reference.scores)} boxes found again, {len(found.scores)} in all"
        return Loss(1 - 2 * len(overlaps) / both if both else 0.0, note)

    def figures(self) -> list[Figure]:
        """`agreement` and `iou`."""
        note = f"{self.matches} boxes matched"
        agreement = 2 * self.matches / self.boxes if self.boxes else 1.0
        iou = self.overlap / self.matches if self.matches else 1.0
        return [Figure("agreement", agreement, note=note), Figure("iou", iou, note="of matched boxes")]


def convention(outputs: Mapping[str, np.ndarray], main: str) -> str | None:
    """Which of the conventions the outputs follow."""
    floats = [array for array in outputs.values() if array.dtype.kind == "f"]
    if any(array.ndim >= 2 and array.shape[-1] == 4 and _scores(outputs, array) is not None for array in floats):
        return "decoded"
    array = outputs[main]
    if array.ndim >= 2 and array.shape[-1] == 6:
        return "rows"
    is_head = array.ndim == 3 and array.shape[0] == 1 and 4 < array.shape[1] < array.shape[2]
    return "anchors" if is_head else None


def decode(outputs: Mapping[str, np.ndarray], main: str, least: float = SCORE) -> Detections:
    """The boxes in a sample's outputs, which follow one of the conventions; `least` is the score that counts."""
    kind, array = convention(outputs, main), outputs[main]
    if kind == "decoded":
        return _decoded(outputs, least)
    if kind == "rows":
        table = array.reshape(-1, 6)
        return Detections.of(table[:, :4], table[:, 4], table[:, 5], least)
    assert kind == "anchors"
    head = array[0].astype(np.float64)
    centre, half, scores = head[:2].T, head[2:4].T / 2, head[4:]
    found = Detections.of(np.hstack([centre - half, centre + half]), scores.max(axis=0), scores.argmax(axis=0), least)
    return _suppressed(found)


def match(reference: Detections, found: Detections) -> list[float]:
    """The overlaps of matched pairs."""
    free, overlaps = np.ones(len(found.scores), bool), []
    for box, kind in zip(reference.boxes, reference.classes, strict=True):
        own = np.where(free & (found.classes == kind), overlap(box, found.boxes), 0.0)
        if own.size and own.max() >= OVERLAP:
            free[own.argmax()] = False
            overlaps.append(float(own.max()))
    return overlaps


def overlap(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Intersection over union of one box [4] with others [n, 4]."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    shared = np.prod(np.maximum(sides, 0), axis=1)
    union = np.prod(box[2:] - box[:2]) + np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) - shared
    return np.where(union > 0, shared / np.where(union > 0, union, 1), 0.0)


def _suppressed(found: Detections) -> Detections:
    """Without those that overlap a box of their class with a higher score (non-maximum suppression)."""
    kept: list[int] = []
    for index in range(min(len(found.scores), CANDIDATES)):
        rivals = [k for k in kept if found.classes[k] == found.classes[index]]
        if not rivals or overlap(found.boxes[index], found.boxes[rivals]).max() <= SUPPRESSED:
            kept.append(index)
    return Detections(found.boxes[kept], found.scores[kept], found.classes[kept])


def _decoded(outputs: Mapping[str, np.ndarray], least: float) -> Detections:
    for array in outputs.values():
        scores = _scores(outputs, array) if array.ndim >= 2 and array.shape[-1] == 4 else None
        if scores is not None:
            break
    size = outputs[scores].size if scores is not None else 0
    kinds = [value for name, value in outputs.items() if name != scores and value.size == size and value.shape[-1] != 4]
    classes = kinds[0].reshape(-1) if kinds else np.zeros(size)
    return Detections.of(array.reshape(-1, 4), outputs[str(scores)].reshape(-1), classes, least)


def _scores(outputs: Mapping[str, np.ndarray], boxes: np.ndarray) -> str | None:
    """The output with one real number a box."""
    for name, array in outputs.items():
        if array.dtype.kind == "f" and array.shape == boxes.shape[:-1]:
            return name
    return None
