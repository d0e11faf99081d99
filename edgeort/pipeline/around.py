"""What a bundle has around its model: what makes the model's input in front, what makes answers of outputs behind."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from edgeort.compiling import signature
from edgeort.pipeline.behind import Behind
from edgeort.pipeline.walk import Walk
from edgeort.recipes.front import Front, bind
from edgeort.recipes.hearing import Hearing, hear
from edgeort.recipes.picture import Recipe
from edgeort.recipes.postprocessing import Postprocessing
from edgeort.recipes.sound import Sound


@dataclass(frozen=True)
class Around:
    """The recipes of a build. At most one of `front`, of pictures, and `hearing`, of sound; `recipe` is behind."""

    front: Front | None
    hearing: Hearing | None
    recipe: Postprocessing | None

    @classmethod
    def bound(cls, graph: ir.Model, preprocess: Recipe | Sound | None, recipe: Postprocessing | None) -> Around:
        """The recipes bound to the model's inputs. InputError where they do not fit."""
        inputs = signature(graph)[0]
        front = bind(preprocess, inputs, built_in=True) if isinstance(preprocess, Recipe) else None
        hearing = hear(preprocess, inputs) if isinstance(preprocess, Sound) else None
        return cls(front, hearing, recipe)

    @property
    def maker(self) -> Front | Hearing | None:
        """What makes the model's input; None: the bundle takes tensors."""
        return self.front or self.hearing

    @property
    def text(self) -> str:
        """The canonical recipe of the input; "" where there is none."""
        return "" if self.maker is None else self.maker.text()

    def attach(self, graph: ir.Model, walk: Walk) -> Behind | None:
        """Puts the nodes of sound and of the recipe behind into the graph, in place. InputError where these do not fit.

        Pictures have no nodes: the runtime makes the input of them.
        """
        if self.hearing is not None:
            self.hearing.attach(graph)
            walk.keep("preprocess", graph)
        return None if self.recipe is None else Behind.attached_to(self.recipe, graph, self.front, walk)
