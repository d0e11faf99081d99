"""What the float model that a build quantises would take: int8 is not faster on every device, and the build says so.

A layer that int8 makes slower runs in float32 by itself (lowering/where_int8.py), but what is made of integers and back
around it, and depthwise convolutions, may still cost more than the rest saves.
"""

from __future__ import annotations

from dataclasses import replace

from edgeort.bench import Prediction
from edgeort.lowering.where_int8 import rates_of
from edgeort.pipeline.around import Around
from edgeort.pipeline.compressing import Compressed
from edgeort.pipeline.expecting import of_runtime, with_costs
from edgeort.pipeline.trying import Attempt
from edgeort.pipeline.walk import Walk
from edgeort.providers import Request, cpu


def unquantised_prediction(
    compressed: Compressed, around: Around, attempt: Attempt, request: Request
) -> Prediction | None:
    """Of the float model that became int8, by the same rates as that of the `attempt`; None where this has none.

    None, too, where size or memory is limited: int8 is right whatever its speed.
    """
    quantised = compressed.quantised
    if quantised is None or not quantised.is_int8:
        return None
    if attempt.made.provider != cpu.NAME or attempt.prediction is None:
        return None
    if request.ram_limit is not None or rates_of(request.profile) is None:
        return None
    graph, alone = compressed.unquantised.clone(), Walk(None, None)
    around.attach(graph, alone)
    inputs, nodes, costs = cpu.nodes_of(graph, replace(request, stages=alone))
    costed = with_costs(nodes, costs, inputs, attempt.inputs)
    return of_runtime(request.profile, costed, request.threads).prediction
