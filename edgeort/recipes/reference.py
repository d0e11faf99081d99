"""A recipe in NumPy: what calibration and validation use, and what the kernels give bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgeort.errors import InputError, MissingExtraError
from edgeort.recipes.form import Form
from edgeort.recipes.picture import Recipe
from edgeort.recipes.resampling import part

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
# Of red, green and blue in what is grey, of 16 fraction bits: ITU-R BT.601, as Pillow rounds it.
LUMA = (19595, 38470, 7471)
LUMA_BITS = 16

LEAST_LEVELS = 64  # of 256 that a model of integers has to see


def tensor(pixels: np.ndarray, recipe: Recipe, form: Form) -> np.ndarray:
    """The input of a model, batch of one, that a bound recipe makes of a picture uint8 [height, width, channels]."""
    levels = resampled(pixels, recipe, form)
    values = table(recipe, form)[np.arange(form.channels), levels]
    return np.ascontiguousarray((values if form.channels_last else values.transpose(2, 0, 1))[np.newaxis])


def resampled(pixels: np.ndarray, recipe: Recipe, form: Form, shift: tuple[int, int] = (0, 0)) -> np.ndarray:
    """The picture in its new size with the model's channels, uint8 [height, width, channels].

    The window that is taken of it may be moved by `shift` pixels (down, right).
    """
    check(pixels, recipe)
    picked = channels_of(recipe, form.channels)
    if picked is None:
        pixels, picked = gray(pixels, recipe.source), (0,) * form.channels
    size = recipe.resized((pixels.shape[0], pixels.shape[1]))
    top, left, height, width = recipe.window(size)
    top, left = top + shift[0], left + shift[1]
    out = np.full((height, width, pixels.shape[2]), recipe.fill, np.uint8)
    y, x = max(-top, 0), max(-left, 0)
    inside = min(size[0] - max(top, 0), height - y), min(size[1] - max(left, 0), width - x)
    if min(inside) > 0:
        window = (max(top, 0), max(left, 0), *inside)
        resize = recipe.resize
        method, smooth = ("nearest", False) if resize is None else (resize.method, resize.antialias)
        out[y : y + inside[0], x : x + inside[1]] = part(pixels, size, window, method, antialias=smooth)
    return out[..., list(picked)]


def check(pixels: np.ndarray, recipe: Recipe) -> None:
    """InputError for what is no picture with the recipe's channels."""
    fits = pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == recipe.channels and pixels.size > 0
    if not fits:
        raise InputError(
            f"a picture is uint8 [height, width, {recipe.channels}], not {pixels.dtype} {list(pixels.shape)}",
            hint=f'--preprocess "from={recipe.source}; ..." says which channels pictures have',
        )


def channels_of(recipe: Recipe, channels: int) -> tuple[int, ...] | None:
    """The picture's channels that the model's are; None: they are grey, of a picture that has colours."""
    if recipe.source == "gray":
        return (0,) * channels
    if recipe.color == "gray" or channels == 1:
        return None
    return tuple(recipe.source.index(letter) for letter in recipe.color)


def gray(pixels: np.ndarray, source: str) -> np.ndarray:
    """uint8 [height, width, 1] of a picture with colours."""
    total = np.full(pixels.shape[:2], 1 << (LUMA_BITS - 1), np.int64)
    for name, weight in zip("rgb", LUMA, strict=True):
        total += pixels[..., source.index(name)].astype(np.int64) * weight
    return (total >> LUMA_BITS).astype(np.uint8)[..., np.newaxis]


def table(recipe: Recipe, form: Form) -> np.ndarray:
    """What each level of each of the model's channels becomes, [channels, 256] in the model's element type.

    InputError where a model of integers would be left with few of the levels.
    """
    pixels = np.arange(256, dtype=np.float32)
    mean, std = (
        np.broadcast_to(np.asarray(values, np.float32), form.channels)[:, None] for values in (recipe.mean, recipe.std)
    )
    values: np.ndarray = (pixels * np.float32(recipe.multiplier) - mean) / std
    if form.dtype.kind == "f":
        return values.astype(form.dtype)
    limits = np.iinfo(form.dtype)
    made = np.clip(np.rint(values), limits.min, limits.max).astype(form.dtype)
    if min(len(np.unique(row)) for row in made) < LEAST_LEVELS:
        raise InputError(
            f"input {form.name!r} is {form.dtype}, and the recipe makes {values.min():g} to {values.max():g} of pixels",
            hint='--preprocess "bytes; ..." leaves them as they are',
        )
    return made


def need_pillow() -> None:
    """MissingExtraError where files of pictures cannot be read."""
    try:
        import PIL.Image  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("pictures need Pillow", hint="pip install 'edgeort[images]'") from error


def read_pixels(path: Path, recipe: Recipe) -> np.ndarray:
    """A file's pixels, uint8 [height, width, channels]. InputError names a file that cannot be read."""
    from PIL import Image

    try:
        with Image.open(path) as file:
            picture = file.convert("L" if recipe.source == "gray" else "RGB")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} is not a picture that Pillow can read: {error}") from error
    pixels = np.asarray(picture, np.uint8)
    return as_source(pixels if pixels.ndim == 3 else pixels[..., np.newaxis], recipe.source)


def as_source(pixels: np.ndarray, source: str) -> np.ndarray:
    """RGB or grey pixels with the channels in another order; alpha is 255."""
    if source == "gray":
        return pixels
    opaque = np.full((*pixels.shape[:2], 1), 255, np.uint8)
    whole = np.concatenate([pixels, opaque], 2)
    return np.ascontiguousarray(whole[..., ["rgba".index(letter) for letter in source]])
