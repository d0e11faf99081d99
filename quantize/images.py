"""Pictures as a model's input: resize, crop, scale, normalise, order of channels and axes.

x = (pixel * scale - mean) / std            pixel 0..255, one mean and std per channel
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from edgeort.errors import InputError, MissingExtraError
from edgeort.values import Value, listed

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
GREY = 114  # of the borders beside a picture that is padded, as detectors of the YOLO family are trained
CROP_SHARE = 0.875  # of the short side that the middle square takes, as most classifiers are tested: 224 of 256


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes an input; the defaults are those of torchvision's classifiers.

    `size` is (height, width), needed where the model leaves them free. With `crop` "center" the short side is resized
    to `short_side` (None: the crop is 0.875 of it) and the middle taken; with "none" the picture is squeezed to the
    size; with "pad" all of it is there, between grey borders. `mean` and `std` are in the order of `color`.
    """

    size: tuple[int, int] | None = None
    short_side: int | None = None
    crop: Literal["center", "none", "pad"] = "center"
    interpolation: Literal["bicubic", "bilinear"] = "bilinear"
    scale: float = 1 / 255
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    color: Literal["rgb", "bgr"] = "rgb"

    def text(self, size: tuple[int, int]) -> str:
        """What is done, in words."""
        height, width = self.size or size
        words = {"center": f"short side {self.resized_side((height, width))}, middle", "none": "squeezed to"}
        how = words.get(self.crop, "padded to")
        return (
            f"{how} {width}x{height}, {self.interpolation}, {self.color.upper()}, "
            f"(pixel * {self.scale:.6g} - {_few(self.mean)}) / {_few(self.std)}"
        )

    def resized_side(self, size: tuple[int, int]) -> int:
        """The short side before the crop."""
        return self.short_side or round(min(size) / CROP_SHARE)


@dataclass(frozen=True)
class Placement:
    """Where a picture's pixels are in a model's input: at `scale * x - left`, `scale * y - top`.

    `size` is the picture's, (height, width), after its resizing.
    """

    size: tuple[int, int]
    scale: tuple[float, float]
    left: int
    top: int


@dataclass(frozen=True)
class Form:
    """The shape that a model's input gives pictures."""

    name: str
    size: tuple[int, int]
    channels: int
    channels_last: bool
    dtype: np.dtype


def reader(inputs: Sequence[Value], preprocessing: Preprocessing) -> Callable[[Path], dict[str, np.ndarray]]:
    """A function from a picture's file to a sample. InputError where the model takes no pictures."""
    try:
        import PIL.Image  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("pictures need Pillow", hint="pip install 'edgeort[images]'") from error
    form = form_of(inputs, preprocessing)
    for name, values in (("mean", preprocessing.mean), ("std", preprocessing.std)):
        if len(values) not in (1, form.channels) and form.channels != 1:
            raise InputError(f"{name} has {len(values)} numbers, and the pictures have {form.channels} channels")
    return lambda path: {form.name: read(path, form, preprocessing)}


def form_of(inputs: Sequence[Value], preprocessing: Preprocessing) -> Form:
    """Layout and size from the model's only input, of rank 4: the axis of 1 or 3 entries is the channels."""
    shape = inputs[0].shape if len(inputs) == 1 else None
    if shape is None or len(shape) != 4 or not (shape[1] in (1, 3) or shape[3] in (1, 3)):
        raise InputError(
            f"the model takes no pictures; its inputs are {listed(inputs)}", hint="give arrays: --data x.npz"
        )
    last = shape[1] not in (1, 3)
    height, width = (shape[1], shape[2]) if last else (shape[2], shape[3])
    channels = shape[3] if last else shape[1]
    size = preprocessing.size or ((height, width) if isinstance(height, int) and isinstance(width, int) else None)
    if size is None:
        raise InputError(f"the size of the pictures is free: {inputs[0].text()}", hint="--size 224x224")
    assert isinstance(channels, int)
    return Form(inputs[0].name, size, channels, last, inputs[0].array_dtype)


def read(path: Path, form: Form, how: Preprocessing) -> np.ndarray:
    """The picture as the model's input, batch of one. InputError names the file that cannot be read."""
    from PIL import Image

    try:
        with Image.open(path) as file:
            picture = file.convert("RGB" if form.channels == 3 else "L")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} is not a picture that Pillow can read: {error}") from error
    pixels = np.asarray(resized(picture, form.size, how), np.float32).reshape(*form.size, form.channels)
    if how.color == "bgr":
        pixels = pixels[..., ::-1]
    if form.dtype.kind == "f":
        mean, std = (_per_channel(values, form.channels) for values in (how.mean, how.std))
        pixels = (pixels * np.float32(how.scale) - mean) / std
    batch = (pixels if form.channels_last else pixels.transpose(2, 0, 1))[np.newaxis]
    return np.ascontiguousarray(batch, form.dtype)


def placement(picture: tuple[int, int], size: tuple[int, int], how: Preprocessing) -> Placement:
    """Of a picture of one size (height, width) in an input of another."""
    (h, w), (height, width) = picture, size
    if how.crop == "none":
        return Placement(size, (width / w, height / h), 0, 0)
    pick = min if how.crop == "pad" else max
    wanted = () if how.crop == "pad" else (how.resized_side(size) / min(picture),)
    scale = pick(*wanted, width / w, height / h)
    new = round(h * scale), round(w * scale)
    return Placement(new, (new[1] / w, new[0] / h), (new[1] - width) // 2, (new[0] - height) // 2)


def resized(picture: Image, size: tuple[int, int], how: Preprocessing) -> Image:
    """The picture in the size (height, width)."""
    from PIL import Image

    resample: Any = Image.Resampling[how.interpolation.upper()]
    height, width = size
    place = placement((picture.height, picture.width), size, how)
    picture = picture.resize((place.size[1], place.size[0]), resample)
    if how.crop == "pad":
        padded = Image.new(picture.mode, (width, height), (GREY,) * len(picture.getbands()))
        padded.paste(picture, (-place.left, -place.top))
        return padded
    return picture.crop((place.left, place.top, place.left + width, place.top + height))


def _per_channel(values: Sequence[float], channels: int) -> np.ndarray:
    """One number a channel; the mean of three where the picture is grey."""
    array = np.asarray(values, np.float32)
    return array.mean(keepdims=True) if channels == 1 else array


def _few(values: Sequence[float]) -> str:
    return ",".join(f"{value:g}" for value in values)
