"""Average precision of labelled boxes, as the COCO challenge counts it (Lin et al. 2014, "Microsoft COCO").

For each class, size of objects and overlap t = 0.50, 0.55, ..., 0.95: detections of a picture, the highest score first,
each take the free object of their class with the largest overlap (intersection over union), at least t. Objects that
are crowds or outside the size do not count, nor does a detection that takes such a one, or none and is itself outside
the size. A crowd can be taken again and again, and the overlap with it is the share of the detection that it covers.

precision(r)    the largest share of true ones among the detections down to a score at which the recall is at least r
ap              mean of precision(r) over r = 0, 0.01, ..., 1, overlaps and classes; ap50 and ap75 at one overlap;
                ap_small up to 32 x 32 pixels, ap_medium up to 96 x 96, ap_large the rest
ar100           mean of the recall reached with 100 detections of a class in a picture, over overlaps and classes; ar10
                and ar1 with so many; ar_small, ar_medium, ar_large with 100
drop            100 x (ap of the float model - now), in points

Detections are those of boxes.py with a score of at least 0.001, in the picture's coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from edgeort.errors import InputError
from edgeort.validate.labels import Truth
from edgeort.validate.metrics.boxes import Detections, decode
from edgeort.validate.metrics.metric import Case, Figure, Loss

LEAST = 0.001  # a score below counts as none
MOST = (1, 10, 100)  # detections of a class in a picture
OVERLAPS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
SIZES = {"all": (0.0, 1e10), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}


@dataclass(frozen=True)
class Matched:
    """Detections of a class in a picture: scores [d], and by overlap [10, d] which are true and which do not count.

    `objects` is how many count.
    """

    image: int
    scores: np.ndarray
    is_true: np.ndarray
    is_left_out: np.ndarray
    objects: int


@dataclass
class Collected:
    """What was matched, by class and size."""

    found: dict[tuple[int, str], list[Matched]] = field(default_factory=dict)

    def add(self, truth: Truth, detections: Detections) -> None:
        """Matches the detections of a picture, in its coordinates."""
        kinds = detections.classes.astype(np.int64)
        for kind in np.union1d(truth.categories, kinds):
            own, there = kinds == kind, truth.categories == kind
            boxes, scores = detections.boxes[own][: MOST[-1]], detections.scores[own][: MOST[-1]]
            crowds, areas = truth.crowds[there], truth.areas[there]
            overlaps = _overlaps(boxes, truth.boxes[there], crowds)
            sides = boxes[:, 2:] - boxes[:, :2]
            for name, (low, high) in SIZES.items():
                ignored = crowds | (areas < low) | (areas > high)
                outside = (sides.prod(axis=1) < low) | (sides.prod(axis=1) > high)
                is_true, on_ignored = _match(overlaps, ignored, crowds)
                left_out = on_ignored | (~is_true & outside)
                one = Matched(truth.image, scores, is_true, left_out, int((~ignored).sum()))
                self.found.setdefault((int(kind), name), []).append(one)

    def curves(self, size: str, most: int) -> tuple[np.ndarray, np.ndarray]:
        """Precision [10, 101, classes] and recall [10, classes], of classes with objects that count."""
        each = [_curve(found, most) for (_, name), found in sorted(self.found.items()) if name == size]
        kept = [curve for curve in each if curve is not None]
        if not kept:
            return np.zeros((len(OVERLAPS), len(RECALLS), 0)), np.zeros((len(OVERLAPS), 0))
        return np.stack([one for one, _ in kept], axis=2), np.stack([one for _, one in kept], axis=1)

    def figures(self) -> dict[str, float]:
        """The twelve of the challenge; those of sizes without objects are left out."""
        found = {}
        precision, _ = self.curves("all", MOST[-1])
        found["ap"], found["ap50"], found["ap75"] = _mean(precision), _mean(precision[0]), _mean(precision[5])
        for size in ("small", "medium", "large"):
            found[f"ap_{size}"] = _mean(self.curves(size, MOST[-1])[0])
        for most in MOST:
            found[f"ar{most}"] = _mean(self.curves("all", most)[1])
        for size in ("small", "medium", "large"):
            found[f"ar_{size}"] = _mean(self.curves(size, MOST[-1])[1])
        return {name: value for name, value in found.items() if value is not None}


class MeanPrecision:
    """Of labelled pictures; without labels it has no figures."""

    def __init__(self) -> None:
        self.before, self.now = Collected(), Collected()

    def add(self, case: Case) -> Loss:
        """InputError for a class that the labels do not have."""
        truth = case.label
        if isinstance(truth, Truth):
            for collected, outputs in ((self.before, case.reference), (self.now, case.found)):
                found = decode(outputs, case.main, LEAST)
                if found.classes.size and not 0 <= found.classes.max() < truth.classes:
                    raise InputError(
                        f"{case.name}: the model finds class {found.classes.max():g}, and the labels have "
                        f"{truth.classes} categories: 0 to {truth.classes - 1}",
                        hint="the categories of --labels, in the order of their ids, are the model's classes",
                    )
                collected.add(truth, Detections(truth.in_picture(found.boxes), found.scores, found.classes))
        return Loss(0.0)

    def figures(self) -> list[Figure]:
        """The twelve now, `ap_float`, and `drop`."""
        now, before = self.now.figures(), self.before.figures()
        if "ap" not in now:
            return []
        found = [Figure(name, value) for name, value in now.items()]
        found.insert(1, Figure("ap_float", before["ap"]))
        return [*found, Figure("drop", 100 * (before["ap"] - now["ap"]), "points", note="of the average precision")]


def _overlaps(boxes: np.ndarray, objects: np.ndarray, crowds: np.ndarray) -> np.ndarray:
    """[boxes, objects]: intersection over union; over the box alone where the object is a crowd."""
    sides = np.minimum(boxes[:, None, 2:], objects[None, :, 2:]) - np.maximum(boxes[:, None, :2], objects[None, :, :2])
    shared = np.where((sides > 0).all(axis=2), sides.prod(axis=2), 0.0)
    own = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)[:, None]
    theirs = (objects[:, 2:] - objects[:, :2]).prod(axis=1)[None]
    whole = np.where(crowds[None], own, own + theirs - shared)
    return np.where(shared > 0, shared / np.where(whole > 0, whole, 1), 0.0)


def _match(overlaps: np.ndarray, ignored: np.ndarray, crowds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each overlap t and detection, [10, d]: whether it takes an object that counts, and whether one that does not.

    Of equal overlaps the last object is taken.
    """
    count, objects = overlaps.shape
    is_true, on_ignored = (np.zeros((len(OVERLAPS), count), bool) for _ in range(2))
    if not objects:
        return is_true, on_ignored
    for t, least in enumerate(np.minimum(OVERLAPS, 1 - 1e-10)):
        free = np.ones(objects, bool)
        for d in np.flatnonzero(overlaps.max(axis=1) >= least):
            for which, taken in ((~ignored, is_true), (ignored, on_ignored)):
                own = np.where(which & (free | crowds), overlaps[d], -1.0)
                best = objects - 1 - int(own[::-1].argmax())
                if own[best] >= least:
                    taken[t, d], free[best] = True, False
                    break
    return is_true, on_ignored


def _curve(found: list[Matched], most: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Precision [10, 101] at each recall, and the recall [10] reached, of a class; None without objects that count."""
    found = sorted(found, key=lambda one: one.image)
    objects = sum(one.objects for one in found)
    if not objects:
        return None
    order = np.argsort(-np.concatenate([one.scores[:most] for one in found]), kind="stable")
    is_true, left_out = (
        np.concatenate([getattr(one, name)[:, :most] for one in found], axis=1)[:, order]
        for name in ("is_true", "is_left_out")
    )
    hits, wrong = (np.cumsum(which & ~left_out, axis=1, dtype=float) for which in (is_true, ~is_true))
    recall, precision = hits / objects, hits / (hits + wrong + np.spacing(1))
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    curves = np.zeros((len(OVERLAPS), len(RECALLS)))
    for t in range(len(OVERLAPS)):
        places = np.searchsorted(recall[t], RECALLS, side="left")
        reached = places < order.size
        curves[t, reached] = precision[t, places[reached]]
    return curves, recall[:, -1] if order.size else np.zeros(len(OVERLAPS))


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if values.size else None
