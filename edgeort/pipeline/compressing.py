"""The model of a build made smaller, before anything else is done to it: pruned, quantised, or both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from edgeort.device_profiles import Profile
from edgeort.pipeline.accuracy import Accuracy, Quantised, Sets, quantise
from edgeort.pipeline.checking import Model
from edgeort.pipeline.pruning import Pruned, prune
from edgeort.pipeline.walk import Walk


@dataclass(frozen=True)
class Compressed:
    """What is built and what ONNX Runtime runs beside it; `unquantised` is the graph in float, pruned if it was."""

    graph: ir.Model
    reference: Model
    unquantised: ir.Model
    pruned: Pruned | None
    quantised: Quantised | None

    @property
    def shares(self) -> Mapping[str, float]:
        """What pruning took, for the manifest."""
        return {} if self.pruned is None else self.pruned.shares


def compress(
    path: Path,
    graph: ir.Model,
    shapes: Mapping[str, Sequence[int | str]] | None,
    accuracy: Accuracy,
    sets: Sets,
    profile: Profile,
    walk: Walk,
    rivals: Sequence[str],
) -> Compressed:
    """The model in `path`, cleaned as `graph`, as `accuracy` asks for it. Raises BudgetError."""
    pruned = prune(path, shapes, accuracy, sets, walk) if accuracy.prunes else None
    reference: Model = path
    if pruned is not None:
        graph, reference = pruned.graph, pruned.model
    if accuracy.precision == "float32":
        return Compressed(graph, reference, graph, pruned, None)
    left = None if pruned is None else pruned.model
    quantised = quantise(path, shapes, accuracy, sets, profile, walk, rivals, left)
    return Compressed(quantised.graph, quantised.model, graph, pruned, quantised)
