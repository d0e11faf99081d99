"""The steps that a recipe for pictures may have, and the presets.

Sizes that a step leaves out are the model's: `crop` is `crop 224` for a model that reads 224x224.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from edgeort.errors import InputError
from edgeort.recipes.grammar import Arguments, Kind, read
from edgeort.recipes.picture import (
    ANTIALIASED,
    COLORS,
    FLAG,
    GRAY,
    METHODS,
    MOST,
    SHARE,
    SOURCES,
    Crop,
    Recipe,
    Resize,
    Size,
)


def _read_resize(a: Arguments) -> dict[str, Any]:
    kind = _read_method(a)
    given = [key for key in ("short", "cover", "share") if a.has(key)]
    if len(given) > 1 or (given and a.has()):
        a.fail("it has one size")
    fit, size = (given[0] if given else "stretch"), None
    if fit == "short":
        size = (a.integer("short", most=MOST),) * 2
    elif fit == "cover":
        size = a.size("cover")
    elif fit == "stretch" and a.has():
        size = a.size(square=False)  # in other tools one number is the short side
    share = a.number("share", SHARE)
    if not 0 < share <= 1:
        a.fail(f"a share is above 0, and 1 at most, not {share:g}")
    a.end()
    return {"resize": Resize(fit, _checked(a, size), share=share, **kind)}


def _read_letterbox(a: Arguments) -> dict[str, Any]:
    kind, fill = _read_method(a), a.integer("fill", GRAY, least=0, most=255)
    size = a.size() if a.has() else None
    a.end()
    return {"resize": Resize("letterbox", _checked(a, size), fill=fill, **kind)}


def _read_method(a: Arguments) -> dict[str, Any]:
    method = a.choice(METHODS, "bilinear")
    if a.has("antialias") and method not in ("bilinear", "bicubic"):
        a.fail(f"antialias is a choice for bilinear and bicubic; {method} is what it is")
    return {"method": method, "antialias": a.flag("antialias", method in ANTIALIASED)}


def _read_crop(a: Arguments) -> dict[str, Any]:
    fill = a.integer("fill", 0, least=0, most=255)
    size = a.size() if a.has() else None
    a.end()
    return {"crop": Crop(_checked(a, size), fill)}


def _checked(a: Arguments, size: Size | None) -> Size | None:
    if size is not None and max(size) > MOST:
        a.fail(f"a side has {MOST} pixels at most")
    return size


def _read_word(field: str, among: tuple[str, ...]) -> Callable[[Arguments], dict[str, Any]]:
    def reader(a: Arguments) -> dict[str, Any]:
        found = {field: a.choice(among)}
        a.end()
        return found

    return reader


def _read_color(a: Arguments) -> dict[str, Any]:
    a.end()
    return {"color": a.step.name}


def _read_scale(a: Arguments) -> dict[str, Any]:
    scale = a.number()
    a.end()
    return {"scale": scale}


def _read_numbers(a: Arguments) -> dict[str, Any]:
    values = a.numbers()
    a.end()
    if a.step.name == "std":
        a.divisor(values)
    return {a.step.name: values}


def _read_input(a: Arguments) -> dict[str, Any]:
    name = a.text()
    a.end()
    return {"input": name}


_COLOR = Kind(_read_color, "rgb, bgr or gray: what the model reads", "colour")
_RESIZE = (
    "resize short=256 bicubic; resize 224x224; resize share=0.875; resize cover=256x320; METHOD is one of "
    f"{', '.join(METHODS)}; antialias=no is OpenCV's arithmetic"
)
KINDS: Mapping[str, Kind[dict[str, Any]]] = {
    "input": Kind(_read_input, "input=NAME, where the model has several", "input"),
    "from": Kind(_read_word("source", tuple(SOURCES)), f"from={', '.join(SOURCES)}: a picture's channels", "source"),
    "resize": Kind(_read_resize, _RESIZE, "resizing"),
    "letterbox": Kind(_read_letterbox, "letterbox 640x640 bilinear antialias=no fill=114", "resizing"),
    "crop": Kind(_read_crop, "crop 224, crop 224x320 fill=0, or crop: the model's size", "crop"),
    **dict.fromkeys(COLORS, _COLOR),
    "scale": Kind(_read_scale, "scale=1/255, of pixels", "scale"),
    "mean": Kind(_read_numbers, "mean=0.485,0.456,0.406", "mean"),
    "std": Kind(_read_numbers, "std=0.229,0.224,0.225", "std"),
}

_TORCHVISION = "mean=0.485,0.456,0.406; std=0.229,0.224,0.225"
# How families of networks were tested. Where sizes are left out they are the model's.
PRESETS: Mapping[str, str] = {
    "imagenet": f"resize share=0.875 bilinear; crop; rgb; scale=1/255; {_TORCHVISION}",
    "imagenet-bicubic": f"resize share=0.875 bicubic; crop; rgb; scale=1/255; {_TORCHVISION}",
    "efficientnet-lite": "resize share=0.875 bicubic; crop; rgb; scale=1; mean=127; std=128",
    "inception": "resize share=0.875 bilinear; crop; rgb; scale=1/127.5; mean=1",
    "caffe": "resize share=0.875 bilinear; crop; bgr; scale=1; mean=103.939,116.779,123.68",
    "clip": "resize share=1 bicubic; crop; rgb; scale=1/255; mean=0.48145466,0.4578275,0.40821073; "
    "std=0.26862954,0.26130258,0.27577711",
    "yolo": "letterbox bilinear antialias=no fill=114; rgb; scale=1/255",
    "unit": "resize bilinear; rgb; scale=1/255",
    "bytes": "resize bilinear; rgb; scale=1",
}


def parse(text: str, recipe: str = FLAG) -> Recipe:
    """The recipe that a text describes. InputError names the step that is wrong."""
    made: dict[str, Any] = {}
    for fields in read(text, KINDS, PRESETS, recipe):
        made |= fields
    found = Recipe(**made)
    if found.resize is not None and found.resize.fit == "letterbox" and found.crop is not None:
        if found.crop.size is not None:
            raise InputError(
                f"{recipe}: a letterbox has the size that it is given, and a crop would cut it",
                hint="leave out crop, or use resize cover=HxW; crop",
            )
        found = replace(found, crop=None)
    return found
