"""Charts of a sweep: what latency costs in size and accuracy, device by device."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from edgeort.report.bars import colour
from edgeort.report.charts import HEIGHT, Axis, across, chart, path
from edgeort.report.markup import Markup, join, tag
from edgeort.report.page import details
from edgeort.report.scales import Scale, around
from edgeort.report.units import milliseconds
from edgeort.sweep.figures import JUDGED, LATENCY, SIZE, Figure, Row, front, is_predicted, latency_ms, names, place

_LABELLED = 6  # cells of a front whose names stand beside them
_ROOM = 1.15  # between the outermost values and the ends of a logarithmic axis
_OPEN = 4  # devices whose charts are not folded up


def trades(rows: Sequence[Row]) -> Markup | None:
    """Of each device: latency against size and against what data say, where these differ; the cells that none beats."""
    made = []
    for device in names(rows, "device"):
        own = [row for row in rows if place(row) == device]
        charts = [one for y in (SIZE, *JUDGED) if (one := _trade(own, device, y)) is not None]
        if charts:
            made.append((device, join(charts)))
    if not made:
        return None
    head = tag(
        "p",
        "A point is a cell; the line joins those that no other beats in both figures, where their models are for the "
        "same task.",
    )
    return join(head, [details(device, charts, is_open=at < _OPEN) for at, (device, charts) in enumerate(made)])


def _trade(rows: Sequence[Row], device: str, y: Figure) -> Markup | None:
    points = [
        (a, b, row)
        for row in rows
        if (a := LATENCY.of(row)) is not None and (b := y.of(row)) is not None and a > 0 and math.isfinite(b)
    ]
    if min(len({point[0] for point in points}), len({point[1] for point in points})) < 2:
        return None
    x_axis, up = _axis(LATENCY, [a for a, _, _ in points]), _axis(y, [b for _, b, _ in points])
    models = list(dict.fromkeys(row["model"] for _, _, row in points))
    places = {row["key"]: (x_axis.scale.place(a), up.scale.place(b)) for a, b, row in points}
    best = [row["key"] for row in front(rows, LATENCY, y) if row["key"] in places]
    marks = [path([places[name] for name in best], "line second")] if len(best) > 1 else []
    for _, _, row in points:
        marks.append(_point(*places[row["key"]], colour(models.index(row["model"])), _told(row, y)))
    for at, name in enumerate(_named(rows, best) if len(best) <= _LABELLED else ()):
        marks.append(_label(*places[best[at]], name))
    legend = [(colour(at), name) for at, name in enumerate(models[:5])] + ([("c6", "others")] if models[5:] else [])
    better = "lower" if y.better < 0 else "higher"
    said = f"Left and {better} is better. No other cell beats {', '.join(_named(rows, best))}."
    return chart(f"{y.title} against latency, {device}", said, x_axis, up, marks, legend=legend)


def _point(left: float, high: float, kind: str, told: str) -> Markup:
    """Larger than a run's: there are few."""
    return tag("circle", tag("title", told), class_=f"dot {kind}", cx=across(left), cy=HEIGHT * (1 - high), r=5)


def _label(left: float, high: float, name: str) -> Markup:
    side = "start" if left < 0.1 else "end" if left > 0.9 else "middle"
    return tag("text", name, class_="strong", x=across(left), y=HEIGHT * (1 - high) - 10, text_anchor=side)


def _named(rows: Sequence[Row], keys: Sequence[str]) -> list[str]:
    return [f"{row['model']} {row['settings']}" for key in keys for row in rows if row["key"] == key]


def _told(row: Row, y: Figure) -> str:
    value, sign = y.of(row), "≈ " if is_predicted(row) else ""
    assert value is not None
    return f"{row['model']}, {row['settings']}: {sign}{milliseconds(latency_ms(row))}, {y.write(value)}"


@dataclass(frozen=True)
class Decades(Scale):
    """A logarithmic axis from `low` to `high`, both above 0."""

    def place(self, value: float) -> float:
        """0 at `low`, 1 at `high`."""
        return Scale(math.log10(self.low), math.log10(self.high)).place(math.log10(value))

    def ticks(self, wanted: int = 5) -> list[float]:
        """1, 2 and 5 times powers of ten; where these are too many, the powers alone."""
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for factors in ((1, 2, 5), (1,)):
            round_ones = (float(f"{factor}e{power}") for power in powers for factor in factors)
            found = [value for value in round_ones if self.low <= value <= self.high]
            if len(found) <= wanted + 3:
                break
        return found if len(found) > 1 else Scale(self.low, self.high).ticks(wanted)


def _axis(figure: Figure, values: Sequence[float]) -> Axis:
    if figure.is_log and min(values) > 0:
        return Axis(
            Decades(min(values) / _ROOM, min(max(values) * _ROOM, sys.float_info.max)), figure.write, figure.title
        )
    return Axis(around(list(values)), figure.write, figure.title)
