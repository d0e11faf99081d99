"""What is in use at each step, against a count of every line of every block at every step."""

from __future__ import annotations

from typing import Any

import pytest

from edgeort.bench import measure
from edgeort.bundle import Bundle
from edgeort.devices import Job, open_device
from edgeort.report.arena import arena
from tests.report.support import many_nodes, measured


def covered(blocks: list[dict[str, Any]]) -> int:
    """Of whole cache lines, each counted once where blocks lie over one another."""
    return 64 * len({line for b in blocks for line in range(b["offset"] // 64, (b["offset"] + b["bytes"]) // 64)})


@pytest.mark.parametrize("n", [1, 7, 300])
def test_use_is_the_sum_of_what_lives(n: int):
    found = measured(many_nodes(n))
    told = arena(found)
    assert told is not None
    for step in range(n):
        alive = [b for b in found.memory if b["first"] <= step <= b["last"] or (step == n - 1 and b["last"] >= n)]
        assert told["use_bytes"][step] == covered(alive)
    peak = told["peak"]
    assert peak["bytes"] == max(told["use_bytes"]) == covered(peak["blocks"])
    assert peak["node"] == found.profile[peak["step"]]["name"]


def test_a_real_plan_never_needs_more_than_its_arena(digits: Bundle):
    with open_device(None, digits.manifest) as device:
        found = measure(digits, device, Job(1, runs=1, warmup=0, profile=True))
    told = arena(found)
    assert told is not None and told["laid_out_bytes"] == found.arena_bytes
    assert len(told["use_bytes"]) == len(digits.manifest.nodes)
    assert 0 < max(told["use_bytes"]) <= found.arena_bytes


def test_a_harness_that_does_not_tell():
    assert arena(measured(many_nodes(3), memory=[])) is None
    assert arena(measured(many_nodes(3), profile=[])) is None
