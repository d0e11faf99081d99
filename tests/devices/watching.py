"""Waiting for what happens on a device that is none."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.devices.userland import Userland

MANY = 1_000_000  # runs that do not end before something is done about it


def soon(is_so: Callable[[], object], within_s: float = 60) -> bool:
    """Whether it becomes so."""
    end = time.monotonic() + within_s
    while not (found := is_so()) and time.monotonic() < end:
        time.sleep(0.1)
    return bool(found)


def is_tidy(there: Userland) -> bool:
    """Whether nothing is left of a run but the kept files."""
    return soon(lambda: not there.left() and not there.processes())


def is_running(there: Userland) -> bool:
    return any("edgeort_bench" in process for process in there.processes())
