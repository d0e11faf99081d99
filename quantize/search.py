"""Finds the fewest promotions of layers so that a budget of accuracy is kept.

Every layer's own noise is measured once, for each form that it may take (promotions.py, alone.py). Layers are then
promoted in the order of noise saved per cost. The number of promotions is doubled until the budget seems kept, then
halved in between, with the weights that were refined without promotions and on no more samples than make it clear.
The model of the number found is refined, from the first promoted layer on, and judged on all samples; where that misses
the budget, the search goes on with more, and where its weights seem to do with less than three quarters, with fewer.
Of those promoted, the ones go that are not needed beside the last, and the few that add most bytes where the budget is
kept without them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from edgeort.errors import BudgetError
from edgeort.progress import Progress
from edgeort.quantize import costs, promotions, recurrent
from edgeort.quantize.alone import Alone
from edgeort.quantize.attempts import Attempt, Attempts
from edgeort.quantize.costs import Rates
from edgeort.quantize.forms import Form
from edgeort.quantize.goals import Goal, kept, kept_on_all, seems_kept
from edgeort.quantize.layers import Layer
from edgeort.quantize.promotions import FLOAT_LAYER, Way
from edgeort.quantize.selection import Selection
from edgeort.quantize.store import Store

NEARLY = 4  # the number of promotions is found to within a part of it, one in so many
NOTICED = 0.01  # of the noise of the worst layer: below, promotions short of float are not measured
UNMEASURED = (None, Form.HALF)  # forms that make next to no noise
ROUNDS = 4  # in which promotions that others make needless are looked for
GIVEN_BACK = 3  # promotions, at most, that it is tried without: each takes as long as the first
NAMED = 5  # layers in the message of a budget that cannot be kept


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
    goal: Goal,
    progress: Progress | None = None,
    rates: Rates | None = None,
) -> tuple[Attempt, list[Entry]]:
    """The model with the fewest promotions that keeps the goal, and the ledger (empty where none was needed).

    BudgetError when it is not kept even with all but one layer in float.
    """
    best = attempts.make(exclude)
    if kept(goal, best):
        return best, []
    if not best.selection.layers and not best.recurrent:
        raise _over(goal, best, [])
    ledger = rank(attempts, best, exclude, progress, rates)
    tries = _Tries(attempts, exclude, goal, ledger, progress)
    found, count = _fewer(tries, *_first(tries, max(len(ledger) - 1, 1)))
    found, promoted = _without_needless(tries, found, ledger[:count])
    found, promoted = _without_spare(tries, found, promoted)
    return found, [replace(e, promoted=e in promoted) for e in ledger]


@dataclass(frozen=True)
class _Tries:
    """What every try needs."""

    attempts: Attempts
    exclude: Collection[str]
    goal: Goal
    ledger: Sequence[Entry]
    progress: Progress | None = None

    def made(self, taken: Sequence[Entry]) -> Attempt:
        """The model of those promotions, refined."""
        return self._promoted(self.attempts.make, "refining with", taken)

    def likely(self, taken: Sequence[Entry]) -> bool:
        """Whether it seems to keep the goal, with the weights of the last one that was refined."""
        return seems_kept(self.goal, self._promoted(self.attempts.try_out, "trying", taken))

    def _promoted(
        self, make: Callable[[Collection[str], Mapping[str, Form]], Attempt], how: str, taken: Sequence[Entry]
    ) -> Attempt:
        if self.progress:
            self.progress(f"{how} {len(taken)} of {len(self.ledger)} promotions")
        floats, forms = promotions.state((entry.layer, entry.to) for entry in taken)
        return make({*self.exclude, *floats}, forms)


def _first(tries: _Tries, most: int) -> tuple[Attempt, int]:
    """A refined model that keeps the goal, and its number of promotions.

    BudgetError where `most` are too few on all samples.
    """
    short = 0
    while True:
        count = _enough(lambda tried: tries.likely(tries.ledger[:tried]), short, most)
        found = tries.made(tries.ledger[:count])
        if kept(tries.goal, found) or (count == most and kept_on_all(tries.goal, found)):
            return found, count
        if count == most:
            raise _over(tries.goal, found, tries.ledger)
        short = min(count + max(count // NEARLY, 1), most) - 1


def _fewer(tries: _Tries, found: Attempt, count: int) -> tuple[Attempt, int]:
    """The same with fewer, where its weights make do with less; down to where a quarter of the number is not saved."""
    short = 0
    while count - short > count // NEARLY + 1:
        most = count - count // NEARLY - 1
        if not tries.likely(tries.ledger[:most]):
            break
        fewer = _enough(lambda tried: tries.likely(tries.ledger[:tried]), short, most)
        trial = tries.made(tries.ledger[:fewer])
        if kept(tries.goal, trial):
            count, found = fewer, trial
        else:
            short = fewer
    return found, count


def _without_needless(tries: _Tries, found: Attempt, promoted: Sequence[Entry]) -> tuple[Attempt, list[Entry]]:
    """The model and its promotions without those that the last ones make needless.

    Layers weigh on each other, and the ledger has them alone. The last is needed, as the number was the least. Of those
    before it the fewest that do beside it are taken, then the last of these is needed, too, and so on.
    """
    rest, needed = list(promoted), list[Entry]()
    for _ in range(ROUNDS):
        rest, needed = rest[:-1], [*rest[-1:], *needed]
        least = _enough(lambda tried: tries.likely([*rest[:tried], *needed]), -1, len(rest))  # noqa: B023
        if len(rest) - least < max(len(promoted) // NEARLY, 1):  # not worth another refinement
            break
        rest = rest[:least]
    taken = [*rest, *needed]
    if len(taken) < len(promoted) and kept(tries.goal, trial := tries.made(taken)):
        return trial, taken
    return found, list(promoted)


def _without_spare(tries: _Tries, found: Attempt, promoted: Sequence[Entry]) -> tuple[Attempt, list[Entry]]:
    """The model and its promotions without those that it does not need, of the few that add most bytes.

    Each was the best for its bytes as the ledger was made; a later one that adds none may do alone.
    """
    left = list(promoted)
    costly = sorted((e for e in left if e.added_bytes > 0), key=lambda e: -e.added_bytes)
    for entry in costly[:GIVEN_BACK]:
        rest = [other for other in left if other is not entry]
        if rest and tries.likely(rest) and kept(tries.goal, trial := tries.made(rest)):
            found, left = trial, rest
    return found, left


def _enough(is_enough: Callable[[int], bool], short: int, most: int) -> int:
    """The least number in `short` + 1 .. `most` that is enough, by doubling and halving; `most` where none is."""
    step, enough = 1, min(short + 1, most)
    while enough < most and not is_enough(enough):
        short, step = enough, 2 * step
        enough = min(enough + step, most)
    while enough - short > 1:
        middle = (enough + short) // 2
        short, enough = (short, middle) if is_enough(middle) else (middle, enough)
    return enough


def rank(
    attempts: Attempts,
    best: Attempt,
    exclude: Collection[str],
    progress: Progress | None,
    rates: Rates | None = None,
) -> list[Entry]:
    """The steps of all layers and recurrent nodes by noise saved per cost, the best first."""
    selection = best.selection
    found, slowness = _rank_recurrent(attempts, best, exclude, progress), costs.lost_speed(selection.layers, rates)
    alone = {}
    for layer, measure in _one_by_one(attempts, selection, exclude, progress, "measuring"):
        (alone[layer.name],) = _noises(measure, layer, [selection.forms[layer.name]])
    least = NOTICED * max((noise for noise, _ in alone.values()), default=0.0)
    for layer, measure in _one_by_one(attempts, selection, exclude, progress, "measuring promotions of"):
        noise, alone_db = alone[layer.name]
        ways = promotions.ways(layer, selection.forms[layer.name], slowness[layer.name])
        chosen = [way for way in ways if noise >= least or way.form in UNMEASURED]
        for step in promotions.steps(layer.name, noise, _measured(measure, layer, chosen)):
            way = step.way
            entry = Entry(layer.name, alone_db, way.added_bytes, to=way.to, added_ms=way.added_ms)
            found.append((step.rate, entry))
    return [entry for _, entry in sorted(found, key=lambda pair: -pair[0])]


def _rank_recurrent(
    attempts: Attempts, best: Attempt, exclude: Collection[str], progress: Progress | None
) -> list[tuple[float, Entry]]:
    """The steps of recurrent nodes and their rates. They are few: each is measured in the whole model."""
    found = []
    nodes = {str(node.name): node for node in recurrent.nodes(attempts.prepared.model.graph)}
    for name, form in best.recurrent.items():
        if progress:
            progress(f"measuring recurrent node {name}")
        others = {*exclude, *(layer.name for layer in best.selection.layers), *best.recurrent} - {name}

        def noise(form: Form, others: Collection[str] = others, name: str = name) -> tuple[float, float]:
            found = attempts.roughly(others, {name: form})
            return max(d.relative_noise for d in found), min(d.sqnr_db for d in found)

        before, alone_db = noise(form)
        ways = promotions.recurrent_ways(recurrent.size(nodes[name]), form, form is Form.DYNAMIC)
        measured = [(way, 0.0 if way.form is None else noise(way.form)[0]) for way in ways]
        for step in promotions.steps(name, before, measured):
            found.append((step.rate, Entry(name, alone_db, step.way.added_bytes, to=step.way.to)))
    return found


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
    found = measure.differences(layer.name, forms) if forms else []
    return [(max(d.relative_noise for d in one), min(d.sqnr_db for d in one)) for one in found]


def _over(goal: Goal, trial: Attempt, ledger: Sequence[Entry]) -> BudgetError:
    if not ledger:
        return BudgetError(
            f"the budget ({goal.text()}) is not kept: {goal.reached(trial)}, and there is no layer to promote",
            hint=goal.hint,
        )
    alone = dict.fromkeys(f"{e.layer} ({e.alone_db:.1f} dB alone)" for e in ledger)
    worst = ", ".join(list(alone)[:NAMED])
    return BudgetError(
        f"the budget ({goal.text()}) is not kept even with all promotions but the last: {goal.reached(trial)}; "
        f"the most noise comes from {worst}",
        hint=goal.hint,
    )
