"""How long a probe times kernels: about as long as was asked for, and on slow devices no longer than it must."""

from __future__ import annotations

import pytest

from edgeort.probing import timing
from edgeort.probing.timing import Stopwatch, effort


@pytest.mark.parametrize(
    ("once_ms", "milliseconds", "want"),
    [(0.0, 500, (8, 1000)), (1.0, 500, (8, 62)), (100.0, 500, (8, 3)), (499.0, 500, (8, 3)), (500.0, 500, (3, 1))],
)
def test_how_often(once_ms: float, milliseconds: float, want: tuple[int, int]):
    assert effort(once_ms, milliseconds) == want


def test_a_slow_device_is_timed_a_few_times_and_it_says_how_long(monkeypatch: pytest.MonkeyPatch):
    watch, ran, told = Stopwatch.__new__(Stopwatch), [], list[str]()
    watch._milliseconds, watch.plans = 500, {"int8": timing.Plan(b"", (), (("a/0", "Conv", timing.Cost(1, 0, 1)),))}

    def run(kind: str, threads: int, runs: int) -> dict[str, object]:
        ran.append((kind, threads, runs))
        return {"latency_ms": {"p50": 4000.0}, "profile": [{"name": "a/0", "ms": 4000.0 + len(ran)}]}

    monkeypatch.setattr(watch, "_run", run)
    (found,) = watch.time(2, told.append)
    assert ran == [("int8", 2, 1)] * 4  # one to know how slow it is
    assert found.us == 4002.0 * 1e3  # the best
    assert told == ["timing int8 kernels with 2 thread(s)", "timing int8 kernels with 2 thread(s): about 36 s"]
