"""Post-processing on the way of a build: put behind the model, and checked.

The model's own outputs are compared with ONNX Runtime's, within a tolerance. What post-processing makes of them is
compared with what ONNX Runtime makes of those very outputs: labels and boxes must be the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from edgeort.bundle import Manifest
from edgeort.comparison import Comparison, accept, compare_all
from edgeort.pipeline.walk import Walk
from edgeort.recipes.postprocessing import Attached, Postprocessing, attach
from edgeort.recipes.tail import PICTURE, Front
from edgeort.validate import reference_outputs
from edgeort.validate.artefacts import channels_first, named


@dataclass(frozen=True)
class Behind:
    """What stands behind the model of a build."""

    recipe: str
    attached: Attached

    @classmethod
    def attached_to(cls, recipe: Postprocessing, front: Front, walk: Walk) -> Behind:
        """The recipe put behind the model, in place. InputError where its outputs do not fit."""
        with walk.stage("postprocess"):
            made = attach(recipe, front)
        walk.keep("postprocess", front.model)
        return cls(recipe.text, made)

    @property
    def about(self) -> dict[str, Any]:
        """What the manifest says of it."""
        return {"recipe": self.recipe, "outputs": list(self.attached.outputs)}

    def expected(self, manifest: Manifest, inputs: Sequence[np.ndarray], own: Sequence[np.ndarray]) -> list[np.ndarray]:
        """What ONNX Runtime makes of the model's `own` outputs, channels first. `inputs` are the bundle's."""
        known = {value.name: array for value, array in zip(manifest.own_outputs, own, strict=True)}
        known[PICTURE] = inputs[0]
        return reference_outputs(self.attached.check, {name: known[name] for name in self.attached.reads})

    def compare(self, manifest: Manifest, inputs: Sequence[np.ndarray], ours: Sequence[np.ndarray]) -> list[Comparison]:
        """Compares the new outputs with ONNX Runtime's. CheckError where they differ."""
        want = self.expected(manifest, inputs, list(named(manifest, ours).values()))
        names, is_nhwc = self.attached.outputs, manifest.io_layout == "nhwc"
        found = [channels_first(array, is_nhwc) for array in ours[: len(names)]]
        return accept(compare_all(names, found, want))


def front_of(model: ir.Model) -> Front:
    """The model as it is, without anything before it."""
    shapes = [value.shape for value in model.graph.inputs if value.shape is not None and len(value.shape) == 4]
    for _, *dims in shapes:
        *size, channels = dims if dims[2] in (1, 3) else (dims[1], dims[2], dims[0])
        if channels in (1, 3) and all(isinstance(side, int) for side in size):
            return Front(model, (int(size[0]), int(size[1])))  # type: ignore[call-overload]
    return Front(model)
