"""The language of recipes: steps between semicolons, each a name, words and `key=value`.

    resize short=256 bicubic; crop 224; rgb; mean=0.485,0.456,0.406; std=0.229,0.224,0.225

`mean=X` is `mean X`: a step with one argument may be written as an assignment. Names, keys and words are of any case.
A recipe may begin with the name of a preset, which stands for its steps; a step behind it takes the place of that step
of the preset which has the same purpose (`Kind.slot`), or else is added.

`parse` knows no steps. Those of a recipe are a literal table of `Kind`s, with which `read` makes a step's arguments
into whatever the table's owner computes with. Everything raises InputError, which names the step and shows how it is
written.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, NoReturn, TypeVar

import numpy as np

from edgeort.errors import InputError

T = TypeVar("T")

_NAME = re.compile(r"[a-z][a-z0-9_-]*")  # of a step or of an argument
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_LARGEST = 3.4e38  # numbers are of float32 in the end


@dataclass(frozen=True)
class Step:
    """One step as it is written: `words` are the arguments without a name. `place` counts from 1, for errors."""

    name: str
    words: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    assigned: bool = field(default=False, compare=False)
    place: int = field(default=0, compare=False)

    def text(self) -> str:
        """As `parse` reads it, with one space between arguments."""
        if self.assigned:
            return f"{self.name}={self.words[0]}"
        return " ".join([self.name, *self.words, *(f"{key}={value}" for key, value in self.options)])


@dataclass(frozen=True)
class Kind(Generic[T]):
    """A step that a recipe may have: what reads its arguments, and how it is written, an example at least.

    Steps of the same `slot` exclude each other: the one behind a preset replaces that of the preset.
    """

    read: Callable[[Arguments], T]
    usage: str
    slot: str


def parse(text: str, recipe: str = "recipe") -> tuple[Step, ...]:
    """The steps of a text; `recipe` is what errors call it, such as the flag that it was given with."""
    pieces = text.replace("\n", ";").split(";")
    written = [piece.split() for piece in pieces if piece.strip()]
    if not written:
        raise InputError(f"{recipe}: there is no step in it", hint=f'{recipe} "STEP ARGUMENTS; STEP ..."')
    return tuple(_step(tokens, place, recipe) for place, tokens in enumerate(written, 1))


def _step(tokens: list[str], place: int, recipe: str) -> Step:
    where = f"{recipe}: step {place}, {' '.join(tokens)!r}"
    name, assigned, value = tokens[0].partition("=")
    if not _NAME.fullmatch(name.lower()):
        raise InputError(f"{where}: {name!r} is no name of a step", hint="a step is NAME WORD ... KEY=VALUE ...")
    if assigned and (len(tokens) > 1 or not value):
        raise InputError(f"{where}: an assignment has one value", hint=f"{name}=VALUE, without spaces")
    if assigned:
        return Step(name.lower(), (value,), assigned=True, place=place)
    words, options = [], {}
    for token in tokens[1:]:
        key, equals, value = token.partition("=")
        if not equals:
            words.append(token)
        elif not value or not _NAME.fullmatch(key.lower()) or key.lower() in options:
            fault = "is given twice" if key.lower() in options else "is not KEY=VALUE"
            raise InputError(f"{where}: {token!r} {fault}", hint="a step is NAME WORD ... KEY=VALUE ...")
        else:
            options[key.lower()] = value
    return Step(name.lower(), tuple(words), tuple(options.items()), place=place)


def text_of(steps: Sequence[Step]) -> str:
    """The recipe of the steps."""
    return "; ".join(step.text() for step in steps)


def read(
    text: str, kinds: Mapping[str, Kind[T]], presets: Mapping[str, str] | None = None, recipe: str = "recipe"
) -> tuple[T, ...]:
    """What the recipe's steps are, in their order."""
    steps = expanded(parse(text, recipe), kinds, presets or {}, recipe)
    return tuple(kinds[step.name].read(Arguments(step, kinds[step.name].usage, recipe)) for step in steps)


def expanded(
    steps: Sequence[Step], kinds: Mapping[str, Kind[T]], presets: Mapping[str, str], recipe: str = "recipe"
) -> tuple[Step, ...]:
    """The steps with a preset's in place of its name; each is of a kind, and the only one of those that exclude it."""
    first, rest = steps[0], list(steps)
    made: list[Step] = []
    if first.name in presets:
        if first.words or first.options:
            raise InputError(
                f"{recipe}: step 1, {first.text()!r}: the preset {first.name} takes no arguments",
                hint=f'"{first.name}; STEP" changes a step of it',
            )
        made, rest = list(parse(presets[first.name], f"preset {first.name}")), rest[1:]
    theirs = len(made)
    for step in rest:
        if step.name not in kinds:
            raise _unknown(step, kinds, presets, recipe)
        slot = kinds[step.name].slot
        same = [index for index, other in enumerate(made) if kinds[other.name].slot == slot]
        if not same:
            made.append(step)
        elif same[0] < theirs and made[same[0]].place != -1:
            made[same[0]] = Step(step.name, step.words, step.options, step.assigned, -1)
        else:
            raise InputError(
                f"{recipe}: step {step.place}, {step.text()!r}: there is {made[same[0]].text()!r} already",
                hint=f"leave one of them out; one recipe has one step for {slot}",
            )
    return tuple(made)


def _unknown(step: Step, kinds: Mapping[str, Kind[T]], presets: Mapping[str, str], recipe: str) -> InputError:
    known = [*kinds, *(presets if step.place == 1 else ())]
    near = difflib.get_close_matches(step.name, known, 1)
    told = f"; {near[0]!r} is near" if near else ""
    names = ", ".join(known)
    return InputError(f"{recipe}: step {step.place}, {step.text()!r}: unknown{told}", hint=f"one of {names}")


class Arguments:
    """The arguments of one step, each of which is taken once; `end` refuses what nobody took.

    A `key` is the name of a `key=value`, or None for the next word. A default of None makes the argument needed.
    """

    def __init__(self, step: Step, usage: str, recipe: str = "recipe") -> None:
        self.step, self._usage, self._recipe = step, usage, recipe
        self._words, self._options = list(step.words), dict(step.options)

    def fail(self, reason: str) -> NoReturn:
        """Raises the error for this step; the hint is how it is written."""
        place = f"step {self.step.place}, " if self.step.place > 0 else ""
        raise InputError(f"{self._recipe}: {place}{self.step.text()!r}: {reason}", hint=self._usage)

    def has(self, key: str | None = None) -> bool:
        """Whether such an argument is still there."""
        return bool(self._words) if key is None else key in self._options

    def text(self, key: str | None = None, default: str | None = None) -> str:
        """The argument as it is written."""
        if self.has(key):
            return self._words.pop(0) if key is None else self._options.pop(key)
        if default is None:
            self.fail(f"{key}= is missing" if key else "an argument is missing")
        return default

    def choice(self, among: Sequence[str], default: str | None = None) -> str:
        """The first of the words that is one of a few, wherever it stands."""
        found = [word for word in self._words if word.lower() in among]
        if len(found) > 1:
            self.fail(f"{found[0]} and {found[1]} exclude each other")
        if not found and default is None:
            self.fail(f"one of {', '.join(among)} is missing")
        if not found:
            return str(default)
        self._words.remove(found[0])
        return found[0].lower()

    def flag(self, key: str, default: bool) -> bool:
        """`key=yes` or `key=no`."""
        value = self.text(key, "yes" if default else "no").lower()
        if value not in ("yes", "no"):
            self.fail(f"{key} is yes or no, not {value}")
        return value == "yes"

    def integer(
        self, key: str | None = None, default: int | None = None, *, least: int = 1, most: int = 1 << 20
    ) -> int:
        """A whole number within limits."""
        text = self.text(key, None if default is None else str(default))
        if not _WHOLE.fullmatch(text) or not least <= int(text) <= most:
            self.fail(f"{text!r} is no whole number of {least} to {most}")
        return int(text)

    def number(self, key: str | None = None, default: float | None = None) -> float:
        """`0.5`, or `1/255`."""
        return self._number(self.text(key, None if default is None else repr(default)))

    def numbers(self, key: str | None = None, default: Sequence[float] | None = None) -> tuple[float, ...]:
        """Numbers with commas between."""
        if not self.has(key) and default is not None:
            return tuple(default)
        return tuple(map(self._number, self.text(key).split(",")))

    def size(self, key: str | None = None, *, square: bool = True) -> tuple[int, int]:
        """`HxW` in pixels, or where it may be `square` one number for both: (height, width)."""
        text = self.text(key)
        sides = text.lower().split("x")
        is_count = len(sides) == 2 or (square and len(sides) == 1)
        if not is_count or not all(_WHOLE.fullmatch(side) and 1 <= int(side) <= 1 << 20 for side in sides):
            self.fail(f"{text!r} is no size: HEIGHTxWIDTH in pixels")
        return int(sides[0]), int(sides[-1])

    def end(self) -> None:
        """InputError for arguments that the step does not know."""
        left = [*self._words, *(f"{key}={value}" for key, value in self._options.items())]
        if left:
            self.fail(f"it takes no {left[0]}")

    def divisor(self, values: Sequence[float]) -> None:
        """InputError where one of the values is 0 in float32."""
        if any(np.float32(value) == 0 for value in values):
            self.fail("a standard deviation is not 0")

    def _number(self, text: str) -> float:
        above, slash, below = text.partition("/")
        try:
            value = float(above) / (float(below) if slash else 1.0)
        except (ValueError, ZeroDivisionError):
            self.fail(f"{text!r} is no number")
        if not abs(value) <= _LARGEST:
            self.fail(f"{text!r} is no number")
        return value
