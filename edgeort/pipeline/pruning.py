"""The pruned model of a build: without channels or with zeros, before anything else is done to it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import onnx_ir as ir

from edgeort import model as models
from edgeort.pipeline.accuracy import Accuracy, Sets
from edgeort.pipeline.walk import Walk
from edgeort.quantize import pruning, sparsity
from edgeort.validate.labels import read_classes


@dataclass(frozen=True)
class Pruned:
    """The pruned graph, its bytes for ONNX Runtime, and what was done."""

    graph: ir.Model
    model: bytes
    result: pruning.Result | sparsity.Result

    @property
    def shares(self) -> dict[str, float]:
        """What went, for the manifest: of the multiply-adds, or of the weights of some layers."""
        done = self.result
        return {"pruned": done.ratio} if isinstance(done, pruning.Result) else {"sparsity": done.sparsity}


def prune(
    path: Path, shapes: Mapping[str, Sequence[int | str]] | None, accuracy: Accuracy, sets: Sets, walk: Walk
) -> Pruned:
    """The ONNX file without what `accuracy` asks for, or without what the budget allows. Raises BudgetError."""
    assert sets.calibration is not None and sets.judging is not None
    classes = accuracy.labels is not None and accuracy.task in (None, "classification")
    how: dict[str, Any] = {
        "recipe": accuracy.recipe,
        "exclude": accuracy.exclude,
        "budget": _budget(accuracy),
        "labels": partial(read_classes, accuracy.labels) if classes and accuracy.labels is not None else None,
    }
    with walk.stage("prune"), tempfile.TemporaryDirectory(prefix="edgeort-") as folder:
        made = Path(folder) / "pruned.onnx"
        more: dict[str, Any] = {"judging": sets.judging, "shapes": shapes, "progress": walk.progress}
        result: pruning.Result | sparsity.Result
        if accuracy.sparsity is not None:
            pattern = sparsity.parse_pattern("--sparsity", accuracy.sparsity)
            options = sparsity.Options(pattern=pattern, **how)
            result = sparsity.sparsify(path, made, sets.calibration, options, **more)
        else:
            ratio = None if accuracy.prune == "auto" else accuracy.prune
            result = pruning.prune(path, made, sets.calibration, pruning.Options(ratio=ratio, **how), **more)
        graph = models.clean(walk.keep("prune", models.load(made, shapes=shapes)))
        return Pruned(graph, made.read_bytes(), replace(result, output=""))


def _budget(accuracy: Accuracy) -> pruning.Budget:
    """That of the build; half of it where int8 needs the rest."""
    limits, share = accuracy.limits, 0.5 if accuracy.precision in ("int8", "int4") else 1.0
    return pruning.Budget(
        None if limits.min_sqnr_db is None else limits.min_sqnr_db + (3.0 if share < 1 else 0.0),
        None if limits.min_agreement is None else 1 - share * (1 - limits.min_agreement),
        None if limits.max_drop is None else share * limits.max_drop,
    )
