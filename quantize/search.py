"""Finds the fewest promotions of layers so that a budget of accuracy is kept.

Every layer's own noise is measured once, for each form that it may take (promotions.py): the model with this layer
alone in int8, not refined. Layers are then promoted in the order of noise saved per cost. The number of promotions is
doubled until the budget is kept, then halved in between, with the weights that were refined without promotions. The
model of the number found is refined, from the first promoted layer on; where that misses the budget, more are promoted,
and where refined models do with less, fewer: to within a quarter of the number, since each takes as long as the first.
Of those promoted, the few that add most bytes are given back where the budget is kept without them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from edgeort.errors import BudgetError
from edgeort.progress import Progress
from edgeort.quantize import costs, promotions
from edgeort.quantize.attempts import Attempt, Attempts
from edgeort.quantize.costs import Rates
from edgeort.quantize.forms import Form
from edgeort.quantize.layers import Layer
from edgeort.quantize.promotions import FLOAT_LAYER, Way
from edgeort.quantize.selection import Selection

NEARLY = 4  # the number of promotions is found to within a part of it, one in so many
NOTICED = 0.01  # of the noise of the worst layer: below, promotions short of float are not measured
UNMEASURED = (None, Form.HALF)  # forms that make next to no noise
GIVEN_BACK = 3  # promotions, at most, that it is tried without: each takes as long as the first
NAMED = 5  # layers in the message of a budget that cannot be kept


class Goal(Protocol):
    """What the search is to reach; `hint` says what to do when it cannot be."""

    @property
    def hint(self) -> str:
        """For the error."""

    def kept(self, attempt: Attempt) -> bool:
        """Whether a model is good enough."""

    def reached(self, attempt: Attempt) -> str:
        """What it comes to, in words."""

    def text(self) -> str:
        """The goal, in words."""


@dataclass(frozen=True)
class Budget:
    """The least SQNR in dB and agreement (0..1) with the float model, of every float output; None: any."""

    sqnr_db: float | None = None
    agreement: float | None = None

    @property
    def is_set(self) -> bool:
        """Whether there is anything to keep."""
        return self.sqnr_db is not None or self.agreement is not None

    @property
    def hint(self) -> str:
        """What to do when it is not kept."""
        return "a lower --min-sqnr or --min-agreement, or samples that are more like what the model will see"

    def kept(self, attempt: Attempt) -> bool:
        """Whether every output keeps it."""
        return all(
            d.sqnr_db >= (self.sqnr_db or float("-inf")) and d.agreement >= (self.agreement or 0.0)
            for d in attempt.differences
        )

    def reached(self, attempt: Attempt) -> str:
        """What it comes to, in words."""
        return ", ".join(
            f"{d.output}: SQNR {d.sqnr_db:.1f} dB, agreement {d.agreement:.2%}" for d in attempt.differences
        )

    def text(self) -> str:
        """`SQNR >= 25 dB, agreement >= 99 %`."""
        parts = [f"SQNR >= {self.sqnr_db:g} dB"] if self.sqnr_db is not None else []
        return ", ".join(parts + ([f"agreement >= {self.agreement:.4g}"] if self.agreement is not None else []))


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


def search(
    attempts: Attempts,
    exclude: Collection[str],
    budget: Goal,
    progress: Progress | None = None,
    rates: Rates | None = None,
) -> tuple[Attempt, list[Entry]]:
    """The model with the fewest promotions that keeps the budget, and the ledger (empty where none was needed).

    BudgetError when it is not kept even with all but one layer in float.
    """
    best = attempts.make(exclude)
    if budget.kept(best):
        return best, []
    ledger = rank(attempts, best.selection, exclude, progress, rates)
    most = max(len(ledger) - 1, 1)
    count = _enough(lambda tried: budget.kept(_promoted(attempts.try_out, exclude, ledger, tried, progress)), most)
    found = _promoted(attempts.make, exclude, ledger, count, progress)
    while not budget.kept(found):
        if count == most:
            raise _over(budget, found, ledger)
        count = min(count + max(count // NEARLY, 1), most)
        found = _promoted(attempts.make, exclude, ledger, count, progress)
    short, exact = 0, count // NEARLY + 1
    while count - short > exact:
        middle = (count + short) // 2
        trial = _promoted(attempts.make, exclude, ledger, middle, progress)
        if budget.kept(trial):
            count, found = middle, trial
        else:
            short = middle
    found, promoted = _without_spare(attempts, exclude, budget, found, ledger[:count], progress)
    return found, [replace(e, promoted=e in promoted) for e in ledger]


def _without_spare(
    attempts: Attempts,
    exclude: Collection[str],
    budget: Goal,
    found: Attempt,
    promoted: list[Entry],
    progress: Progress | None,
) -> tuple[Attempt, list[Entry]]:
    """The model and its promotions without those that it does not need, of the few that add most bytes.

    Each was the best for its bytes as the ledger was made; a later one that adds none may do alone.
    """
    costly = sorted((e for e in promoted if e.added_bytes > 0), key=lambda e: -e.added_bytes)
    for entry in costly[:GIVEN_BACK]:
        rest = [other for other in promoted if other is not entry]
        if rest and budget.kept(trial := _promoted(attempts.make, exclude, rest, len(rest), progress)):
            found, promoted = trial, rest
    return found, promoted


def _enough(is_enough: Callable[[int], bool], most: int) -> int:
    """The least number in 1 .. `most` that is enough, found by doubling and halving; `most` where none is."""
    short, enough = 0, 1
    while enough < most and not is_enough(enough):
        short, enough = enough, min(2 * enough, most)
    while enough - short > 1:
        middle = (enough + short) // 2
        short, enough = (short, middle) if is_enough(middle) else (middle, enough)
    return enough


def rank(
    attempts: Attempts,
    selection: Selection,
    exclude: Collection[str],
    progress: Progress | None,
    rates: Rates | None = None,
) -> list[Entry]:
    """The steps of all layers by noise saved per cost, the best first."""

    def others(layer: Layer) -> set[str]:
        return {*exclude, *(other.name for other in selection.layers)} - {layer.name}

    found, slowness = [], costs.lost_speed(selection.layers, rates)
    alone = {}
    for number, layer in enumerate(selection.layers, 1):
        if progress:
            progress(f"measuring layer {number} of {len(selection.layers)}")
        alone[layer.name] = _alone(attempts, others(layer), {layer.name: selection.forms[layer.name]})
    least = NOTICED * max(noise for noise, _ in alone.values())
    for number, layer in enumerate(selection.layers, 1):
        if progress:
            progress(f"measuring promotions of layer {number} of {len(selection.layers)}")
        form, (noise, alone_db) = selection.forms[layer.name], alone[layer.name]
        ways = promotions.ways(layer, form, slowness[layer.name])
        chosen = [way for way in ways if noise >= least or way.form in UNMEASURED]
        measured = [(way, _noise_of(attempts, others(layer), layer.name, way)) for way in chosen]
        for step in promotions.steps(layer, noise, measured):
            way = step.way
            entry = Entry(layer.name, alone_db, way.added_bytes, to=way.to, added_ms=way.added_ms)
            found.append((step.rate, entry))
    return [entry for _, entry in sorted(found, key=lambda pair: -pair[0])]


def _noise_of(attempts: Attempts, others: Collection[str], layer: str, way: Way) -> float:
    return 0.0 if way.form in UNMEASURED else _alone(attempts, others, {layer: way.form})[0]


def _alone(attempts: Attempts, others: Collection[str], forms: Mapping[str, Form]) -> tuple[float, float]:
    """The noise, relative to the signal, with all `others` in float; the same as an SQNR in dB."""
    differences = attempts.roughly(others, forms)
    noise = max(d.relative_noise for d in differences)
    return noise, min(d.sqnr_db for d in differences)


def _promoted(
    make: Callable[[Collection[str], Mapping[str, Form]], Attempt],
    exclude: Collection[str],
    ledger: Sequence[Entry],
    count: int,
    progress: Progress | None,
) -> Attempt:
    if progress:
        progress(f"trying {count} of {len(ledger)} promotions")
    floats, forms = promotions.state((entry.layer, entry.to) for entry in ledger[:count])
    return make({*exclude, *floats}, forms)


def _over(budget: Goal, trial: Attempt, ledger: Sequence[Entry]) -> BudgetError:
    alone = dict.fromkeys(f"{e.layer} ({e.alone_db:.1f} dB alone)" for e in ledger)
    worst = ", ".join(list(alone)[:NAMED])
    return BudgetError(
        f"the budget ({budget.text()}) is not kept even with all promotions but the last: {budget.reached(trial)}; "
        f"the most noise comes from {worst}",
        hint=budget.hint,
    )
