"""Post-processing on the way of a build: put behind the model, and checked.

The model's own outputs are compared with ONNX Runtime's, within a tolerance. What post-processing makes of them is
compared with what ONNX Runtime makes of those very outputs: labels and boxes must be the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from edgeort.bundle import Manifest
from edgeort.comparison import Comparison, accept, compare_all
from edgeort.compiling import signature
from edgeort.errors import InputError
from edgeort.pipeline.walk import Walk
from edgeort.recipes.form import form_of
from edgeort.recipes.front import Front
from edgeort.recipes.postprocessing import Attached, Postprocessing, attach
from edgeort.recipes.sight import PictureSight
from edgeort.recipes.tail import PICTURE, Before
from edgeort.recipes.written import FOLDER, Written
from edgeort.validate import reference_outputs
from edgeort.validate.artefacts import channels_first, named


@dataclass(frozen=True)
class Behind:
    """What stands behind the model of a build."""

    recipe: Written
    attached: Attached
    front: Front | None

    @classmethod
    def attached_to(cls, recipe: Postprocessing, model: ir.Model, front: Front | None, walk: Walk) -> Behind:
        """The recipe put behind the model, in place. InputError where its outputs do not fit.

        Boxes are in the picture that `front`, where it is there, makes the model's input of.
        """
        with walk.stage("postprocess"):
            sight = None if front is None else PictureSight(front.recipe)
            made = attach(recipe, model, Before(_size(model, front), sight))
        walk.keep("postprocess", model)
        return cls(recipe.written, made, front)

    @property
    def about(self) -> dict[str, Any]:
        """What the manifest says of it."""
        return {"recipe": self.recipe.text, "outputs": list(self.attached.outputs)}

    @property
    def files(self) -> dict[str, Path]:
        """The recipe's files by their places in a bundle."""
        return {f"{FOLDER}/{name}": path for name, path in self.recipe.files.items()}

    def expected(self, manifest: Manifest, inputs: Sequence[np.ndarray], own: Sequence[np.ndarray]) -> list[np.ndarray]:
        """What ONNX Runtime makes of the model's `own` outputs, channels first. `inputs` are the bundle's."""
        known = {value.name: array for value, array in zip(manifest.own_outputs, own, strict=True)}
        if self.front is not None:
            index = [value.name for value in manifest.inputs].index(self.front.form.name)
            known[PICTURE] = inputs[index]
        return reference_outputs(self.attached.check, {name: known[name] for name in self.attached.reads})

    def compare(self, manifest: Manifest, inputs: Sequence[np.ndarray], ours: Sequence[np.ndarray]) -> list[Comparison]:
        """Compares the new outputs with ONNX Runtime's. CheckError where they differ."""
        want = self.expected(manifest, inputs, list(named(manifest, ours).values()))
        names, is_nhwc = self.attached.outputs, manifest.io_layout == "nhwc"
        found = [channels_first(array, is_nhwc) for array in ours[: len(names)]]
        return accept(compare_all(names, found, want))


def _size(model: ir.Model, front: Front | None) -> tuple[int, int] | None:
    """The size of pictures in the model's input, where it is known."""
    if front is not None:
        return front.form.size
    try:
        return form_of(signature(model)[0]).size
    except InputError:
        return None
