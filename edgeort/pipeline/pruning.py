"""The pruned model of a build: without channels, before anything else is done to it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import onnx_ir as ir

from edgeort import model as models
from edgeort.pipeline.accuracy import Accuracy, Sets
from edgeort.pipeline.walk import Walk
from edgeort.quantize import pruning
from edgeort.validate.labels import read_labels


@dataclass(frozen=True)
class Pruned:
    """The pruned graph, its bytes for ONNX Runtime, and what was done."""

    graph: ir.Model
    model: bytes
    result: pruning.Result


def prune(
    path: Path, shapes: Mapping[str, Sequence[int | str]] | None, accuracy: Accuracy, sets: Sets, walk: Walk
) -> Pruned:
    """The ONNX file without the share of `accuracy.prune`, or without what the budget allows. Raises BudgetError."""
    assert sets.calibration is not None and sets.judging is not None and accuracy.prune is not None
    classes = accuracy.labels is not None and accuracy.task in (None, "classification")
    options = pruning.Options(
        ratio=None if accuracy.prune == "auto" else accuracy.prune,
        preprocessing=accuracy.preprocessing,
        exclude=accuracy.exclude,
        budget=_budget(accuracy),
        labels=partial(read_labels, accuracy.labels) if classes and accuracy.labels is not None else None,
    )
    with walk.stage("prune"), tempfile.TemporaryDirectory(prefix="edgeort-") as folder:
        made = Path(folder) / "pruned.onnx"
        result = pruning.prune(
            path, made, sets.calibration, options, judging=sets.judging, shapes=shapes, progress=walk.progress
        )
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
