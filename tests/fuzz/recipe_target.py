"""Recipes for pictures: whatever the text, it says InputError, or there is one, which its own text gives again.

Behind the text and a zero, bytes choose the model's input that it is bound to, and a picture.
"""

from __future__ import annotations

import contextlib
import json

import numpy as np

from edgeort.errors import InputError
from edgeort.recipes import reference
from edgeort.recipes.form import DTYPES
from edgeort.recipes.front import Front, bind
from edgeort.recipes.picture_steps import parse
from edgeort.values import Value

_DIMS: tuple[int | str | None, ...] = (3, 1, "N", None, 24, 19, 224, 65536, 0, -1, 4)
_DTYPES = (*DTYPES, "int64")
_MOST_PIXELS = 1 << 10  # of what is made of a picture


def one(data: bytes) -> None:
    """Raises for a bug."""
    text, _, rest = data.partition(b"\0")
    choice = rest.ljust(8, b"\0")
    shape = tuple(_DIMS[at % len(_DIMS)] for at in choice[2:6])
    value = Value("x", _DTYPES[choice[1] % len(_DTYPES)], shape)
    with contextlib.suppress(InputError):
        recipe = parse(text.decode(errors="surrogateescape"))
        assert parse(recipe.text()) == recipe
        front = bind(recipe, [value], built_in=bool(choice[0] & 1))
        assert Front.from_dict(json.loads(json.dumps(front.to_dict()))) == front
        _make(front, (1 + choice[6], 1 + choice[7]))


def _make(front: Front, size: tuple[int, int]) -> None:
    """The input of a picture, where that is small."""
    front.picture.text()
    placed = front.placement(size)
    _, _, height, width = front.recipe.window(placed.size)
    if max(placed.size[0] * placed.size[1], height * width) <= _MOST_PIXELS:
        picture = np.zeros((*size, front.recipe.channels), np.uint8)
        made = reference.tensor(picture, front.recipe, front.form)
        assert made.shape == front.form.shape(height, width) and made.dtype == front.form.dtype
