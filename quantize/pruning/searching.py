"""How far to prune: to a share of the multiply-adds, or as far as a budget of accuracy allows.

The noise rises with every step of the ledger, so bisection finds the last one within the budget.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from edgeort.errors import BudgetError, InputError
from edgeort.progress import Progress
from edgeort.quantize.pruning.judging import Budget, Judge, Score
from edgeort.quantize.pruning.ledger import Costs, Step
from edgeort.quantize.pruning.removing import Remover

TRIES = 6  # of bisection


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
class Found:
    """A pruned model, the channels that are gone, and its score."""

    gone: set[int]
    model: bytes
    score: Score


def search(plan: Plan, remover: Remover, judge: Judge, ratio: float | None, budget: Budget, tell: Progress) -> Found:
    """The model without that share of its multiply-adds, or without as much as the budget allows.

    InputError for a share that is not there to go, BudgetError where the budget is not kept.
    """
    most = plan.ratio(plan.gone(len(plan.steps)))
    if ratio is None:
        return _fitted(_bisect(plan, remover, judge, budget, most, tell), remover, judge, budget)
    if ratio > most:
        raise InputError(f"{ratio:.0%} of the multiply-adds cannot go: at most {most:.0%}", hint=f"--ratio {most:.2f}")
    found = _fitted(_make(plan.gone(plan.first(ratio)), remover, judge), remover, judge, budget)
    if not budget.kept(found.score):
        raise BudgetError(f"the budget ({budget.text()}) is not kept: {_text(found.score)}", hint="--ratio auto")
    return found


def _bisect(plan: Plan, remover: Remover, judge: Judge, budget: Budget, most: float, tell: Progress) -> Found:
    """Bisection over unfitted models, which are made in a second."""
    good, bad, best, last = 0.0, most, None, None
    for number in range(TRIES):
        middle = (good + bad) / 2
        tell(f"trying {middle:.1%} of the multiply-adds ({number + 1} of {TRIES})")
        last = _make(plan.gone(plan.first(middle)), remover, judge)
        if budget.kept(last.score):
            good, best = middle, last
        else:
            bad = middle
    if best is None:
        assert last is not None
        raise BudgetError(
            f"the budget ({budget.text()}) is not kept even with {bad:.1%} fewer multiply-adds: {_text(last.score)}",
            hint="a wider budget; or labels or more samples, if there were few",
        )
    return best


def _make(gone: set[int], remover: Remover, judge: Judge, *, refit: bool = False) -> Found:
    model = remover.remove(gone, refit=refit)
    return Found(gone, model, judge.score(model))


def _fitted(rough: Found, remover: Remover, judge: Judge, budget: Budget) -> Found:
    """The model with all layers fitted, if that serves samples that it was not fitted to."""
    found = _make(rough.gone, remover, judge, refit=True)
    worse = found.score.noise >= rough.score.noise or (budget.kept(rough.score) and not budget.kept(found.score))
    return rough if worse else found


def _text(score: Score) -> str:
    near = ", ".join(f"{d.output}: SQNR {d.sqnr_db:.1f} dB, agreement {d.agreement:.2%}" for d in score.differences)
    return f"{near}, drop {score.drop:.2f} point(s)"
