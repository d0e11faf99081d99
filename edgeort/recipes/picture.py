"""Recipes for pictures, and what they mean for one model's input. Their steps and presets are those of `picture_steps`.

    from=rgba; resize short=256 bicubic; crop 224; rgb; scale=1/255; mean=0.485,0.456,0.406; std=0.229,0.224,0.225

A picture is uint8 [height, width, channels]. It is resized, then cropped; its channels are brought into the model's
order, and

    x = (pixel * scale - mean) / std            pixel 0..255; one mean and std, or one a channel of the model

becomes the model's element type and layout. What is done to the size happens in that order, wherever its steps stand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from edgeort.errors import InputError
from edgeort.recipes.form import Form

FLAG = "--preprocess"
METHODS = ("nearest", "bilinear", "bicubic", "area", "box")
ANTIALIASED = ("bilinear", "bicubic", "box")  # with weights as wide as what a pixel covers
SOURCES = {"rgb": 3, "bgr": 3, "rgba": 4, "bgra": 4, "gray": 1}  # what a picture's channels may be, and how many
COLORS = ("rgb", "bgr", "gray")
GRAY = 114  # of the borders beside a picture, as detectors of the YOLO family are trained
SHARE = 0.875  # of the short side that the middle square takes, as most classifiers are tested: 224 of 256
MOST = 1 << 16  # pixels that a side of a step's result may have

Size = tuple[int, int]


@dataclass(frozen=True)
class Resize:
    """How large a picture becomes; `fit` says which.

    short      its short side is size[0]
    cover      the least size that has both sides of `size`, with the sides' proportion kept
    share      a `crop` takes this share of it: short, or cover where the crop is no square
    stretch    `size`
    letterbox  the greatest size within `size`, and borders of the colour `fill` around it

    A `size` of None is the model's. `antialias`: weights over all that a pixel covers, as Pillow; else as OpenCV.
    """

    fit: str
    size: Size | None = None
    method: str = "bilinear"
    antialias: bool = True
    share: float = SHARE
    fill: int = GRAY


@dataclass(frozen=True)
class Crop:
    """The middle of the picture, of `size` (None: the model's); `fill` where it ends before."""

    size: Size | None = None
    fill: int = 0


@dataclass(frozen=True)
class Placement:
    """Where a picture's pixels are in a model's input: at `scale * x - left`, `scale * y - top`.

    `size` is the picture's, (height, width), after its resizing.
    """

    size: Size
    scale: tuple[float, float]
    left: int
    top: int


@dataclass(frozen=True)
class Recipe:
    """The steps. `scale` None is 1/255, of integers 1; `input` None is the only input that takes pictures."""

    source: str = "rgb"
    resize: Resize | None = None
    crop: Crop | None = None
    color: str = "rgb"
    scale: float | None = None
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    input: str | None = None

    @property
    def channels(self) -> int:
        """Of pictures."""
        return SOURCES[self.source]

    @property
    def multiplier(self) -> float:
        """`scale`, or the usual one."""
        return 1 / 255 if self.scale is None else self.scale

    def text(self) -> str:
        """The canonical text; `picture_steps.parse` gives the same recipe."""
        steps = [] if self.input is None else [f"input={self.input}"]
        steps += [f"from={self.source}", *resize_text(self.resize)]
        if self.crop is not None:
            steps.append("crop" + _size_text(self.crop.size) + (f" fill={self.crop.fill}" if self.crop.fill else ""))
        steps.append(self.color)
        if self.scale is not None:
            steps.append(f"scale={_number_text(self.scale)}")
        steps += [f"{name}={','.join(map(_number_text, values))}" for name, values in self._normal()]
        return "; ".join(steps)

    def _normal(self) -> list[tuple[str, tuple[float, ...]]]:
        both = [("mean", self.mean, (0.0,)), ("std", self.std, (1.0,))]
        return [(name, values) for name, values, usual in both if values != usual]

    def bound(self, form: Form) -> Recipe:
        """The recipe with every size and number that the model's input decides. InputError where they do not fit."""
        size = self._target(form)
        resize, crop = self.resize, self.crop
        if resize is not None and resize.fit == "share":
            resize = _shared(resize, (crop or Crop()).size or size)
        elif resize is not None and resize.size is None:
            resize = replace(resize, size=size)
        if crop is not None:
            crop = replace(crop, size=crop.size or size)
        mean, std = (_per_channel(name, getattr(self, name), form) for name in ("mean", "std"))
        is_scaled = self.scale is not None or form.dtype.kind == "f"
        color = self.color if form.channels == 3 else "gray"
        scale = self.multiplier if is_scaled else 1.0
        name = form.name if len(form.name.split()) == 1 and ";" not in form.name else None  # as recipes can have it
        return replace(self, resize=resize, crop=crop, color=color, scale=scale, mean=mean, std=std, input=name)

    def _target(self, form: Form) -> Size | None:
        """The size of the result; None: it is the picture's, or depends on it."""
        last = self.crop or (self.resize if self.resize and self.resize.fit in ("stretch", "letterbox") else None)
        size = form.size if last is None else last.size or form.size
        if size is not None and form.size is not None and size != form.size:
            raise InputError(
                f"{FLAG}: the steps give pictures of {_size_text(size)[1:]}, and {form.name!r} is {form.value.text()}",
                hint=f'"{"letterbox" if isinstance(last, Resize) else "crop"}" without a size is the model\'s',
            )
        if last is not None and size is None:
            word = last.fit.replace("stretch", "resize") if isinstance(last, Resize) else ""
            raise InputError(
                f"the size of the pictures is free: {form.value.text()}",
                hint=f'{FLAG} "...; {word} 320x320"' if word else f'{FLAG} "imagenet; crop 224x224"',
            )
        if last is None and form.size is not None and self.resize is not None:
            raise InputError(
                f"{FLAG}: what {resize_text(self.resize)[0]!r} gives depends on the picture, and {form.name!r} is "
                f"{form.value.text()}",
                hint=f'{FLAG} "...; crop" takes the middle',
            )
        return size

    def resized(self, picture: Size) -> Size:
        """The size (height, width) after a bound recipe's resizing of a picture of that size."""
        resize = self.resize
        if resize is None or resize.size is None:
            return picture
        return FITS[resize.fit](picture, resize.size)

    def window(self, resized: Size) -> tuple[int, int, int, int]:
        """What is taken of the resized picture: top, left, height, width. What lies outside of it is filled."""
        resize = self.resize
        if resize is not None and resize.fit == "letterbox" and resize.size is not None:
            (top, height), (left, width) = ((-((s - n) // 2), s) for n, s in zip(resized, resize.size, strict=True))
        elif self.crop is not None and self.crop.size is not None:
            (top, height), (left, width) = ((_middle(n, s), s) for n, s in zip(resized, self.crop.size, strict=True))
        else:
            return 0, 0, *resized
        return top, left, height, width

    def placement(self, picture: Size) -> Placement:
        """Where the pixels of a picture of that size are in the input, after a bound recipe."""
        size = self.resized(picture)
        top, left, *_ = self.window(size)
        return Placement(size, (size[1] / picture[1], size[0] / picture[0]), left, top)

    @property
    def fill(self) -> int:
        """The colour of what lies outside of the picture."""
        if self.resize is not None and self.resize.fit == "letterbox":
            return self.resize.fill
        return 0 if self.crop is None else self.crop.fill


def _short(picture: Size, size: Size) -> Size:
    """As torchvision: the long side is rounded down."""
    (h, w), short = picture, size[0]
    return (short, max(short * w // h, 1)) if h <= w else (max(short * h // w, 1), short)


def _cover(picture: Size, size: Size) -> Size:
    (h, w), (height, width) = picture, size
    scale = max(height / h, width / w)
    return max(round(h * scale), height), max(round(w * scale), width)


def _within(picture: Size, size: Size) -> Size:
    (h, w), (height, width) = picture, size
    scale = min(height / h, width / w)
    return min(max(round(h * scale), 1), height), min(max(round(w * scale), 1), width)


# How large a picture becomes. The order is that of the enumeration in runtime/kernels/image/geometry.h.
FITS: Mapping[str, Callable[[Size, Size], Size]] = {
    "short": _short,
    "cover": _cover,
    "stretch": lambda picture, size: size,
    "letterbox": _within,
}


def _middle(side: int, wanted: int) -> int:
    """Where the middle begins, as torchvision: halves are rounded to even; a short side gets more behind it."""
    return round((side - wanted) / 2) if side >= wanted else -((wanted - side) // 2)


def _shared(resize: Resize, crop: Size | None) -> Resize:
    """A `share` as short or cover."""
    if crop is None:
        raise InputError(f"{FLAG}: a share is of a crop, and there is none", hint=f'{FLAG} "resize share=0.875; crop"')
    size = round(crop[0] / resize.share), round(crop[1] / resize.share)
    return replace(resize, fit="short" if size[0] == size[1] else "cover", size=size, share=SHARE)


def _per_channel(name: str, values: tuple[float, ...], form: Form) -> tuple[float, ...]:
    """One number a channel of the model, or one for all; the mean of three where the model sees grey."""
    if form.channels == 1 and len(values) == 3:
        return (sum(values) / 3,)
    if len(values) not in (1, form.channels):
        raise InputError(f"{FLAG}: {name} has {len(values)} numbers, and the pictures have {form.channels} channels")
    return values


def _size_text(size: Size | None) -> str:
    return "" if size is None else f" {size[0]}x{size[1]}"


def _number_text(value: float) -> str:
    return "1/255" if value == 1 / 255 else f"{value!r}".removesuffix(".0")


def resize_text(resize: Resize | None) -> list[str]:
    """The step, if there is one."""
    if resize is None:
        return []
    size = {
        "short": f" short={resize.size[0]}" if resize.size else "",
        "cover": f" cover={_size_text(resize.size)[1:]}",
        "share": f" share={_number_text(resize.share)}",
    }.get(resize.fit, _size_text(resize.size))
    name = "letterbox" if resize.fit == "letterbox" else "resize"
    sharp = "" if resize.antialias or resize.method not in ANTIALIASED else " antialias=no"
    fill = f" fill={resize.fill}" if resize.fit == "letterbox" else ""
    return [f"{name}{size} {resize.method}{sharp}{fill}"]
