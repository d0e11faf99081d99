"""The ways to more accuracy for a layer, and the order in which all layers' are taken.

    static -> dynamic (MatMul and Gemm) -> sixteen bits for the activations or the weights
           -> float activations, int8 weights -> float16 weights -> float
    recurrent: dynamic -> float activations, int8 weights -> float16 weights -> float

and from int4 weights to int8 weights, and on. Constants that are int8 beside float32 (stored.py) become
float16, or float. Each way is measured with the layer alone in int8. Of a layer's ways those are kept that are on the
lower convex hull of noise over cost, so that going on along them each step saves less for its cost than the one before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgeort.quantize.costs import Slowness
from edgeort.quantize.forms import Form, can_be_dynamic
from edgeort.quantize.half_floats import refusal
from edgeort.quantize.layers import Layer

OVERHEAD_BYTES = 1000  # a float layer costs more than its weights: conversions around it
FLOAT_LAYER = "float"  # weights and activations
WEIGHTS_ONLY = "int8 weights"
DYNAMIC = "dynamic"
FORMS = {WEIGHTS_ONLY: Form.FLOAT} | {str(form): form for form in (Form.DYNAMIC, Form.FINE, Form.WIDE, Form.HALF)}


@dataclass(frozen=True)
class Way:
    """What a layer becomes: `to` is one of the names above, `form` that of its activations, None where it is float.

    `cost` is in bytes, to which lost speed adds (costs.py), `added_ms` where the device's rates are known.
    """

    to: str
    form: Form | None
    added_bytes: int
    cost: int
    added_ms: float | None = None


def ways(layer: Layer, form: Form, slowness: Slowness) -> list[Way]:
    """Those beyond `form`, the cheapest first; `slowness` is what the speed of int8 products weighs.

    Sixteen bits are a way only where they are faster than float, those of activations where nothing is known of speed.
    """
    size = layer.weight.size
    has = 1 / 2 if form is Form.BLOCKS else 1  # bytes a weight

    def slower(to: str, each: float, lost: Slowness) -> Way:
        added = round((each - has) * size)
        return Way(to, FORMS.get(to), added, OVERHEAD_BYTES + added + lost.in_bytes, lost.ms)

    found, fine = [slower(FLOAT_LAYER, 4, slowness)], slowness.fine
    if refusal(layer.weight) is None:
        found.append(slower(Form.HALF, 2, slowness))
    if form is not Form.FLOAT:
        found.append(slower(WEIGHTS_ONLY, 1, slowness))
    if form is Form.STATIC and fine is not None and fine.in_bytes < slowness.in_bytes:
        found.append(slower(Form.FINE, 2, fine))
        if fine.ms is None:
            found.append(slower(Form.WIDE, 1, fine))
    if form is Form.STATIC and can_be_dynamic(layer):
        found.append(Way(DYNAMIC, Form.DYNAMIC, 0, OVERHEAD_BYTES))
    return sorted(found, key=lambda way: way.cost)


def ways_of_constants(arrays: Sequence[np.ndarray], form: Form, *, can_be_half: bool) -> list[Way]:
    """Those beyond `form` of a node with int8 constants, which computes in float32, or in int8 where it is dynamic."""
    size = sum(array.size for array in arrays)
    lost = size if form is Form.DYNAMIC else 0  # a weight weighs a byte for its lost speed, too
    found = [Way(FLOAT_LAYER, None, 3 * size, OVERHEAD_BYTES + 3 * size + lost)]
    if can_be_half and not any(refusal(array) for array in arrays):
        found.append(Way(Form.HALF, Form.HALF, size, OVERHEAD_BYTES + size + lost))
    if form is Form.DYNAMIC:
        found.append(Way(WEIGHTS_ONLY, Form.FLOAT, 0, OVERHEAD_BYTES + lost))
    return sorted(found, key=lambda way: way.cost)


def hull(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the (cost, noise) points, of rising cost, that are on the lower convex hull and save noise."""
    kept = [0]
    for index in range(1, len(points)):
        if points[index][1] >= points[kept[-1]][1]:
            continue
        while len(kept) > 1 and _saves(points, kept[-1], index) >= _saves(points, kept[-2], kept[-1]):
            kept.pop()
        kept.append(index)
    return kept


def _saves(points: Sequence[tuple[float, float]], a: int, b: int) -> float:
    """Noise saved per cost from point a to point b."""
    return (points[a][1] - points[b][1]) / max(points[b][0] - points[a][0], 1.0)


@dataclass(frozen=True)
class Step:
    """One step of a layer: the way to take, and the noise that it saves for each unit of cost."""

    layer: str
    way: Way
    rate: float


def steps(layer: str, noise: float, measured: Sequence[tuple[Way, float]]) -> list[Step]:
    """The steps of a layer from the `noise` that it has, in their order; `measured` are its ways and their noises."""
    points = [(0.0, noise), *((float(way.cost), after) for way, after in measured)]
    kept = hull(points)
    return [Step(layer, measured[b - 1][0], _saves(points, a, b)) for a, b in zip(kept, kept[1:], strict=False)]


def state(taken: Iterable[tuple[str, str]]) -> tuple[set[str], Mapping[str, Form]]:
    """The layers in float, and the forms of others, after steps of (layer, to)."""
    last = dict(taken)
    return (
        {layer for layer, to in last.items() if to == FLOAT_LAYER},
        {layer: FORMS[to] for layer, to in last.items() if to in FORMS},
    )
