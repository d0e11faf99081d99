"""Measures a bundle against another one in turns, or against an earlier result."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace

from edgeort.bench.measuring import Measurement, measure
from edgeort.bench.paired import Difference, compare
from edgeort.bundle import Bundle
from edgeort.devices import Device, Job
from edgeort.errors import DeviceError

_ROUND_S = 0.1  # of timed runs of one process
_WARMUP_S = 0.05
_LEAST_RUNS = 5
_MOST_RUNS = 20_000
_AGAIN = 10  # processes that are compared with an earlier result
_STUDENT = 2.262  # 97.5 % of Student's distribution of _AGAIN - 1 degrees of freedom


@dataclass(frozen=True)
class Contender:
    """A bundle on an open device, and what was measured of it alone."""

    bundle: Bundle
    device: Device
    found: Measurement


@dataclass(frozen=True)
class Compared:
    """The difference of one from `other`, and the medians of the processes that it was found from, ms.

    Of an earlier result `other_ms` has its one.
    """

    other: str
    difference: Difference
    own_ms: tuple[float, ...]
    other_ms: tuple[float, ...]


def in_turns(own: Contender, other: Contender, job: Job, progress: Callable[[int], None]) -> Compared:
    """Rounds of one process each, until the difference is decided; `progress` gets their number.

    Chance says who is first in a round, and the other one is in the next: whatever it is to be second cancels.
    DeviceError where the times are not those of a device.
    """
    _check_times(own, other)
    times: tuple[list[float], list[float]] = ([], [])
    turn = [(own, times[0]), (other, times[1])]

    def measure_round() -> float:
        if len(times[0]) % 2 or random.random() < 0.5:
            turn.reverse()
        for contender, found in turn:
            found.append(turn_ms(contender, job))
        progress(len(times[0]))
        return math.log(times[0][-1] / times[1][-1])

    return Compared(str(other.bundle.path), compare(measure_round), tuple(times[0]), tuple(times[1]))


def with_earlier(own: Contender, name: str, earlier_ms: float, job: Job, progress: Callable[[int], None]) -> Compared:
    """Several processes of the bundle against the median of one that was measured at another time.

    The interval is Student's for the difference between the mean of n logarithms and one more of their distribution,
    s t sqrt(1 + 1 / n): it holds what processes differ by, and not what the machine has changed by since. DeviceError
    as in `in_turns`.
    """
    _check_times(own)
    times: list[float] = []
    while len(times) < _AGAIN:
        times.append(turn_ms(own, job))
        progress(len(times))
    logs = [math.log(one) for one in times]
    estimate = statistics.fmean(logs) - math.log(earlier_ms)
    margin = _STUDENT * statistics.stdev(logs) * math.sqrt(1 + 1 / len(logs))
    low, high = math.expm1(estimate - margin), math.expm1(estimate + margin)
    found = Difference(math.expm1(estimate), low, high, len(logs))
    return Compared(name, found, tuple(times), (earlier_ms,))


def _check_times(*contenders: Contender) -> None:
    for one in contenders:
        if not one.device.is_real:
            raise DeviceError(
                f"times of {one.device.name} say nothing of how fast {one.bundle.path} is on the device",
                hint="measure where the times are the device's: --on local, --on ssh:HOST",
            )


def turn_ms(contender: Contender, job: Job) -> float:
    """The median of a fresh process, which runs for a moment only: as many runs as `found` lets expect."""
    expected_s = contender.found.latency_ms["p50"] / 1e3
    counts = (math.ceil(part / expected_s) for part in (_ROUND_S, _WARMUP_S))
    runs, warmup = (min(max(count, _LEAST_RUNS), _MOST_RUNS) for count in counts)
    short = replace(job, runs=runs, warmup=warmup, time_s=None, interval_s=None, check=False, profile=False)
    return measure(contender.bundle, contender.device, short).latency_ms["p50"]
