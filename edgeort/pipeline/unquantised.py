"""What the float model that a build quantises would take: int8 is not faster on every device, and the build says so.

A layer that int8 makes slower runs in float32 by itself (lowering/where_int8.py), but what is made of integers and back
around it, and depthwise convolutions, may still cost more than the rest saves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from edgeort.bench import Prediction
from edgeort.lowering.where_int8 import rates_of
from edgeort.pipeline.behind import Behind
from edgeort.pipeline.expecting import of_runtime, with_costs
from edgeort.pipeline.trying import Attempt
from edgeort.pipeline.walk import Walk
from edgeort.providers import Request, cpu
from edgeort.recipes.hearing import Hearing
from edgeort.recipes.postprocessing import Postprocessing


@dataclass(frozen=True)
class Unquantised:
    """The cleaned float `graph`, and what the bundle has in front of the model and behind it."""

    graph: ir.Model
    hearing: Hearing | None
    recipe: Postprocessing | None

    def prediction(self, attempt: Attempt, request: Request) -> Prediction | None:
        """Of the cpu provider, from the same rates as that of the `attempt`; None where this has none to compare.

        None, too, where size or memory is limited: int8 is right whatever its speed.
        """
        if attempt.made.provider != cpu.NAME or attempt.prediction is None:
            return None
        if request.ram_limit is not None or rates_of(request.profile) is None:
            return None
        return self._prediction(attempt.inputs, request)

    def _prediction(self, arrays: Sequence[np.ndarray], request: Request) -> Prediction | None:
        graph, alone = self.graph.clone(), Walk(None, None)
        if self.hearing is not None:
            self.hearing.attach(graph)
        if self.recipe is not None:
            Behind.attached_to(self.recipe, graph, request.front, alone)
        request = replace(request, stages=alone)
        inputs, nodes, costs = cpu.nodes_of(graph, request)
        return of_runtime(request.profile, with_costs(nodes, costs, inputs, arrays), request.threads).prediction
