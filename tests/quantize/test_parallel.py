"""A map over samples on all cores: in order, and it may be left at any time."""

from __future__ import annotations

import threading

import pytest

from edgeort.quantize.parallel import ordered_map


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_come_in_order(workers: int) -> None:
    assert list(ordered_map(lambda item: item * item, range(20), workers)) == [item * item for item in range(20)]


def test_an_error_is_the_callers() -> None:
    with pytest.raises(ZeroDivisionError):
        list(ordered_map(lambda item: 1 // item, [2, 1, 0, 3]))


def test_one_that_is_left_early_is_not_waited_for() -> None:
    """The garbage collector may close it, in a thread that must not wait for others."""
    begun, goes_on = threading.Event(), threading.Event()

    def held_up(item: int) -> int:
        if item:
            begun.set()
            goes_on.wait(60)
        return item

    found = ordered_map(held_up, range(9), 1)
    assert next(found) == 0 and begun.wait(60)
    closing = threading.Thread(target=found.close, daemon=True)  # type: ignore[attr-defined]
    closing.start()
    closing.join(10)
    waited = closing.is_alive()
    goes_on.set()
    assert not waited
