"""How far to prune: to a share of the multiply-adds, or as far as a budget of accuracy allows.

The noise rises with every step of the ledger, so bisection finds the last one within the budget.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from edgeort.errors import BudgetError, InputError
from edgeort.progress import Progress
from edgeort.quantize.pruning.judging import Budget, Judge, Score
from edgeort.quantize.pruning.ledger import Costs, Step
from edgeort.quantize.pruning.removing import Remover

TRIES = 6  # of bisection

G = TypeVar("G")


@dataclass(frozen=True)
class Plan:
    """The steps in their order, and what they save."""

    steps: Sequence[Step]
    costs: Costs

    def gone(self, count: int) -> set[int]:
        """The channels that the first `count` steps remove."""
        return {root for step in self.steps[:count] for root in step.roots}

    def ratio(self, gone: Collection[int]) -> float:
        """The share of the multiply-adds that goes with them."""
        return 1 - self.costs.total(gone) / self.costs.total()

    def first(self, ratio: float) -> int:
        """How many steps save that share at least; all, where they save less."""
        low, high = 0, len(self.steps)
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self.ratio(self.gone(middle)) >= ratio else (middle + 1, high)
        return low


@dataclass(frozen=True)
class Found(Generic[G]):
    """A pruned model, what is gone from it, and its score."""

    gone: G
    model: bytes
    score: Score


def search(
    plan: Plan, remover: Remover, judge: Judge, ratio: float | None, budget: Budget, tell: Progress
) -> Found[set[int]]:
    """The model without that share of its multiply-adds, or without as much as the budget allows.

    InputError for a share that is not there to go, BudgetError where the budget is not kept.
    """

    def make(share: float) -> Found[set[int]]:
        gone = plan.gone(plan.first(share))
        model = remover.remove(gone, refit=False)
        return Found(gone, model, judge.score(model))

    def fitted(rough: Found[set[int]]) -> Found[set[int]]:
        model = remover.remove(rough.gone, refit=True)
        return better(rough, Found(rough.gone, model, judge.score(model)), budget)

    most = plan.ratio(plan.gone(len(plan.steps)))
    if ratio is None:
        return fitted(furthest(make, most, budget, "fewer multiply-adds", tell))
    if ratio > most:
        raise InputError(f"{ratio:.0%} of the multiply-adds cannot go: at most {most:.0%}", hint=f"--ratio {most:.2f}")
    return enforced(fitted(make(ratio)), budget, "--ratio auto")


def furthest(make: Callable[[float], Found[G]], most: float, budget: Budget, what: str, tell: Progress) -> Found[G]:
    """The model with the largest share up to `most` that keeps the budget, by bisection over models made in a second.

    `what` names what there is more of. BudgetError where none keeps it.
    """
    good, bad, best, last = 0.0, most, None, None
    for number in range(TRIES):
        middle = (good + bad) / 2
        tell(f"trying {middle:.1%} {what} ({number + 1} of {TRIES})")
        last = make(middle)
        if budget.kept(last.score):
            good, best = middle, last
        else:
            bad = middle
    if best is None:
        assert last is not None
        raise BudgetError(
            f"the budget ({budget.text()}) is not kept even with {bad:.1%} {what}: {_text(last.score)}",
            hint="a wider budget; or labels or more samples, if there were few",
        )
    return best


def better(rough: Found[G], fitted: Found[G], budget: Budget) -> Found[G]:
    """The model with all layers fitted, if that serves samples that it was not fitted to."""
    worse = fitted.score.noise >= rough.score.noise or (budget.kept(rough.score) and not budget.kept(fitted.score))
    return rough if worse else fitted


def enforced(found: Found[G], budget: Budget, hint: str) -> Found[G]:
    """The model. BudgetError where it does not keep the budget."""
    if not budget.kept(found.score):
        raise BudgetError(f"the budget ({budget.text()}) is not kept: {_text(found.score)}", hint=hint)
    return found


def _text(score: Score) -> str:
    near = ", ".join(f"{d.output}: SQNR {d.sqnr_db:.1f} dB, agreement {d.agreement:.2%}" for d in score.differences)
    return f"{near}, drop {score.drop:.2f} point(s)"
