"""Budgets: what is judged, what is not, and what is said when one is exceeded."""

from __future__ import annotations

import dataclasses

import pytest

from edgeort.bench import Measurement, enforce, judge
from edgeort.errors import BudgetError

FOUND = Measurement(
    device="local",
    is_real=True,
    isa="v3",
    threads=1,
    load_ms=1,
    first_run_ms=1,
    latency_ms={"p50": 12.5},
    weights_bytes=0,
    arena_bytes=0,
    peak_rss_bytes=3 << 20,
    digest="0",
    outputs=[],
    check=None,
    profile=[],
)


def test_every_budget_is_judged_in_its_unit():
    verdicts = judge({"latency_ms": 10, "ram_mb": 4, "size_kb": 100}, 50 * 1024, FOUND)
    assert {v.budget: (v.measured, v.is_kept) for v in verdicts} == {
        "latency_ms": (12.5, False),
        "ram_mb": (3, True),
        "size_kb": (50, True),
    }


def test_emulated_figures_judge_nothing():
    verdicts = judge({"latency_ms": 10, "ram_mb": 1, "size_kb": 1}, 2048, dataclasses.replace(FOUND, is_real=False))
    assert {v.budget: v.is_kept for v in verdicts} == {"latency_ms": None, "ram_mb": None, "size_kb": False}


def test_without_a_measurement_the_size_is_judged():
    verdicts = judge({"latency_ms": 10, "ram_mb": 1, "size_kb": 1}, 2048, None)
    assert {v.budget: v.is_kept for v in verdicts} == {"latency_ms": None, "ram_mb": None, "size_kb": False}


def test_no_budget_is_no_verdict():
    assert judge({}, 0, FOUND) == []
    enforce([])


def test_the_limit_itself_is_kept():
    enforce(judge({"latency_ms": 12.5}, 0, FOUND))


def test_what_is_exceeded_is_said_with_how_much_and_what_helps():
    with pytest.raises(BudgetError) as caught:
        enforce(judge({"latency_ms": 10, "size_kb": 100, "ram_mb": 100}, 150 * 1024, FOUND))
    said = str(caught.value)
    assert "latency_ms is 12.5 ms, 25% over the budget of 10" in said
    assert "size_kb is 150 KiB, 50% over the budget of 100" in said and "ram_mb" not in said
    assert caught.value.exit_code == 1 and "--threads" in str(caught.value.hint)
