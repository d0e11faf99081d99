"""Finds the fewest promotions of layers so that a budget of accuracy is kept.

Layers are promoted in the order of the ledger (ledger.py). The number of promotions is doubled until the budget seems
kept, then halved in between, with the weights that were refined without promotions and on no more samples than make it
clear.
The model of the number found is refined, from the first promoted layer on, and judged on all samples; where that misses
the budget, the search goes on with more, and where its weights may do with less than three quarters, with fewer.
Of those promoted, the ones go that are not needed beside the last, and the few that add most bytes where the budget is
kept without them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from edgeort.errors import BudgetError
from edgeort.progress import Progress
from edgeort.quantize import promotions
from edgeort.quantize.attempts import Attempt, Attempts
from edgeort.quantize.costs import Rates
from edgeort.quantize.forms import Form
from edgeort.quantize.goals import Goal, kept, kept_on_all, may_keep, seems_kept
from edgeort.quantize.ledger import Entry, rank
from edgeort.quantize.selection import Selection

NEARLY = 4  # the number of promotions is found to within a part of it, one in so many
ROUNDS = 4  # in which promotions that others make needless are looked for
GIVEN_BACK = 3  # promotions, at most, that it is tried without: each takes as long as the first
NAMED = 5  # layers in the message of a budget that cannot be kept


def search(
    attempts: Attempts,
    exclude: Collection[str],
    goal: Goal,
    progress: Progress | None = None,
    rates: Rates | None = None,
) -> tuple[Attempt, list[Entry]]:
    """The model with the fewest promotions that keeps the goal, and the ledger (empty where none was needed).

    BudgetError when it is not kept even with all that leave something smaller than in float.
    """
    best = attempts.make(exclude)
    if kept(goal, best):
        return best, []
    ledger = rank(attempts, best, exclude, progress, rates)
    if not ledger:
        raise _over(goal, best, [])
    tries = _Tries(attempts, exclude, goal, ledger, progress)
    found, count = _fewer(tries, *_first(tries, max(_most(ledger, best.selection), 1)))
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

    def possible(self, taken: Sequence[Entry]) -> bool:
        """Whether it may keep the goal once it is refined: with those weights it does, or all samples leave a doubt."""
        return may_keep(self.goal, self._promoted(self.attempts.try_out, "trying", taken))

    def _promoted(
        self, make: Callable[[Collection[str], Mapping[str, Form]], Attempt], how: str, taken: Sequence[Entry]
    ) -> Attempt:
        if self.progress:
            self.progress(f"{how} {len(taken)} of {len(self.ledger)} promotions")
        floats, forms = promotions.state((entry.layer, entry.to) for entry in taken)
        return make({*self.exclude, *floats}, forms)


def _most(ledger: Sequence[Entry], selection: Selection) -> int:
    """How many promotions are worth trying: all, or all but the last where nothing would be smaller than in float."""
    floats, forms = promotions.state((entry.layer, entry.to) for entry in ledger)
    is_smaller = bool(forms) or any(layer.name not in floats for layer in selection.layers)
    return len(ledger) if is_smaller else len(ledger) - 1


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
    """The same with fewer, where its weights may do with less; down to where a quarter of the number is not saved."""
    short = 0
    while count - short > count // NEARLY + 1:
        most = count - count // NEARLY - 1
        if not tries.possible(tries.ledger[:most]):
            break
        fewer = _enough(lambda tried: tries.possible(tries.ledger[:tried]), short, most)
        if short:  # one in doubt has missed the goal
            fewer = max(fewer, (short + most + 1) // 2)
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


def _over(goal: Goal, trial: Attempt, ledger: Sequence[Entry]) -> BudgetError:
    if not ledger:
        return BudgetError(
            f"the budget ({goal.text()}) is not kept: {goal.reached(trial)}, and there is no layer to promote",
            hint=goal.hint,
        )
    alone = dict.fromkeys(f"{e.layer} ({e.alone_db:.1f} dB alone)" for e in ledger)
    worst = ", ".join(list(alone)[:NAMED])
    return BudgetError(
        f"the budget ({goal.text()}) is not kept even with all promotions that leave it smaller than in float: "
        f"{goal.reached(trial)}; the most noise comes from {worst}",
        hint=goal.hint,
    )
