"""Which stage of an app's preprocessing differs from the recipe: from its tensor of a known picture.

The tensor is compared with what mutations of the recipe make of the picture. Layout, order of channels and resizing
decide which pixel an element is of; scale, mean and std are then a line, element = slope * level + offset, for each
channel, fitted by least squares. The mutation is named whose lines leave the least; of several that are as good, the
one that changes the fewest stages.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeort.errors import InputError
from edgeort.recipes import normalisation, reference
from edgeort.recipes.form import Form
from edgeort.recipes.front import Front
from edgeort.recipes.picture import ANTIALIASED, METHODS, SHARE, Crop, Recipe, resize_text
from edgeort.unreadable import UNREADABLE

SAME = 1.0  # levels of 255: rounding, another library's arithmetic
EXPLAINED = 0.75  # levels, root of the mean square: what a mutation may leave to be the explanation
_RAW = {1: "uint8", 2: "float16", 4: "float32", 8: "float64"}  # of files without a header, by bytes an element
_CHANGE = 0.02  # levels that a further stage has to be worth


@dataclass(frozen=True)
class Stage:
    """What the recipe does at a stage, and what the tensor shows."""

    name: str
    wanted: str
    found: str

    @property
    def differs(self) -> bool:
        """Whether they are not the same."""
        return self.wanted != self.found


@dataclass(frozen=True)
class Diagnosis:
    """`levels` is the largest distance from our tensor, in levels of 255.

    `left` is what the stages found leave of it, root mean square.
    """

    stages: tuple[Stage, ...]
    levels: float
    left: float

    @property
    def differing(self) -> list[Stage]:
        """The stages that do."""
        return [stage for stage in self.stages if stage.differs]

    @property
    def is_same(self) -> bool:
        """Whether the tensor is ours but for rounding."""
        return self.levels <= SAME and not self.differing

    @property
    def is_explained(self) -> bool:
        """Whether the stages that differ explain the tensor."""
        return self.left <= EXPLAINED


@dataclass(frozen=True)
class _Variation:
    """A recipe, with the window moved by `shift` (down, right); `changes` counts the stages that are not ours."""

    recipe: Recipe
    shift: tuple[int, int] = (0, 0)
    changes: int = 0


@dataclass(frozen=True)
class _View:
    """The tensor by a layout and an order of channels, as planes [channels, pixels] in the model's order."""

    layout: str
    order: str
    planes: np.ndarray
    changes: int


def read_tensor(path: Path, elements: int) -> np.ndarray:
    """A .npy, or `elements` numbers without a header, whose type their size tells. InputError where it is neither."""
    try:
        if path.suffix.lower() == ".npy":
            return np.asarray(np.load(path, allow_pickle=False))
        raw = path.read_bytes()
    except UNREADABLE as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(f"{path} cannot be read: {reason}", hint="numpy.save(path, tensor) writes a .npy") from error
    width = len(raw) // elements
    if len(raw) % elements or width not in _RAW:
        raise InputError(
            f"{path} has {len(raw)} bytes, and the model's input has {elements} elements",
            hint="write it as a .npy, which tells its shape",
        )
    return np.frombuffer(raw, _RAW[width])


def diagnose(given: np.ndarray, pixels: np.ndarray, front: Front) -> Diagnosis:
    """What is different in the tensor `given` of the picture `pixels`. InputError where it has another size."""
    wanted = reference.tensor(pixels, front.recipe, front.form)
    if given.size != wanted.size or given.dtype.kind not in "fiu" or not np.isfinite(given).all():
        raise InputError(
            f"the tensor is {given.dtype} {list(given.shape)}, and the model's input {wanted.dtype} "
            f"{list(wanted.shape)}: {_of_size(given, pixels, front)}",
            hint=f'the recipe is "{front.text()}"',
        )
    flat = given.astype(np.float64).reshape(-1)
    found = _Search(flat, pixels, front)
    levels = _levels(found.variation, pixels, front.form)
    lines = [_line(plane, level) for plane, level in zip(found.view.planes, levels, strict=True)]
    ours, theirs = normalisation.compared(
        front.recipe, front.form, lines, swapped=found.view.order != front.recipe.color
    )
    stages = (
        Stage("dtype", wanted.dtype.name, given.dtype.name),
        Stage("layout", _layouts(front.form)[0], found.view.layout),
        Stage("channels", front.recipe.color, found.view.order),
        *_placement(_Variation(front.recipe), found.variation, pixels),
        Stage("scale, mean, std", ours, theirs),
    )
    unit = max(abs(front.recipe.multiplier / deviation) for deviation in front.recipe.std)
    apart = float(np.abs(flat - wanted.astype(np.float64).reshape(-1)).max()) / unit
    return Diagnosis(stages, apart, found.left)


class _Search:
    """Looks for the variation, layout and order of channels that leave the least of a tensor."""

    def __init__(self, flat: np.ndarray, pixels: np.ndarray, front: Front) -> None:
        self.pixels, self.form = pixels, front.form
        self.views = list(_views(flat, front))
        self.variation, self.view, self.left = _Variation(front.recipe), self.views[0], float("inf")
        self._look(self.variation)
        self.run()

    def run(self) -> None:
        """One stage after the other, from the best that is known, until little is left."""
        for others in (_methods, _fits, _methods, _shifts, _methods):
            for variation in list(others(self.variation, self.pixels)):
                if self.left <= EXPLAINED / 3:
                    return
                self._look(variation)

    def _look(self, variation: _Variation) -> None:
        levels = _levels(variation, self.pixels, self.form)
        for view in self.views:
            left = _left(view.planes, levels)
            if left + _CHANGE * (variation.changes + view.changes) < self.left:
                self.variation, self.view, self.left = variation, view, left


def _layouts(form: Form) -> list[str]:
    return ["NHWC", "NCHW"] if form.channels_last else ["NCHW", "NHWC"]


def _views(flat: np.ndarray, front: Front) -> Iterator[_View]:
    """By the recipe's layout and order first."""
    channels, color = front.form.channels, front.recipe.color
    for index, layout in enumerate(_layouts(front.form)):
        planes = flat.reshape(-1, channels).T if layout == "NHWC" else flat.reshape(channels, -1)
        yield _View(layout, color, planes, index)
        if color != "gray":
            yield _View(layout, color[::-1], planes[::-1], index + 1)


def _methods(variation: _Variation, pixels: np.ndarray) -> Iterator[_Variation]:
    """The other ways to interpolate."""
    resize = variation.recipe.resize
    for method in METHODS if resize is not None else ():
        for antialias in (True, False):
            fits = antialias == (method == "box") or method in ("bilinear", "bicubic")
            if resize is not None and fits and (method, antialias) != (resize.method, resize.antialias):
                other = replace(resize, method=method, antialias=antialias)
                yield _changed(variation, recipe=replace(variation.recipe, resize=other))


def _fits(variation: _Variation, pixels: np.ndarray) -> Iterator[_Variation]:
    """The other ways to bring a picture to the size of the recipe's result."""
    recipe = variation.recipe
    resize, last = recipe.resize, recipe.crop or recipe.resize
    size = None if last is None else last.size
    if resize is None or size is None:
        return
    short, wide = min(size), (round(size[0] / SHARE), round(size[1] / SHARE))
    others = (
        (replace(resize, fit="stretch", size=size), None),
        (replace(resize, fit="letterbox", size=size, fill=0), None),
        (replace(resize, fit="letterbox", size=size), None),
        (replace(resize, fit="short", size=(short, short)), Crop(size)),
        (replace(resize, fit="short", size=(min(wide), min(wide))), Crop(size)),
        (replace(resize, fit="cover", size=size), Crop(size)),
        (replace(resize, fit="stretch", size=wide), Crop(size)),
    )
    for other, crop in others:
        found = replace(recipe, resize=other, crop=crop)
        if found != recipe:
            yield _changed(variation, recipe=found)


def _shifts(variation: _Variation, pixels: np.ndarray) -> Iterator[_Variation]:
    """The window elsewhere: by a pixel, or in the corner."""
    recipe = variation.recipe
    top, left, *_ = recipe.window(recipe.resized((pixels.shape[0], pixels.shape[1])))
    places = {(-top, -left), *((down, right) for down in (-1, 0, 1) for right in (-1, 0, 1))} - {(0, 0)}
    for shift in sorted(places, key=lambda place: (abs(place[0]) + abs(place[1]), place)):
        yield _changed(variation, shift=shift)


def _changed(variation: _Variation, **fields: Any) -> _Variation:
    return replace(variation, changes=variation.changes + 1, **fields)


def _levels(variation: _Variation, pixels: np.ndarray, form: Form) -> np.ndarray:
    """[channels, pixels] before scale, mean and std."""
    picture = reference.resampled(pixels, variation.recipe, form, variation.shift)
    return picture.reshape(-1, picture.shape[2]).T.astype(np.float64)


def _line(plane: np.ndarray, level: np.ndarray) -> tuple[float, float]:
    """Slope and offset of the least squares."""
    centred = level - level.mean()
    power = float(centred @ centred)
    slope = float(centred @ plane) / power if power else 0.0
    return slope, float(plane.mean()) - slope * float(level.mean())


def _left(planes: np.ndarray, levels: np.ndarray) -> float:
    """What lines leave, in levels: the root of the mean square. Infinite for other sizes and constant planes."""
    if planes.shape != levels.shape:
        return float("inf")
    total = 0.0
    for plane, level in zip(planes, levels, strict=True):
        slope, offset = _line(plane, level)
        if slope == 0.0:
            return float("inf")
        total += float(np.mean(np.square((plane - offset) / slope - level)))
    return float(np.sqrt(total / len(planes)))


def _placement(ours: _Variation, theirs: _Variation, pixels: np.ndarray) -> list[Stage]:
    """How large the picture becomes, how it is interpolated, and what is taken of it."""
    (size, fit, kernel, place), (their_size, their_fit, their_kernel, their_place) = (
        _words(one, pixels) for one in (ours, theirs)
    )
    same = size == their_size
    return [
        Stage("size", f"{size} ({fit})", f"{size} ({fit})" if same else f"{their_size} ({their_fit})"),
        Stage("interpolation", kernel, their_kernel),
        Stage("window", place, their_place),
    ]


def _words(one: _Variation, pixels: np.ndarray) -> tuple[str, str, str, str]:
    """The size after resizing, the step that does it, its kernel, and the window."""
    recipe, resize = one.recipe, one.recipe.resize
    resized = recipe.resized((pixels.shape[0], pixels.shape[1]))
    top, left, height, width = recipe.window(resized)
    kernel = "none" if resize is None else resize.method
    if resize is not None and resize.method in ANTIALIASED and not resize.antialias:
        kernel += " antialias=no"
    place = f"{height}x{width} from {top + one.shift[0]},{left + one.shift[1]} on"
    return f"{resized[0]}x{resized[1]}", "".join(resize_text(resize)) or "no resize", kernel, place


def _of_size(given: np.ndarray, pixels: np.ndarray, front: Front) -> str:
    """What a tensor of another size may be."""
    if given.size == reference.tensor(pixels, front.recipe, front.form).size:
        return "it holds NaNs or infinities" if given.dtype.kind == "f" else "these are no numbers"
    resized = front.recipe.resized((pixels.shape[0], pixels.shape[1]))
    window = front.recipe.window(resized)[2:]
    sizes = {"": window, "the picture resized and not cropped, ": resized, "the picture as it is, ": pixels.shape[:2]}
    for words, (height, width) in sizes.items():
        for channels in (front.form.channels, 4, 3, 1):
            if given.size == height * width * channels:
                return f"it may be {words}{height}x{width} of {channels} channels"
    return "no step of the recipe explains that"
