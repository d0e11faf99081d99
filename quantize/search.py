"""Finds the fewest layers to leave in float so that a budget of accuracy is kept.

Every layer's own noise is measured once: the model with this layer alone in int8, not refined. Layers are then promoted
to float in the order of noise saved per cost: the share of bytes that float adds, and, where the device's rates are
known, the share of time. The number of promotions is doubled until the budget is kept, then
halved in between, each time with the complete model, refined and measured.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from edgeort.errors import BudgetError
from edgeort.progress import Progress
from edgeort.quantize import costs
from edgeort.quantize.attempts import Attempt, Attempts
from edgeort.quantize.costs import Rates
from edgeort.quantize.layers import Layer

SAMPLES = 16  # on which a layer's own noise is measured
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
    """A line of the ledger: a layer, the SQNR with it alone in int8, what float adds, and the verdict.

    `added_ms` is an estimate by the device's rates; None where no device is known.
    """

    layer: str
    alone_db: float
    added_bytes: int
    promoted: bool = False
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
    ledger = rank(attempts, best.selection.layers, exclude, progress, rates)
    enough, short, found = 0, 0, None
    while found is None:
        enough = min(max(2 * short, 1), len(ledger) - 1)
        trial = _promoted(attempts, exclude, ledger, enough, progress)
        if budget.kept(trial):
            found = trial
        elif enough == len(ledger) - 1 or len(ledger) == 1:
            raise _over(budget, trial, ledger)
        else:
            short = enough
    while enough - short > 1:
        middle = (enough + short) // 2
        trial = _promoted(attempts, exclude, ledger, middle, progress)
        if budget.kept(trial):
            enough, found = middle, trial
        else:
            short = middle
    return found, [replace(entry, promoted=index < enough) for index, entry in enumerate(ledger)]


def rank(
    attempts: Attempts,
    layers: Sequence[Layer],
    exclude: Collection[str],
    progress: Progress | None,
    rates: Rates | None = None,
) -> list[Entry]:
    """The layers by noise per cost, the worst first."""
    names, found = {layer.name for layer in layers}, []
    prices = costs.of(layers, rates)
    for number, layer in enumerate(layers, 1):
        if progress:
            progress(f"measuring layer {number} of {len(layers)}")
        differences = attempts.roughly({*exclude, *names} - {layer.name}, SAMPLES)
        noise = max((d.noise / d.signal if d.signal else 0.0) for d in differences)
        worst = min(d.sqnr_db for d in differences)
        price = prices[layer.name]
        found.append((noise / price.share, Entry(layer.name, worst, price.added_bytes, added_ms=price.added_ms)))
    return [entry for _, entry in sorted(found, key=lambda pair: -pair[0])]


def _promoted(
    attempts: Attempts, exclude: Collection[str], ledger: Sequence[Entry], count: int, progress: Progress | None
) -> Attempt:
    if progress:
        progress(f"trying with {count} of {len(ledger)} layers in float")
    return attempts.make({*exclude, *(entry.layer for entry in ledger[:count])})


def _over(budget: Goal, trial: Attempt, ledger: Sequence[Entry]) -> BudgetError:
    worst = ", ".join(f"{e.layer} ({e.alone_db:.1f} dB alone)" for e in ledger[:NAMED])
    return BudgetError(
        f"the budget ({budget.text()}) is not kept even with all layers but one in float: {budget.reached(trial)}; "
        f"the most noise comes from {worst}",
        hint=budget.hint,
    )
