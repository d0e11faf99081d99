"""What a search is to reach, and how few samples tell whether a model does.

A limit of SQNR, agreement or drop is kept where a sum over the samples is 0 or more: what each has left of the limit,
its margin. So the first samples tell what all would, where the margins so far lie further on one side than their own
scatter and than a few answers weigh.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from edgeort.quantize.attempts import Attempt
from edgeort.quantize.measuring import Difference

BLOCK = 8  # samples, after each of which margins are looked at
LEAST_BLOCKS = 4  # whose scatter says something
CLEAR = 3.0  # standard errors


@dataclass(frozen=True)
class Margin:
    """What all samples so far have left of a limit, and what a single answer weighs in it; in any unit."""

    left: float
    answer: float = 0.0


class Goal(Protocol):
    """What the search is to reach; `hint` says what to do when it cannot be."""

    @property
    def hint(self) -> str:
        """For the error."""

    def margins(self, attempt: Attempt, *, finally_: bool) -> Iterator[Sequence[Margin]]:
        """Of each limit after a block of samples, after two, ...; the last are those of all samples.

        `finally_`: as the result will be judged, where that differs from what is quick.
        """

    def reached(self, attempt: Attempt) -> str:
        """What it comes to, in words."""

    def text(self) -> str:
        """The goal, in words."""


def kept(goal: Goal, attempt: Attempt) -> bool:
    """Whether a model is good enough: on all samples, but that some may do to see that it is not."""
    return _settled(goal, attempt, to_keep=False)


def seems_kept(goal: Goal, attempt: Attempt) -> bool:
    """The same from no more samples than make it clear."""
    return _settled(goal, attempt, to_keep=True)


def may_keep(goal: Goal, attempt: Attempt) -> bool:
    """The same, where doubt is in favour."""
    return _settled(goal, attempt, to_keep=True, doubt=True)


def kept_on_all(goal: Goal, attempt: Attempt) -> bool:
    """The same on all samples, whatever the first say: those of one class may come one after the other."""
    *_, last = [(), *goal.margins(attempt, finally_=True)]
    return all(margin.left >= 0 for margin in last)


def _settled(goal: Goal, attempt: Attempt, *, to_keep: bool, doubt: bool = False) -> bool:
    blocks: list[Sequence[Margin]] = []
    for margins in goal.margins(attempt, finally_=not to_keep):
        if blocks and len(blocks[-1]) != len(margins):
            blocks = []  # an output has turned out to have unlike parts: they are others than those before
        blocks.append(margins)
        sides = [_side([block[index] for block in blocks]) for index in range(len(margins))]
        if -1 in sides:
            return False
        if to_keep and all(side == 1 for side in sides):
            return True
    if doubt and len(blocks) >= LEAST_BLOCKS:
        return True
    return all(margin.left >= 0 for margin in blocks[-1]) if blocks else True


def _side(seen: Sequence[Margin]) -> int:
    """1 where a limit is clearly kept, -1 where it clearly is not, by what was left after each block; else 0."""
    left = [margin.left for margin in seen]
    if len(seen) < LEAST_BLOCKS or not all(map(math.isfinite, left)):  # no noise at all leaves endless room
        return 0
    each = [after - before for before, after in zip([0.0, *left], left, strict=False)]
    error = CLEAR * (statistics.stdev(each) * math.sqrt(len(each)) + seen[-1].answer)
    return 0 if abs(left[-1]) <= error else 1 if left[-1] > 0 else -1


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

    def margins(self, attempt: Attempt, *, finally_: bool) -> Iterator[list[Margin]]:
        """Of every limit and output: noise that may come on top, answers that may change."""
        compared, samples = attempt.comparison, 0
        while self.is_set and not (compared.is_done and samples >= compared.seen):
            samples += BLOCK
            yield [margin for one in compared.upto(samples) for margin in self._margins(one)]

    def _margins(self, found: Difference) -> Iterator[Margin]:
        if self.sqnr_db is not None:
            yield Margin(found.signal / 10 ** (self.sqnr_db / 10) - found.noise)
        if self.agreement is not None:
            yield Margin(found.same - self.agreement * found.rows, 1.0)

    def reached(self, attempt: Attempt) -> str:
        """What it comes to, in words."""
        return ", ".join(
            f"{d.output}: SQNR {d.sqnr_db:.1f} dB, agreement {d.agreement:.2%}" for d in attempt.differences
        )

    def text(self) -> str:
        """`SQNR >= 25 dB, agreement >= 99 %`."""
        parts = [f"SQNR >= {self.sqnr_db:g} dB"] if self.sqnr_db is not None else []
        return ", ".join(parts + ([f"agreement >= {self.agreement:.4g}"] if self.agreement is not None else []))
