"""What each provider would give for a device or a model, before anything is made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir

from edgeort import model as models
from edgeort import providers
from edgeort.bundle import golden
from edgeort.compiling import signature
from edgeort.device_profiles import Profile
from edgeort.errors import EdgeortError, InputError, ShapeError
from edgeort.pipeline import expecting
from edgeort.pipeline.choosing import Candidate, obstacle_of, sentence, with_expected
from edgeort.pipeline.expecting import Expected, with_costs
from edgeort.pipeline.walk import Walk
from edgeort.providers import Refusal, Request, cpu


def survey(profile: Profile, model: Path | None = None) -> tuple[Candidate, ...]:
    """Every provider, those of the profile first: why it cannot serve the device, which nodes it cannot take, and
    what latency the profile's rates let expect where they are of its kernels.

    Nothing is made. Raises what loading the model does.
    """
    graph = None if model is None else models.clean(models.load(model))
    request = Request(profile, "nchw", profile.runtime.threads, None, Walk(None, None))
    names = dict.fromkeys((*profile.runtime.providers, *(p.name for p in providers.PROVIDERS)))
    rows = []
    for provider in map(providers.provider, names):
        obstacle: EdgeortError | None = obstacle_of(provider, request)
        nodes: tuple[Refusal, ...] = ()
        try:
            nodes = () if obstacle or graph is None else tuple(provider.refusals(graph, request))
        except ShapeError as error:
            obstacle = error
        row = Candidate(provider.name, refusals=nodes, reason=sentence(obstacle) if obstacle else "")
        can_take = graph is not None and not obstacle and not nodes
        rows.append(with_expected(row, _surveyed(provider.name, graph, request)) if can_take and graph else row)
    return tuple(rows)


def _surveyed(name: str, graph: ir.Model, request: Request) -> Expected:
    """What to expect of a provider that takes all nodes of the model."""
    inputs, outputs = signature(graph)
    try:
        shapes = golden.choose_shapes(inputs)
    except InputError as error:
        return Expected(None, str(error))
    # Of the data nothing is asked but its size, which may be more than this machine has memory.
    arrays = [np.broadcast_to(np.zeros((), value.array_dtype), shapes[value.name]) for value in inputs]
    if name != cpu.NAME:
        return expecting.of_engine(name, graph, request, arrays, outputs)
    inputs, nodes, costs = cpu.nodes_of(graph, request)
    return expecting.of_runtime(request.profile, with_costs(nodes, costs, inputs, arrays), request.threads)
