"""Boxes: the best class of each, those above a score, non-maximum suppression within a class, and back to the picture.

    boxes    float32 [n, 4]   x1 y1 x2 y2, in pixels of the picture where --preprocess tells how it became the input
    label    string [n]       where there are labels
    score    float32 [n]      falling
    class    int64 [n]

n is what the picture has, none included. A box has the class with its highest score, the first of equal ones, and
counts where that is above the limit. Of two of a class whose overlap (intersection over union) is above the limit, the
one with the lower score goes (Neubeck and Van Gool 2006, "Efficient Non-Maximum Suppression"); of equal scores the
later one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import onnx_ir as ir

from edgeort.errors import InputError
from edgeort.model.bodies.builder import FLOAT, INT64, STRING
from edgeort.recipes.classes import labels_of
from edgeort.recipes.grammar import Arguments
from edgeort.recipes.labels import Names, check_labels
from edgeort.recipes.tail import PICTURE, Tail, dims_of

FORMATS = ("xyxy", "yxyx", "cxcywh")
SCORE, IOU, MOST = 0.25, 0.45, 300  # as Ultralytics' detectors have them, but for the overlap: theirs is 0.7


@dataclass(frozen=True)
class Limits:
    """The least score, the largest overlap of two boxes of a class, how many boxes there are at most."""

    score: float
    iou: float
    most: int


@dataclass(frozen=True)
class Candidates:
    """Boxes in columns: `corners` two values [2, n], the lower and the upper ones; `scores` [classes, n]."""

    boxes: str
    form: str
    scores: str
    classes: int


@dataclass(frozen=True)
class Yolo:
    """The head of YOLOv8 and later: [1, 4 + classes, n]; centre x, centre y, width, height, then a score a class."""

    limits: Limits
    labels: Names | None
    output: str | None

    def write(self, tail: Tail) -> None:
        """Takes the head apart."""
        head = tail.raw(self.output)
        dims = dims_of(head)
        if dims is None or len(dims) != 3 or dims[0] != 1 or dims[1] is None or dims[1] < 5:
            _refuse(head, "yolo reads [1, 4 + classes, boxes]")
        rows = tail.squeeze(str(head.name), 0)
        boxes, scores = tail.split(rows, [4, dims[1] - 4], 0)
        _finish(tail, Candidates(boxes, "cxcywh", scores, dims[1] - 4), self.limits, self.labels, str(head.name))


@dataclass(frozen=True)
class Nms:
    """Boxes [1, n, 4] and scores [1, n, classes] or, where `turned`, [1, classes, n]; the first axis may be missing.

    With `relative`, boxes are in shares of the model's input.
    """

    boxes: str
    scores: str
    form: str
    turned: bool
    relative: bool
    limits: Limits
    labels: Names | None

    def write(self, tail: Tail) -> None:
        """Turns both to columns."""
        boxes, scores = tail.raw(self.boxes), tail.raw(self.scores)
        columns = self._columns(tail, boxes, 4, False)
        count = (dims_of(scores) or [None])[-2 if self.turned else -1] if len(dims_of(scores) or ()) > 1 else None
        reads = f"nms reads scores of {'[1, classes, boxes]' if self.turned else '[1, boxes, classes]'}"
        if count is None:
            _refuse(scores, reads)
        many, scored = ((dims_of(value) or [])[axis] for value, axis in ((boxes, -2), (scores, -1 - (not self.turned))))
        if None not in (many, scored) and many != scored:
            _refuse(scores, f"{reads}, of {many} boxes{'' if self.turned else '; columns: [1, classes, boxes]'}")
        if self.relative:
            columns = tail.op("Mul", columns, tail.array(self._sides(tail), FLOAT))
        found = Candidates(columns, self.form, self._columns(tail, scores, count, self.turned), count)
        _finish(tail, found, self.limits, self.labels, self.scores)

    def _columns(self, tail: Tail, value: ir.Value, size: int, turned: bool) -> str:
        """[size, n] of a value [1, n, size] or [n, size], or of one that is turned already."""
        dims = dims_of(value)
        if dims is None or len(dims) not in (2, 3) or (len(dims) == 3 and dims[0] != 1):
            _refuse(value, "nms reads boxes of [1, boxes, 4], scores of [1, boxes, classes]")
        if dims[-2 if turned else -1] != size:
            _refuse(value, "nms reads boxes of [1, boxes, 4]")
        rows = tail.squeeze(str(value.name), 0) if len(dims) == 3 else str(value.name)
        return rows if turned else tail.op("Transpose", rows, perm=[1, 0])

    def _sides(self, tail: Tail) -> list[list[float]]:
        """What shares are of: [4, 1] pixels of the model's input."""
        if tail.before.size is None:
            raise InputError(
                "boxes in shares of the model's input need its size, which is free", hint="--shape INPUT=1x3x640x640"
            )
        y, x = ([float(side)] for side in tail.before.size)
        return [y, x, y, x] if self.form == "yxyx" else [x, y, x, y]


def _refuse(value: ir.Value, reads: str) -> NoReturn:
    shape = "of unknown shape" if value.shape is None else f"[{', '.join(map(str, value.shape))}]"
    raise InputError(
        f"output {value.name!r} of the model is {shape}, and {reads}",
        hint="--shape INPUT=1x3x640x640 fixes what is free; other heads: nms boxes=OUTPUT scores=OUTPUT",
    )


def _finish(tail: Tail, found: Candidates, limits: Limits, names: Names | None, output: str) -> None:
    """From the candidates to the outputs."""
    labels = check_labels(names, found.classes, output)
    best = tail.reduce("ReduceMax", found.scores, [0], keepdims=0)
    classes = tail.op("ArgMax", found.scores, axis=0, keepdims=0)
    above = tail.op("NonZero", tail.op("Greater", best, tail.array(limits.score, FLOAT)))
    kept = tail.op("Reshape", above, tail.ints(-1))
    best, classes = (tail.op("Gather", value, kept, axis=0) for value in (best, classes))
    boxes = _corners(tail, tail.op("Gather", found.boxes, kept, axis=1), found.form)
    chosen = _chosen(tail, boxes, best, classes, found.classes, limits)
    boxes, best, classes = (tail.op("Gather", value, chosen, axis=0) for value in (boxes, best, classes))
    tail.result("boxes", _in_picture(tail, boxes))
    if labels is not None:
        tail.result("label", tail.op("Gather", tail.texts(labels), classes, axis=0), STRING)
    tail.result("score", best)
    tail.result("class", classes, INT64)


def _corners(tail: Tail, boxes: str, form: str) -> str:
    """float32 [n, 4], x1 y1 x2 y2, of columns [4, n]."""
    if form == "cxcywh":
        centre, size = tail.split(boxes, [2, 2], 0)
        half = tail.op("Mul", size, tail.array(0.5, FLOAT))
        boxes = tail.op("Concat", tail.op("Sub", centre, half), tail.op("Add", centre, half), axis=0)
    elif form == "yxyx":
        boxes = tail.op("Gather", boxes, tail.ints(1, 0, 3, 2), axis=0)
    return tail.op("Transpose", boxes, perm=[1, 0])


def _chosen(tail: Tail, boxes: str, best: str, classes: str, count: int, limits: Limits) -> str:
    """The places of those that are left, the highest score first."""
    is_class = tail.op("Equal", tail.unsqueeze(classes, 0), tail.array([[k] for k in range(count)], INT64))
    scores = tail.op("Where", is_class, tail.unsqueeze(best, 0), tail.array(-1.0, FLOAT))
    selected = tail.op(
        "NonMaxSuppression",
        tail.unsqueeze(boxes, 0),
        tail.unsqueeze(scores, 0),
        tail.ints(limits.most),
        tail.array([limits.iou], FLOAT),
        tail.array([max(limits.score, 0.0)], FLOAT),
    )
    places = tail.op("Gather", selected, tail.array(2, INT64), axis=1)
    most, there = tail.ints(limits.most), tail.op("Shape", places)
    kept = tail.op("Where", tail.op("Less", there, most), there, most)
    order = tail.ops("TopK", [tail.op("Gather", best, places, axis=0), kept], 2, axis=0)[1]
    return tail.op("Gather", places, order, axis=0)


def _in_picture(tail: Tail, boxes: str) -> str:
    """The boxes [n, 4] in pixels of the picture, cut at its edges; as they are where there is no picture."""
    if tail.before.sight is None:
        return boxes
    place = tail.before.sight.write(tail, PICTURE)
    twice = {name: tail.op("Concat", value, value, axis=0) for name, value in vars(place).items()}
    moved = tail.op("Div", tail.op("Add", boxes, twice["offset"]), twice["scale"])
    return tail.op("Max", tail.op("Min", moved, twice["size"]), tail.array(0.0, FLOAT))


def read_yolo(arguments: Arguments) -> Yolo:
    """`yolo score=0.25 iou=0.45 max=300 labels=FILE output=NAME`."""
    limits, labels, output = _limits(arguments), labels_of(arguments), arguments.text("output", "")
    arguments.end()
    return Yolo(limits, labels, output or None)


def read_nms(arguments: Arguments) -> Nms:
    """`nms boxes=NAME scores=NAME format=xyxy ...`."""
    boxes, scores, form = arguments.text("boxes"), arguments.text("scores"), arguments.text("format", "xyxy")
    if form not in FORMATS:
        arguments.fail(f"format is one of {', '.join(FORMATS)}, not {form}")
    turned = arguments.choice(("rows", "columns"), "rows") == "columns"
    relative = arguments.choice(("pixels", "relative"), "pixels") == "relative"
    limits, labels = _limits(arguments), labels_of(arguments)
    arguments.end()
    return Nms(boxes, scores, form, turned, relative, limits, labels)


def _limits(arguments: Arguments) -> Limits:
    score, iou = arguments.number("score", SCORE), arguments.number("iou", IOU)
    for name, value in (("score", score), ("iou", iou)):
        if not 0 <= value <= 1:
            arguments.fail(f"{name} is from 0 to 1, not {value:g}")
    return Limits(score, iou, arguments.integer("max", MOST))
