"""What stands behind a model, while its nodes are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import onnx_ir as ir

from edgeort.errors import InputError
from edgeort.model.bodies.builder import FLOAT, Writer

PREFIX = "postprocess."
PICTURE = "postprocess.picture"  # stands for the picture that the built model is given


@dataclass(frozen=True)
class Output:
    """A value that a tail makes, and the element type of it."""

    value: str
    dtype: ir.DataType


@dataclass(frozen=True)
class Place:
    """Where a picture is in a model's input: float32 [2] values, of x and y: x_input = scale * x - offset.

    `size` is the picture's, width and height.
    """

    scale: str
    offset: str
    size: str


class Sight(Protocol):
    """Knows where a picture's pixels are in a model's input."""

    def write(self, writer: Writer, picture: str) -> Place:
        """The nodes that compute it from the shape of the picture, uint8 [height, width, channels]."""


@dataclass(frozen=True)
class Before:
    """What is known of pictures: their `size` in the model's input, height and width; `sight` where that of the built
    model is in there. None: there is no such thing."""

    size: tuple[int, int] | None = None
    sight: Sight | None = None


class Tail(Writer):
    """The nodes behind a model, which read its outputs and make new ones, in the order of `made`.

    Steps that work on scores take them from `scores`: the model's first output of real numbers, unless one is named,
    or what a step before has made of it.
    """

    def __init__(self, model: ir.Model, opset: int, before: Before) -> None:
        super().__init__(opset, PREFIX)
        self.before = before
        self.outputs = {str(value.name): value for value in model.graph.outputs}
        self.metadata: Mapping[str, str] = model.metadata_props
        self.read: list[str] = []  # the model's outputs that nodes read
        self.made: dict[str, Output] = {}
        self._scores = self._ranks = ""

    def result(self, name: str, value: str, dtype: ir.DataType = FLOAT) -> None:
        """A new output; one of that name that a step before made is no output any more."""
        self.made.pop(name, None)
        self.made[name] = Output(value, dtype)

    def raw(self, name: str | None = None) -> ir.Value:
        """An output of the model, by default the first of float32. InputError where there is none."""
        if name is not None and name not in self.outputs:
            raise InputError(f"the model has no output {name!r}", hint=f"one of {', '.join(self.outputs)}")
        floats = [value for value in self.outputs.values() if value.dtype == FLOAT]
        if not floats or (name is not None and self.outputs[name] not in floats):
            raise InputError(
                f"output {name or next(iter(self.outputs))!r} of the model holds no float32 numbers",
                hint="post-processing reads float32 scores and boxes",
            )
        found = floats[0] if name is None else self.outputs[name]
        if dims_of(found) == []:
            raise InputError(
                f"output {found.name!r} of the model is one number", hint="post-processing reads scores along an axis"
            )
        if found.name not in self.read:
            self.read.append(str(found.name))
        return found

    @property
    def scores(self) -> str:
        """The scores that the next step works on; their classes are the last axis."""
        if not self._scores:
            value = self.raw()
            dims = dims_of(value)
            self._scores = str(value.name)
            if dims is not None and len(dims) > 2 and all(dim == 1 for dim in dims[2:]):
                self._scores = self.op("Flatten", self._scores, axis=1)  # [batch, classes, 1, 1]
            self._ranks = self._scores
        return self._scores

    @property
    def ranks(self) -> str:
        """What orders the scores: those that the model made.

        Softmax and sigmoid keep the order, and where they round several scores to one, these still tell them apart.
        """
        return self._ranks if self.scores else ""

    @property
    def classes(self) -> int | None:
        """How many classes the scores have, where that is known."""
        dims = dims_of(self.raw())
        if dims is None or not dims:
            return None
        last = dims[1] if len(dims) > 2 and all(dim == 1 for dim in dims[2:]) else dims[-1]
        return last if isinstance(last, int) else None

    def scale(self, op_type: str, **attributes: int) -> None:
        """Puts an operator that keeps the order of the scores behind them."""
        self._scores = self.op(op_type, self.scores, **attributes)
        self.result("score", self._scores)


def dims_of(value: ir.Value) -> list[int | None] | None:
    """The dimensions, None where one is free; None where not even the rank is known."""
    if value.shape is None:
        return None
    return [dim if isinstance(dim, int) else None for dim in value.shape]


class Behind(Protocol):
    """A step behind a model."""

    def write(self, tail: Tail) -> None:
        """Its nodes. InputError where the model's outputs do not fit."""
