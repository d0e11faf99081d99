"""A budget is judged on no more samples than make it clear, and kept only on all."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest

from edgeort.quantize.goals import BLOCK, Margin, kept, may_keep, seems_kept


class Goal:
    """One limit; `each` is what a block has left of it."""

    def __init__(self, each: list[float], answer: float) -> None:
        self.each, self.answer, self.judged = each, answer, 0

    def margins(self, _: object, *, finally_: bool) -> Iterator[list[Margin]]:
        left = 0.0
        for one in self.each:
            left, self.judged = left + one, self.judged + 1
            yield [Margin(left, self.answer)]


STEADY = [1.0, 1.2, 0.9, 1.1] * 4


@pytest.mark.parametrize(
    ("each", "answer", "seems", "judged"),
    [
        (STEADY, 0.0, True, 4),
        ([-one for one in STEADY], 0.0, False, 4),
        ([0.08] * 16, 1.0, True, 16),  # no answer differs yet: a few might, and use up what is left
        ([5.0, -4.0] * 7 + [1.0, -9.0], 0.0, False, 16),  # it scatters: all have to be judged
        ([5.0, -4.0] * 8, 0.0, True, 16),
    ],
)
def test_as_many_samples_as_make_it_clear(each: list[float], answer: float, seems: bool, judged: int) -> None:
    goal: Any = Goal(each, answer)
    assert seems_kept(goal, None) is seems and goal.judged == judged  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("each", "may"),
    [
        ([-one for one in STEADY], False),
        ([-0.01] * 16, True),  # an answer would make up for it
        ([5.0, -4.0] * 7 + [1.0, -9.0], True),
        ([-0.01], False),  # too few to tell
    ],
)
def test_what_is_in_doubt_may_be_kept(each: list[float], may: bool) -> None:
    assert may_keep(Goal(each, 1.0), None) is may  # type: ignore[arg-type]


def test_a_budget_is_kept_on_all_samples_only() -> None:
    """What seems kept on the first may not be; what clearly is not needs no more."""
    goal: Any = Goal([*STEADY, -100.0], 0.0)
    assert seems_kept(goal, None) and not kept(goal, None)  # type: ignore[arg-type]
    assert goal.judged == 4 + len(STEADY) + 1
    over: Any = Goal([-one for one in STEADY], 0.0)
    assert not kept(over, None) and over.judged == 4  # type: ignore[arg-type]
    assert BLOCK > 1


class Several:
    """Limits by block, of which there may be more from one block to the next."""

    def __init__(self, blocks: list[list[float]]) -> None:
        self.blocks = blocks

    def margins(self, _: object, *, finally_: bool) -> Iterator[list[Margin]]:
        for block in self.blocks:
            yield [Margin(left) for left in block]


def test_an_output_that_turns_out_to_have_unlike_parts_is_judged_in_them() -> None:
    whole, parts = [[1.0 * n] for n in range(1, 6)], [[0.1 * n, -1.0] for n in range(6, 9)]
    goal: Any = Several([*whole, *parts])
    assert not kept(goal, None)  # type: ignore[arg-type]
    late: Any = Several([*whole[:2], *([0.1 * n, 0.2 * n] for n in range(3, 9))])
    assert kept(late, None) and seems_kept(late, None)  # type: ignore[arg-type]


def test_a_model_without_noise_has_endless_room() -> None:
    goal: Any = Several([[math.inf]] * 6)
    assert kept(goal, None) and seems_kept(goal, None)  # type: ignore[arg-type]
    noisy: Any = Several([*[[math.inf]] * 5, [-1.0], [-2.0]])
    assert not kept(noisy, None) and not seems_kept(noisy, None)  # type: ignore[arg-type]
