"""What stands in front of a model: a recipe bound to one of its inputs, and whether the model's graph has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from edgeort.errors import BundleError
from edgeort.recipes import reference
from edgeort.recipes.form import Form, form_of
from edgeort.recipes.picture import Placement, Recipe
from edgeort.recipes.picture_steps import PRESETS, parse
from edgeort.values import Value


@dataclass(frozen=True)
class Front:
    """`recipe` makes the input of `form` from a picture. `built_in`: the bundle takes the picture itself."""

    recipe: Recipe
    form: Form
    built_in: bool = False

    @cached_property
    def picture(self) -> Value:
        """The input as it is with the recipe in the graph."""
        sides: tuple[int | str, int | str] = f"{self.form.name}_height", f"{self.form.name}_width"
        if self.recipe.resize is None and self.recipe.crop is None and self.form.size is not None:
            sides = self.form.size  # nothing brings other pictures to the model's size
        return Value(self.form.name, "uint8", (*sides, self.recipe.channels))

    def inputs(self, values: Sequence[Value]) -> tuple[Value, ...]:
        """The model's inputs with the picture in its place."""
        return tuple(self.picture if value.name == self.form.name else value for value in values)

    def prepared(self, sample: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """A sample with a picture as the model takes it."""
        name = self.form.name
        return {**sample, name: reference.tensor(np.asarray(sample[name]), self.recipe, self.form)}

    def read(self, path: Path) -> dict[str, np.ndarray]:
        """The picture in a file, by the input's name. InputError where it cannot be read."""
        return {self.form.name: reference.read_pixels(path, self.recipe)}

    def placement(self, picture: tuple[int, int]) -> Placement:
        """Where the pixels of a picture of that size (height, width) are in the input."""
        return self.recipe.placement(picture)

    def text(self) -> str:
        """The canonical recipe."""
        return self.recipe.text()

    def to_dict(self) -> dict[str, Any]:
        """What a manifest says."""
        return {"recipe": self.text(), "built_in": self.built_in, "input": self.form.value.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Front:
        """The inverse of `to_dict`. BundleError for what is none."""
        try:
            value = Value.from_dict(data["input"])
            return bind(parse(data["recipe"]), [value], built_in=bool(data["built_in"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BundleError("the manifest's recipe is incomplete", hint="build the bundle again") from error


def bind(recipe: Recipe | None, inputs: Sequence[Value], *, built_in: bool = False) -> Front:
    """The recipe, by default the usual one, for the input that takes pictures. InputError where it does not fit."""
    form = form_of(inputs, None if recipe is None else recipe.input)
    found = (recipe or _usual(form)).bound(form)
    reference.table(found, form)  # says what does not fit
    return Front(found, form, built_in)


def _usual(form: Form) -> Recipe:
    """How classifiers are tested; integers are the pixels themselves."""
    usual = parse(PRESETS["imagenet"])
    return usual if form.dtype.kind == "f" else replace(usual, scale=None, mean=(0.0,), std=(1.0,))
