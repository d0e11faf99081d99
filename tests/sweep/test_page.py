"""The page of a sweep."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

pytest.importorskip("pyarrow")

from edgeort.sweep.figures import ACCURACIES, LATENCY, SIZE, Row, accuracies, front, shade
from edgeort.sweep.page import render
from edgeort.sweep.trades import Decades

TOP1, AGREEMENT, DIFFERENCE = ACCURACIES[0], ACCURACIES[-4], ACCURACIES[-1]


def row(model: str = "m", device: str = "d", settings: str = "s", **more: Any) -> Row:
    """A row that is done."""
    plain = {
        "key": f"{model} {device} {settings}", "model": model, "device": device, "where": None, "settings": settings,
        "precision": "float32", "status": "done", "provider": "cpu", "ran_on": "local", "is_real": True,
        "bundle_bytes": 1000, "model_sha256": "0" * 64, "seconds": 1.0, "finished": "2026-01-01T00:00:00Z",
        "machine": "here", "edgeort": "0.1.0+0",
    }  # fmt: skip
    return {**plain, **more}


class Parts(HTMLParser):
    """Tags that are open, texts by the tag that they stand in."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs
        if tag not in ("meta", "input", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.open[-1], data))


def spans(text: str) -> list[str]:
    return [shown for tag, shown in Parts(text).texts if tag == "span"]


def test_measured_and_predicted_latencies_are_told_apart():
    rows = [
        row("a", "pi", latency_p50_ms=12.0),
        row("a", "board", predicted_ms=30.0, is_real=False),
        row("b", "pi", status="failed", error="no kernel", error_kind="UnsupportedError", hint="edgeort inspect b"),
        row("b", "board", status="not run", error="no worker declares the device board", error_kind="DeviceError"),
    ]
    text = render(rows)
    assert "12.0 ms" in spans(text) and "≈ 30.0 ms" in spans(text)
    assert spans(text).count("failed") == 3, "in the maps of latency and size, and in the table"
    assert "no kernel" in text and "edgeort inspect b" in text and "no worker declares the device board" in text


def test_a_page_of_nothing_but_failures():
    text = render([row(status="failed", error="it is broken", error_kind="ModelError", traceback="in faulty <line 3>")])
    Parts(text)
    assert "in faulty &lt;line 3&gt;" in text and "0 of 1" in text


HOSTILE = st.text(max_size=12) | st.sampled_from(
    ["<script>alert(1)</script>", '"><img src=x onerror=1>', "&amp;", "\u202e"]
)


@settings(deadline=None)  # the machine may be busy
@example("", "", "", 2.0, 1.7e308, None)
@example("", "", "", 1.7e308, -1.7e308, None)
@given(HOSTILE, HOSTILE, HOSTILE, st.none() | st.floats(), st.none() | st.floats(), st.none() | st.integers(0, 2**50))
def test_names_and_numbers_of_any_kind(
    model: str, device: str, error: str, latency: float | None, agreement: float | None, rss: int | None
):
    rows = [
        row(model, device, latency_p50_ms=latency, agreement=agreement, peak_rss_bytes=rss),
        row(model, device, "t", latency_p50_ms=1.0, agreement=0.5),
        row(model, device, "u", status="failed", error=error, error_kind="x", hint=error),
    ]
    parts = Parts(render(rows))
    assert sum(tag == "script" for tag, _ in parts.texts) == 1, "no script but the page's own"
    assert not [name for name, _ in parts.attributes if name.startswith("on")]


def test_the_page_is_the_same_for_the_same_rows():
    rows = [row("a", latency_p50_ms=1.0), row("b", latency_p50_ms=2.0)]
    assert render(rows) == render(rows)
    assert not re.search(r'(?:src|href)="(?!#)', render(rows)), "nothing is fetched"


VALUES = st.floats(allow_nan=False)


@settings(deadline=None)  # the machine may be busy
@given(st.lists(VALUES, min_size=1, max_size=9), st.sampled_from([LATENCY, SIZE, TOP1, DIFFERENCE]))
def test_shades_go_from_the_best_to_the_worst(values: list[float], figure):
    if not any(map(math.isfinite, values)):
        return
    shades = [shade(figure, value, values) for value in values]
    assert all(0 <= one <= 1 for one in shades)
    ordered = sorted(zip(values, shades, strict=True), key=lambda pair: -figure.better * pair[0])
    assert [one for _, one in ordered] == sorted(shades)


def beaten(one: tuple[float, float], points: Sequence[tuple[float, float]]) -> bool:
    """Whether another has no more latency and no less agreement, and is better in one of them."""
    return any(a <= one[0] and b >= one[1] and (a, b) != one for a, b in points)


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 6)), max_size=12))
def test_the_front_is_what_nothing_beats(points: list[tuple[int, int]]):
    rows = [row(str(at), latency_p50_ms=a, agreement=b / 6) for at, (a, b) in enumerate(points)]
    found = front(rows, LATENCY, AGREEMENT)
    values = [(float(one["latency_p50_ms"]), one["agreement"]) for one in found]
    everything = [(float(a), b / 6) for a, b in points]
    assert set(values) == {one for one in everything if not beaten(one, everything)}
    assert values == sorted(values) and len(set(values)) == len(values)


def test_charts_are_of_what_differs():
    settings = [("fast", 1.0, 0.9, 1000), ("exact", 3.0, 1.0, 1000), ("bad", 4.0, 0.8, 1000)]
    rows = [
        row("net", "pi", name, latency_p50_ms=ms, agreement=share, bundle_bytes=size)
        for name, ms, share, size in settings
    ]
    text = render(rows)
    assert "Agreement with the float model against latency, pi" in text
    assert "No other cell beats net fast, net exact." in text
    assert "Size of the bundle against latency" not in text, "all are of one size"


def test_the_plain_distance_is_shown_of_what_data_do_not_judge():
    judged = row("a", max_difference=1e-7, agreement=0.5)
    assert accuracies([judged]) == [AGREEMENT]
    assert accuracies([judged, row("b", max_difference=1e-6)]) == [AGREEMENT, DIFFERENCE]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0.8, 30, [1, 2, 5, 10, 20]), (0.01, 5000, [0.01, 0.1, 1, 10, 100, 1000]), (2.1, 3.4, [2.5, 3])],
)
def test_ticks_of_logarithmic_axes(low: float, high: float, ticks: list[float]):
    scale = Decades(low, high)
    assert scale.ticks(5) == pytest.approx(ticks)
    assert scale.place(low) == 0 and scale.place(high) == pytest.approx(1)
    assert scale.place(math.sqrt(low * high)) == pytest.approx(0.5)
