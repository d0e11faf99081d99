"""Scores of classes: softmax, sigmoid, the best few and their labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgeort.errors import InputError
from edgeort.model.bodies.builder import INT64, STRING
from edgeort.recipes.grammar import Arguments
from edgeort.recipes.labels import Names, check_labels, read_labels
from edgeort.recipes.tail import Tail


@dataclass(frozen=True)
class Scaled:
    """`score`: the softmax of the scores over the classes, or the sigmoid of each."""

    op_type: Literal["Softmax", "Sigmoid"]

    def write(self, tail: Tail) -> None:
        """One node."""
        if self.op_type == "Softmax":
            tail.scale("Softmax", axis=-1)
        else:
            tail.scale("Sigmoid")


@dataclass(frozen=True)
class TopK:
    """The `count` highest scores, falling: `label` (string; where there are labels), `score`, `class` (int64).

    They have the axes of the scores, `count` entries in the last one. Of equal scores the lower class comes first.
    """

    count: int
    labels: Names | None

    def write(self, tail: Tail) -> None:
        """TopK of the model's own scores, and what stands at those places."""
        classes, output = tail.classes, str(tail.raw().name)
        if classes is not None and self.count > classes:
            raise InputError(
                f"top-k {self.count}: output {output!r} of the model has {classes} classes", hint=f"top-k {classes}"
            )
        labels = check_labels(self.labels, classes, output)
        scores, ranks = tail.scores, tail.ranks
        values, order = tail.ops("TopK", [ranks, tail.ints(self.count)], 2, axis=-1)
        if labels is not None:
            tail.result("label", tail.op("Gather", tail.texts(labels), order, axis=0), STRING)
        tail.result("score", values if scores == ranks else tail.op("GatherElements", scores, order, axis=-1))
        tail.result("class", order, INT64)


def read_softmax(arguments: Arguments) -> Scaled:
    """`softmax`."""
    arguments.end()
    return Scaled("Softmax")


def read_sigmoid(arguments: Arguments) -> Scaled:
    """`sigmoid`."""
    arguments.end()
    return Scaled("Sigmoid")


def read_top_k(arguments: Arguments) -> TopK:
    """`top-k COUNT labels=FILE`."""
    count, labels = arguments.integer(), labels_of(arguments)
    arguments.end()
    return TopK(count, labels)


def labels_of(arguments: Arguments) -> Names | None:
    """`labels=FILE`, where it is given."""
    return read_labels(arguments.text("labels")) if arguments.has("labels") else None
