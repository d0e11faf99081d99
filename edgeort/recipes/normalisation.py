"""What scale, mean and std a tensor was made with, from the lines fitted to it: element = slope * level + offset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgeort.recipes.form import Form
from edgeort.recipes.picture import Recipe
from edgeort.recipes.picture_steps import PRESETS, parse

NEAR = 0.6  # levels, over the range of levels, that a line may be apart from the one that it is taken for

Line = tuple[float, float]  # slope, offset
_Numbers = tuple[float, tuple[float, ...], tuple[float, ...]]  # scale, mean, std


def compared(recipe: Recipe, form: Form, lines: Sequence[Line], *, swapped: bool) -> tuple[str, str]:
    """What the recipe does, and what the tensor shows: the same words where they agree.

    Where the tensor's channels are `swapped`, this may have been done before mean and std, or behind.
    """
    ours = _numbers(recipe)
    if _is_near(ours, lines) or (swapped and _is_near(ours, lines[::-1])):
        return _text(ours), _text(ours)
    for words, numbers in _others(ours):
        if len(numbers[1]) in (1, form.channels) and _is_near(numbers, lines):
            return _text(ours), f"{words}: {_text(numbers)}"
    fitted = ", ".join(f"{slope:.5g} * pixel {offset:+.4g}" for slope, offset in lines)
    return _text(ours), f"x = {fitted}"


def _numbers(recipe: Recipe) -> _Numbers:
    return recipe.multiplier, recipe.mean, recipe.std


def _others(ours: _Numbers) -> Iterator[tuple[str, _Numbers]]:
    """Usual mistakes, and what other networks want."""
    scale, mean, std = ours
    yield "std is missing", (scale, mean, (1.0,))
    yield "mean is missing", (scale, (0.0,), std)
    yield "mean and std are missing", (scale, (0.0,), (1.0,))
    yield "mean and std are in the other order of channels", (scale, mean[::-1], std[::-1])
    yield "pixels are not scaled", (1.0, mean, std)
    yield "pixels are scaled, and should not be", (1 / 255, mean, std)
    yield "pixels as they are", (1.0, (0.0,), (1.0,))
    yield "pixels from 0 to 1", (1 / 255, (0.0,), (1.0,))
    yield "pixels from -1 to 1", (1 / 127.5, (1.0,), (1.0,))
    yield "scale is missing before mean, and std is missing", (1.0, mean, (1.0,))
    for name in PRESETS:
        yield f"those of the preset {name}", _numbers(parse(name))


def _is_near(numbers: _Numbers, lines: Sequence[Line]) -> bool:
    """Whether both make nearly the same of every level of every channel."""
    scale, mean, std = numbers
    for channel, (slope, offset) in enumerate(lines):
        centre, deviation = mean[channel % len(mean)], std[channel % len(std)]
        wanted = scale / deviation, -centre / deviation
        ends = (abs((slope - wanted[0]) * level + offset - wanted[1]) for level in (0.0, 255.0))
        if max(ends) > NEAR * abs(wanted[0]):
            return False
    return True


def _text(numbers: _Numbers) -> str:
    scale, mean, std = numbers
    told = "1/255" if abs(scale * 255 - 1) < 1e-9 else f"{scale:g}"
    return f"scale={told} mean={','.join(f'{x:g}' for x in mean)} std={','.join(f'{x:g}' for x in std)}"
