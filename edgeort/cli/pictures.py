"""The flags that say how pictures become inputs, shared by the commands that read samples."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeort.errors import InputError

if TYPE_CHECKING:
    from edgeort.bundle import Manifest
    from edgeort.quantize import Preprocessing

PANEL = "Pictures"


def _flag(name: str, text: str, kind: type = str, **more: Any) -> Any:
    return Annotated[kind | None, typer.Option(f"--{name}", help=text, rich_help_panel=PANEL, **more)]


# The attribute of Preprocessing -> its flag. One that is not given has its default, or what the bundle was built with.
FLAGS: Mapping[str, Any] = {
    "size": _flag("size", "Size, where the model's is free.", metavar="HxW"),
    "short_side": _flag("short-side", "Short side before the crop (8/7 of the size).", int, min=1),
    "crop": _flag("crop", "center (the default), none: squeeze, or pad: grey borders."),
    "interpolation": _flag("interpolation", "bilinear (the default) or bicubic."),
    "scale": _flag("scale", "Of pixels, before mean and std: a number or 1/255 (the default)."),
    "mean": _flag("mean", "One number, or one a channel (0.485,0.456,0.406)."),
    "std": _flag("std", "Likewise (0.229,0.224,0.225)."),
    "color": _flag("color", "rgb (the default) or bgr."),
}
_CHOICES = {"crop": ("center", "none", "pad"), "interpolation": ("bilinear", "bicubic"), "color": ("rgb", "bgr")}


@dataclass(frozen=True)
class Pictures:
    """The flags as they were given; None is not given."""

    given: Mapping[str, Any]

    @property
    def are_given(self) -> bool:
        """Whether any is."""
        return any(value is not None for value in self.given.values())

    def preprocessing(self, base: Preprocessing | None = None) -> Preprocessing:
        """`base`, by default the usual one, with the flags that were given. InputError names a flag that is wrong."""
        from edgeort.quantize import Preprocessing

        read = {name: _read(name, value) for name, value in self.given.items() if value is not None}
        return replace(base or Preprocessing(), **read)

    def of_bundle(self, manifest: Manifest) -> Preprocessing | None:
        """What the bundle was built with (None: with no pictures), with the flags that were given."""
        from edgeort.validate.assessment import built_preprocessing

        built = built_preprocessing(manifest)
        return self.preprocessing(built) if self.are_given else built


NO_PICTURES = Pictures({})


def takes_pictures(function: Callable[..., None]) -> Callable[..., None]:
    """A command with the parameter `pictures: Pictures` becomes one with all flags in its place."""
    signature = inspect.signature(function, eval_str=True)
    parameters = []
    for parameter in signature.parameters.values():
        if parameter.name == "pictures":
            parameters += [parameter.replace(name=name, annotation=flag, default=None) for name, flag in FLAGS.items()]
        else:
            parameters.append(parameter)

    @functools.wraps(function)
    def wrapped(**arguments: Any) -> None:
        given = {name: arguments.pop(name, None) for name in FLAGS}
        function(**arguments, pictures=Pictures(given))

    wrapped.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return wrapped


def _read(name: str, value: Any) -> Any:
    """A flag's value as Preprocessing has it."""
    flag = f"--{name.replace('_', '-')}"
    if name in _CHOICES:
        if value not in _CHOICES[name]:
            raise InputError(f"{flag} {value}: unknown", hint=f"{flag} is one of {', '.join(_CHOICES[name])}")
        return value
    if name == "size":
        dims = [int(part) for part in value.split("x") if part.isdigit()]
        if len(dims) != 2 or min(dims) < 1:
            raise InputError(f"{flag} {value}: this is not HxW", hint=f"{flag} 224x224")
        return dims[0], dims[1]
    if name == "short_side":
        return value
    numbers = _numbers(flag, value)
    return numbers[0] if name == "scale" else numbers


def _numbers(flag: str, text: str) -> tuple[float, ...]:
    """`0.5`, `1/255` or `123.7,116.3,103.5`."""
    found = []
    for part in text.split(","):
        above, slash, below = part.partition("/")
        try:
            found.append(float(above) / (float(below) if slash else 1.0))
        except (ValueError, ZeroDivisionError):
            raise InputError(f"{flag} {text}: this is no number", hint=f"{flag} 0.5, 1/255 or 1,2,3") from None
    return tuple(found)
