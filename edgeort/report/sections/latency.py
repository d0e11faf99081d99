"""Latency: its distribution, its course along the runs, and what the device was like meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgeort.report import scales
from edgeort.report.charts import Axis, Label, band, chart, dot, histogram, path
from edgeort.report.document import Document
from edgeort.report.markup import Markup, join, tag
from edgeort.report.page import Cell, Column, details, facts, table, unknown
from edgeort.report.scales import Scale
from edgeort.report.units import NOT_KNOWN, count, milliseconds, milliseconds_axis, number, whole

_SMALL = 110  # pixels of the plots of temperature and frequency
_FIGURES = {
    "p50": "median, p50",
    "p90": "p90",
    "p99": "p99",
    "min": "least",
    "mean": "mean",
    "std": "deviation",
}


def latency(document: Document) -> Markup:
    """Figures, histogram, course, conditions."""
    found = document["latency"]
    if found is None:
        return unknown(document["unknown"]["latency"])
    return join(
        _figures(found),
        _distribution(found),
        _course(found),
        _sustained(found["intervals"]),
        _conditions(found["samples"]),
    )


def _figures(found: dict[str, Any]) -> Markup:
    summary = found["summary"]
    rows: list[tuple[str, object]] = [
        (name, milliseconds(summary[key])) for key, name in _FIGURES.items() if key in summary
    ]
    if "low" in summary:
        interval = f"{milliseconds(summary['low'])} to {milliseconds(summary['high'])}"
        rows.insert(1, ("median, 95 %", interval))
    rows.append(("runs", f"{count(summary['runs'], 'run')}, after {whole(found['warmup_runs'])} to warm up"))
    rows += [("load", milliseconds(found["load_ms"])), ("first run", milliseconds(found["first_run_ms"]))]
    return facts(rows)


def _distribution(found: dict[str, Any]) -> Markup:
    bins, summary = found["histogram"], found["summary"]
    edges, counts = bins["edges_ms"], bins["counts"]
    beyond = f" {count(bins['beyond'], 'run')} took longer than the axis shows." if bins["beyond"] else ""
    kept = f" (one in {found['every']} is kept)" if found["every"] > 1 else ""
    said = f"How many of {count(summary['runs'], 'timed run')}{kept} took how long.{beyond}"
    x = Axis(Scale(edges[0], edges[-1]), milliseconds_axis(edges[-1]), "latency of a run")
    rules = [(name, summary[name]) for name in ("p50", "p90", "p99")]
    return histogram("Distribution of latency", said, x, edges, counts, rules, milliseconds)


def _course(found: dict[str, Any]) -> Markup | None:
    rows = found["along"]
    if len(rows) < 2:
        return None
    ceiling = found["histogram"]["edges_ms"][-1]
    least = min(row["low_ms"] for row in rows)
    y = scales.around([least, min(ceiling, max(row["high_ms"] for row in rows))])
    x = Scale(0, rows[-1]["last"] or 1)
    single = rows[0]["first"] == rows[0]["last"]
    places = [(x.place((row["first"] + row["last"]) / 2), row) for row in rows]

    def height(ms: float) -> float:
        return min(y.place(ms), 1.0)

    if single:
        marks: list[object] = [
            dot(place, height(row["median_ms"]), "c1", f"run {row['first']}: {milliseconds(row['median_ms'])}")
            for place, row in places
        ]
        what = "Each run in its order."
    else:
        marks = [
            band([(place, height(row["low_ms"]), height(row["high_ms"])) for place, row in places]),
            path([(place, height(row["median_ms"])) for place, row in places], "line"),
        ]
        what = f"Medians of {count(rows[0]['last'] - rows[0]['first'] + 1, 'run')} together, and where nine of ten lie."
    cut = " Longer runs are drawn at the upper edge." if any(row["high_ms"] > ceiling for row in rows) else ""
    return chart("Latency over time", what + cut, Axis(x, whole, "number of the run"), _latencies(y), marks)


def _latencies(y: Scale) -> Axis:
    return Axis(y, milliseconds_axis(y.high), "latency of a run")


def _sustained(rows: Sequence[dict[str, Any]]) -> Markup | None:
    """The course of a sustained run."""
    if len(rows) < 2:
        return None
    x = Scale(0, rows[-1]["end_s"] / 60)
    y = scales.around([row[key] for row in rows for key in ("p25_ms", "p75_ms")])
    places = [(x.place((row["start_s"] + row["end_s"]) / 120), row) for row in rows]
    marks = [
        band([(place, y.place(row["p25_ms"]), y.place(row["p75_ms"])) for place, row in places]),
        path([(place, y.place(row["p50_ms"])) for place, row in places], "line"),
    ]
    return chart(
        "Latency under sustained load",
        f"Medians and middle halves of {count(len(rows), 'interval')}.",
        Axis(x, lambda minute: f"{minute:g} min", "time"),
        _latencies(y),
        marks,
    )


def _conditions(samples: Sequence[dict[str, Any]]) -> Markup:
    """Frequency, temperature and governor along the runs, as far as the system told them."""
    governors = sorted({row["governor"] for row in samples if row["governor"]})
    told: list[tuple[str, object]] = [("governor", ", ".join(governors) or _UNTOLD)]
    charts = []
    for key, what, label in _SAMPLED:
        known = [(row["at_s"], row[key]) for row in samples if row[key] is not None]
        if len(known) > 1:
            charts.append(_sampled(known, what, label))
        else:
            told.append((what, label(known[0][1]) if known else _UNTOLD))
    rows = [
        (
            Cell(f"{row['at_s']:.2f} s", row["at_s"]),
            _told(row["mhz"], "MHz"),
            row["governor"] or NOT_KNOWN,
            _told(row["temperature_c"], "°C"),
        )
        for row in samples
    ]
    columns = (Column("After", True), Column("Frequency", True), Column("Governor"), Column("Temperature", True))
    table_ = table("What was sampled between the runs", columns, rows)
    every = details(count(len(rows), "sample"), table_) if charts else None
    return join(tag("h3", "Conditions along the runs"), facts(told), charts, every)


_UNTOLD = f"{NOT_KNOWN}: the system does not tell"
_SAMPLED: tuple[tuple[str, str, Label], ...] = (
    ("mhz", "frequency", lambda mhz: f"{mhz:.0f} MHz"),
    ("temperature_c", "temperature", lambda degrees: f"{number(degrees)} °C"),
)


def _told(value: float | None, unit: str) -> Cell:
    return Cell(NOT_KNOWN, None) if value is None else Cell(f"{number(value, 4)} {unit}", value)


def _sampled(known: Sequence[tuple[float, float]], what: str, label: Label) -> Markup:
    x, y = Scale(known[0][0], max(known[-1][0], known[0][0] + 1e-3)), scales.around([value for _, value in known])
    line = path([(x.place(at), y.place(value)) for at, value in known], "line", height=_SMALL)
    said = f"{count(len(known), 'sample')} between the runs."
    return chart(
        what.capitalize(), said, Axis(x, lambda s: f"{s:g} s", "time"), Axis(y, label, what), [line], height=_SMALL
    )
