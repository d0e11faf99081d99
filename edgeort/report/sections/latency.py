"""Latency: its distribution, its course along the runs, and what the device was like meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgeort.report import scales
from edgeort.report.charts import HEIGHT, Axis, across, band, chart, histogram, path
from edgeort.report.document import Document
from edgeort.report.markup import Markup, join, tag
from edgeort.report.page import Cell, Column, details, facts, table, unknown
from edgeort.report.scales import Scale
from edgeort.report.units import count, milliseconds, number

_SMALL = 110  # pixels of the plots of temperature and frequency
_FIGURES = {
    "min": "least", "p50": "p50, the median", "p90": "p90", "p99": "p99", "mean": "mean", "std": "standard deviation",
}  # fmt: skip


def latency(document: Document) -> Markup:
    """Figures, histogram, course, conditions."""
    found = document["latency"]
    if found is None:
        return unknown(document["unknown"]["latency"])
    return join(
        _figures(found), _distribution(found), _course(found), _sustained(found["intervals"]), _conditions(found["samples"]),
    )  # fmt: skip


def _figures(found: dict[str, Any]) -> Markup:
    summary = found["summary"]
    rows: list[tuple[str, object]] = [
        (name, milliseconds(summary[key])) for key, name in _FIGURES.items() if key in summary
    ]
    if "low" in summary:
        interval = f"{milliseconds(summary['low'])} to {milliseconds(summary['high'])}"
        rows.append(("95 % interval", f"{interval}, of the median, by bootstrap"))
    rows.append(
        (
            "runs",
            f"{summary['runs']:,}, after {count(found['warmup_runs'], 'run')} to warm up".replace(",", "\u202f", 1),
        )
    )
    rows += [("load", milliseconds(found["load_ms"])), ("first run", milliseconds(found["first_run_ms"]))]
    return facts(rows)


def _distribution(found: dict[str, Any]) -> Markup:
    bins, summary = found["histogram"], found["summary"]
    beyond = f" {count(bins['beyond'], 'run')} took longer than the axis shows." if bins["beyond"] else ""
    rules = [(name, summary[name]) for name in ("p50", "p90", "p99")]
    return histogram(
        "Distribution of latency", f"How many of {count(sum(bins['counts']) + bins['beyond'], 'timed run')} took how long.{beyond}",
        bins["edges_ms"], bins["counts"], rules, milliseconds, "latency of a run",
    )  # fmt: skip


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
    height = [lambda ms: min(y.place(ms), 1.0)][0]
    if single:
        marks: list[object] = [_dot(place, height(row["median_ms"]), row) for place, row in places]
        what = "Each run in its order."
    else:
        marks = [
            band([(place, height(row["low_ms"]), height(row["high_ms"])) for place, row in places]),
            path([(place, height(row["median_ms"])) for place, row in places], "line"),
        ]
        what = f"Medians, and from least to most, of {count(rows[0]['last'] - rows[0]['first'] + 1, 'run')} together."
    cut = " Longer runs are drawn at the upper edge." if any(row["high_ms"] > ceiling for row in rows) else ""
    return chart(
        "Latency over time", what + cut, Axis(x, lambda run: f"{run:.0f}", "number of the run"), Axis(y, milliseconds, "latency of a run"), marks,
    )  # fmt: skip


def _dot(place: float, height: float, row: dict[str, Any]) -> Markup:
    told = f"run {row['first']}: {milliseconds(row['median_ms'])}"
    return tag("circle", tag("title", told), class_="dot c1", cx=across(place), cy=HEIGHT * (1 - height), r=3)


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
        "Latency under sustained load", f"Medians and middle halves of {count(len(rows), 'interval')}.",
        Axis(x, lambda minute: f"{minute:g} min", "time"), Axis(y, milliseconds, "latency of a run"), marks,
    )  # fmt: skip


def _conditions(samples: Sequence[dict[str, Any]]) -> Markup:
    """Frequency and temperature along the runs, as far as the system told them."""
    made = [
        _sampled(samples, "mhz", "Frequency of the CPU", lambda mhz: f"{mhz:.0f} MHz", "frequency"),
        _sampled(samples, "temperature_c", "Temperature", lambda degrees: f"{number(degrees)} °C", "temperature"),
    ]
    governors = sorted({row["governor"] for row in samples if row["governor"]})
    told = facts([("governor", ", ".join(governors) or "not known: the system does not tell")])
    rows = [
        (Cell(f"{row['at_s']:.2f} s", row["at_s"]), _told(row["mhz"], "MHz"), row["governor"] or "not known", _told(row["temperature_c"], "°C"))
        for row in samples
    ]  # fmt: skip
    columns = (Column("After", True), Column("Frequency", True), Column("Governor"), Column("Temperature", True))
    every = (
        details(count(len(rows), "sample"), table("What was sampled between the runs", columns, rows)) if rows else None
    )
    return join(tag("h3", "Conditions along the runs"), told, made, every)


def _told(value: float | None, unit: str) -> Cell:
    return Cell("not known", None) if value is None else Cell(f"{number(value, 4)} {unit}", value)


def _sampled(samples: Sequence[dict[str, Any]], key: str, title: str, label: Any, what: str) -> Markup:
    rows = [(row["at_s"], row[key]) for row in samples if row[key] is not None]
    if len(rows) < 2:
        if rows:
            return tag("p", f"{title}: {label(rows[0][1])}, sampled once.")
        return unknown(f"{title}: the system does not tell, or nothing was sampled.")
    x, y = Scale(rows[0][0], max(rows[-1][0], rows[0][0] + 1e-3)), scales.around([value for _, value in rows])
    line = path([(x.place(at), y.place(value)) for at, value in rows], "line", height=_SMALL)
    return chart(
        title, f"{count(len(rows), 'sample')} between the runs.", Axis(x, lambda s: f"{s:g} s", "time"), Axis(y, label, what),
        [line], height=_SMALL,
    )  # fmt: skip
