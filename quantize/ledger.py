"""The ledger: what each layer's noise is, what it may become for less, and in which order that is worth its cost.

Every layer is measured once, alone, for each form that it may take (promotions.py, alone.py); so is each other
node with int8 constants (stored.py). Their steps stand in the order of noise saved per cost.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from edgeort.progress import Progress
from edgeort.quantize import costs, promotions
from edgeort.quantize.alone import Alone
from edgeort.quantize.attempts import Attempt, Attempts
from edgeort.quantize.costs import Rates
from edgeort.quantize.forms import Form
from edgeort.quantize.layers import Layer
from edgeort.quantize.measuring import Difference
from edgeort.quantize.promotions import FLOAT_LAYER, Way
from edgeort.quantize.selection import Selection
from edgeort.quantize.store import Store
from edgeort.quantize.stored import Stored

NOTICED = 0.01  # of the noise of the worst layer: below, promotions short of float are not measured
UNMEASURED = (None, Form.HALF)  # forms that make next to no noise


@dataclass(frozen=True)
class Entry:
    """A line of the ledger: a layer, the SQNR with it alone in int8, what `to` adds, and the verdict.

    `to` is a name of promotions.py. `added_ms` is an estimate by the device's rates; None where no device is known.
    """

    layer: str
    alone_db: float
    added_bytes: int
    promoted: bool = False
    to: str = FLOAT_LAYER
    added_ms: float | None = None


def rank(
    attempts: Attempts,
    best: Attempt,
    exclude: Collection[str],
    progress: Progress | None,
    rates: Rates | None = None,
) -> list[Entry]:
    """The steps of all that is int8 in `best` by noise saved per cost, the best first."""
    selection = best.selection
    found, slowness = [], costs.lost_speed(selection.layers, rates)
    alone = {}
    for layer, measure in _one_by_one(attempts, selection, exclude, progress, "measuring"):
        (alone[layer.name],) = _noises(measure, layer, [selection.forms[layer.name]])
    constants = _of_constants(attempts, best, exclude)
    least = NOTICED * max((noise for noise, _ in (*alone.values(), *constants.values())), default=0.0)
    for layer, measure in _one_by_one(attempts, selection, exclude, progress, "measuring promotions of"):
        noise, alone_db = alone[layer.name]
        ways = promotions.ways(layer, selection.forms[layer.name], slowness[layer.name])
        chosen = [way for way in ways if noise >= least or way.form in UNMEASURED]
        found += _entries(layer.name, alone[layer.name], _measured(measure, layer, chosen))
    for one, noises in constants.items():
        form = best.recurrent.get(one.name, Form.FLOAT)
        ways = promotions.ways_of_constants(one.arrays, form, can_be_half=one.can_be_half)
        found += _entries(one.name, noises, [(way, _left(attempts, best, exclude, one, way)) for way in ways])
    return [entry for _, entry in sorted(found, key=lambda pair: -pair[0])]


def _entries(
    layer: str, alone: tuple[float, float], measured: Sequence[tuple[Way, float]]
) -> list[tuple[float, Entry]]:
    """The lines of a layer, each with the noise that it saves for each unit of cost."""
    noise, alone_db = alone
    return [
        (step.rate, Entry(layer, alone_db, step.way.added_bytes, to=step.way.to, added_ms=step.way.added_ms))
        for step in promotions.steps(layer, noise, measured)
    ]


def _of_constants(attempts: Attempts, best: Attempt, exclude: Collection[str]) -> dict[Stored, tuple[float, float]]:
    """The noise of each node of which constants are int8, alone. They are few: the whole model runs."""
    return {
        one: _worst(_alone(attempts, best, exclude, one, best.recurrent.get(one.name)))
        for one in attempts.stored(exclude)
    }


def _left(attempts: Attempts, best: Attempt, exclude: Collection[str], one: Stored, way: Way) -> float:
    """The noise that a way leaves of such a node's."""
    if way.form in UNMEASURED:
        return 0.0
    return _worst(_alone(attempts, best, exclude, one, way.form))[0]


def _alone(
    attempts: Attempts, best: Attempt, exclude: Collection[str], one: Stored, form: Form | None
) -> list[Difference]:
    """How the model compares in which nothing but that node is int8, in that form (None: it has none)."""
    names = {*exclude, *(layer.name for layer in best.selection.layers)}
    names |= {other.name for other in attempts.stored(exclude)}
    return attempts.roughly(names - {one.name}, {} if form is None else {one.name: form})


def _one_by_one(
    attempts: Attempts, selection: Selection, exclude: Collection[str], progress: Progress | None, what: str
) -> Iterator[tuple[Layer, Alone]]:
    """The layers in the graph's order, each with what measures it."""
    with Store() as store:
        measure = Alone(attempts, exclude, store)
        for number, layer in enumerate(selection.layers, 1):
            if progress:
                progress(f"{what} layer {number} of {len(selection.layers)}")
            yield layer, measure


def _measured(measure: Alone, layer: Layer, ways: Sequence[Way]) -> list[tuple[Way, float]]:
    """The noise that each way leaves."""
    forms = [way.form for way in ways if way.form is not None and way.form not in UNMEASURED]
    noises = dict(zip(forms, (noise for noise, _ in _noises(measure, layer, forms)), strict=True))
    return [(way, noises.get(way.form, 0.0) if way.form is not None else 0.0) for way in ways]


def _noises(measure: Alone, layer: Layer, forms: Sequence[Form]) -> list[tuple[float, float]]:
    """The noise of each form, relative to the signal, with all other layers in float; the same as an SQNR in dB."""
    return [_worst(one) for one in (measure.differences(layer.name, forms) if forms else [])]


def _worst(found: Sequence[Difference]) -> tuple[float, float]:
    """Over all outputs: the noise, relative to the signal, and the same as an SQNR in dB."""
    return max(d.relative_noise for d in found), min(d.sqnr_db for d in found)
