"""The latency to expect of a provider that is not measured, or why none is expected."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from edgeort.bench import Prediction, predict_engine, predict_for
from edgeort.device_profiles import Profile
from edgeort.errors import EdgeortError
from edgeort.pipeline.walk import Walk
from edgeort.providers import Node, Request, cpu
from edgeort.providers.cpu import NAME as OURS
from edgeort.providers.provider import Costs
from edgeort.values import Value


@dataclass(frozen=True)
class Expected:
    """A prediction from the profile, or the `reason` for which there is none."""

    prediction: Prediction | None
    reason: str = ""


def with_costs(
    nodes: Sequence[Node], costs: Costs | None, inputs: Sequence[Value], arrays: Sequence[np.ndarray]
) -> tuple[Node, ...]:
    """The nodes with what they cost on these arrays."""
    if costs is None:
        return tuple(nodes)
    shapes = {value.name: array.shape for value, array in zip(inputs, arrays, strict=True)}
    found = zip(nodes, costs(shapes), strict=True)
    return tuple(
        replace(node, macs=cost.macs, functions=cost.functions, moved_bytes=cost.moved_bytes) for node, cost in found
    )


def of_runtime(profile: Profile, nodes: Sequence[Node], threads: int) -> Expected:
    """Of the nodes of the cpu provider, with their costs: by the profile's rates, or an estimate where it has none."""
    found = predict_for(profile, nodes, threads)
    return Expected(None, "sizes are known only when it runs") if found is None else Expected(found)


def of_engine(
    provider: str, graph: ir.Model, request: Request, arrays: Sequence[np.ndarray], outputs: Sequence[Value]
) -> Expected:
    """Of a cleaned model that another engine runs on these inputs: by the profile's rates of that engine."""
    measured = request.profile.measured
    rates = None if measured is None else measured.engine(provider)
    if measured is None or rates is None:
        return Expected(None, f"nobody measured {provider} there ({command(request.profile)})")
    if request.options:
        return Expected(None, "rates are of the engine's settings as edgeort chooses them")
    try:
        inputs, nodes, costs = cpu.nodes_of(
            graph, replace(request, ram_limit=None, stages=Walk(None, None)), all_int8=True
        )
    except EdgeortError as error:
        return Expected(None, f"it is predicted from the work of the runtime's kernels, and {error}")
    border = sum(array.nbytes for array in arrays) + sum(map(_bytes_of, outputs))
    costed = with_costs(nodes, costs, inputs, arrays)
    found = predict_engine(rates, measured, costed, border, request.threads)
    return Expected(None, "sizes are known only when it runs") if found is None else Expected(found)


def of(
    provider: str,
    nodes: Sequence[Node],
    graph: ir.Model,
    request: Request,
    arrays: Sequence[np.ndarray],
    outputs: Sequence[Value],
) -> Expected:
    """One or the other. `nodes` are those of the artefact, with their costs where they are known."""
    if provider == OURS:
        return of_runtime(request.profile, nodes, request.threads)
    return of_engine(provider, graph, request, arrays, outputs)


def command(profile: Profile) -> str:
    """What measures the device and its engines."""
    where = "local" if profile.name == "host" else profile.transport.hint or "WHERE"
    return f"edgeort profiles probe --on {where} -o my{profile.name}.toml, then --device ./my{profile.name}.toml"


def _bytes_of(value: Value) -> int:
    """Those of a fixed shape; of any other nothing is known, and 0 is taken."""
    if value.shape is None or value.is_nested or not all(isinstance(dim, int) for dim in value.shape):
        return 0
    return math.prod(dim for dim in value.shape if isinstance(dim, int)) * value.array_dtype.itemsize
