"""The shape that a model's input gives pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeort.errors import InputError
from edgeort.values import Value, listed

DTYPES = ("float32", "float16", "uint8", "int8")  # that a recipe's result may have


@dataclass(frozen=True)
class Form:
    """Input `value`, of one picture at a time; a `size` (height, width) of None is free."""

    value: Value
    size: tuple[int, int] | None
    channels: int
    channels_last: bool

    @property
    def name(self) -> str:
        """The input's."""
        return self.value.name

    @property
    def dtype(self) -> np.dtype:
        """Of the input's elements."""
        return self.value.array_dtype

    def shape(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Of the tensor of a picture of that size."""
        return (1, height, width, self.channels) if self.channels_last else (1, self.channels, height, width)


def form_of(inputs: Sequence[Value], name: str | None = None) -> Form:
    """Layout and size from the input `name`, by default the only one of a picture's shape.

    That is rank 4, where the axis of 1 or 3 entries is the channels. InputError where there is none, or several.
    """
    named = [value for value in inputs if name is None or value.name == name]
    found = [form for value in named if (form := _form(value)) is not None]
    if len(found) == 1:
        return found[0]
    if len(found) > 1:
        raise InputError(
            f"several inputs may take pictures: {listed(inputs)}", hint=f'--preprocess "input={found[0].name}; ..."'
        )
    raise InputError(f"the model takes no pictures; its inputs are {listed(inputs)}", hint="give arrays: --data x.npz")


def _form(value: Value) -> Form | None:
    shape = value.shape
    if shape is None or len(shape) != 4 or not (shape[1] in (1, 3) or shape[3] in (1, 3)):
        return None
    if value.dtype not in DTYPES or (isinstance(shape[0], int) and shape[0] != 1):
        return None
    last = shape[1] not in (1, 3)
    height, width = (shape[1], shape[2]) if last else (shape[2], shape[3])
    channels = shape[3] if last else shape[1]
    assert isinstance(channels, int)
    size = (height, width) if isinstance(height, int) and isinstance(width, int) else None
    return Form(value, size, channels, last)
