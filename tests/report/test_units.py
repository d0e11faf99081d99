"""Numbers and axes."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgeort.report import scales, units
from edgeort.report.scales import Scale


@pytest.mark.parametrize(
    "value, text",
    [
        (0, "0"), (12345, "12\u202f345"), (999.6, "1\u202f000"), (1.234, "1.23"), (0.01234, "0.0123"),
        (1.2e-8, "1.20e-08"), (-4.5, "-4.50"), (math.inf, "inf"), (math.nan, "nan"),
    ],
)  # fmt: skip
def test_numbers(value: float, text: str):
    assert units.number(value) == text


@pytest.mark.parametrize(
    "value, text",
    [(None, "not known"), (0, "0"), (0.0123, "12.3 µs"), (0.5, "500 µs"), (6.97, "6.97 ms"), (1200, "1.20 s")],
)
def test_milliseconds(value: float | None, text: str):
    assert units.milliseconds(value) == text


@pytest.mark.parametrize(
    "value, text",
    [
        (None, "not known"), (0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (394_200, "394 kB"), (999_900, "1.00 MB"),
        (85_800_000, "85.8 MB"), (7.5e12, "7\u202f500 GB"),
    ],
)  # fmt: skip
def test_sizes(value: float | None, text: str):
    assert units.size(value) == text


def test_counts_and_shares():
    assert units.count(1, "node") == "1 node" and units.count(10_000, "node") == "10\u202f000 nodes"
    assert units.percent(0.1234) == "12.3 %" and units.percent(None) == "not known"
    assert units.percent(1.036) == "103.6 %" and units.percent(97.5) == "97.5 times"


def test_an_axis_has_one_unit():
    assert [units.milliseconds_axis(0.2)(tick) for tick in (0, 0.05, 0.2)] == ["0", "50 µs", "200 µs"]
    assert [units.size_axis(3e6)(tick) for tick in (0, 5e5, 3e6)] == ["0", "0.5 MB", "3 MB"]


@settings(deadline=None)
@given(st.floats(-1e9, 1e9), st.floats(1e-9, 1e9))
def test_ticks_are_round_few_and_within(low: float, span: float):
    scale = Scale(low, low + span)
    ticks = scale.ticks(5)
    assert len(ticks) <= 11
    assert all(low - 1e-6 * span <= tick <= low + span * (1 + 1e-6) + 1e-6 * abs(low) for tick in ticks)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e12), min_size=1))
@example([5e-324])
def test_from_zero_holds_all(values: list[float]):
    scale = scales.from_zero(values)
    assert scale.low == 0 and scale.high >= max(values) * (1 - 1e-9)
    assert 0 <= scale.place(max(values)) <= 1 + 1e-9


@settings(deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_around_holds_all(values: list[float]):
    scale = scales.around(values)
    assert all(0 <= scale.place(value) <= 1 for value in values)
