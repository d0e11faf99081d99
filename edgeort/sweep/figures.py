"""What of a row is shown how: latency, size, accuracy."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgeort.report.units import milliseconds, number, size
from edgeort.sweep.facts import DONE, SCORES

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Figure:
    """A number of a row. `better` is 1 where more is better, -1 where less is; on `is_log` axes decades are as long."""

    title: str
    value: Callable[[Row], float | None]
    write: Callable[[float], str]
    better: int
    is_log: bool = False

    def of(self, row: Row) -> float | None:
        """The number of a row that is done, if it has one."""
        return self.value(row) if row["status"] == DONE else None


def names(rows: Sequence[Row], column: str) -> list[str]:
    """What stands in a column (a device with the place where it is), once each, in the order of the rows."""
    return list(dict.fromkeys(place(row) if column == "device" else row[column] for row in rows))


def place(row: Row) -> str:
    """`raspberrypi4@ssh:pi`."""
    return str(row["device"]) if row.get("where") is None else f"{row['device']}@{row['where']}"


def latency_ms(row: Row) -> float | None:
    """The median that was measured on the device, or what its profile lets expect."""
    measured = row.get("latency_p50_ms")
    return _number(row, "predicted_ms") if measured is None else float(measured)


def is_predicted(row: Row) -> bool:
    """Whether the latency is one that was not measured."""
    return row.get("latency_p50_ms") is None and row.get("predicted_ms") is not None


def _number(row: Row, column: str) -> float | None:
    return None if row.get(column) is None else float(row[column])


def _column(name: str) -> Callable[[Row], float | None]:
    return lambda row: _number(row, name)


def _score(name: str) -> Callable[[Row], float | None]:
    return lambda row: _number(row, "score") if row.get("score_name") == name else None


LATENCY = Figure("Latency", latency_ms, milliseconds, -1, is_log=True)
SIZE = Figure("Size of the bundle", _column("bundle_bytes"), size, -1, is_log=True)
_PERCENT = ("top1", "exact")
# From the nearest to the task to the plainest.
ACCURACIES = (
    *(
        Figure(f"{title}, %" if name in _PERCENT else title, _score(name), lambda value: f"{value:.4g}", 1)
        for name, title in SCORES.items()
    ),
    Figure("Agreement with the float model", _column("agreement"), lambda value: f"{100 * value:.2f} %", 1),
    Figure("SQNR on the data", _column("data_sqnr_db"), lambda value: f"{value:.1f} dB", 1),
    Figure("SQNR against ONNX Runtime", _column("sqnr_db"), lambda value: f"{value:.1f} dB", 1),
    Figure("Difference from ONNX Runtime", _column("max_difference"), number, -1, is_log=True),
)

JUDGED, _PLAIN = ACCURACIES[:-2], ACCURACIES[-2:]


def accuracies(rows: Sequence[Row]) -> list[Figure]:
    """Those that say something new of some row: the plain ones are of rows that were not judged on data."""
    found, judged = [], set[str]()
    for one in ACCURACIES:
        own = {row["key"] for row in rows if one.of(row) is not None}
        if own - (judged if one in _PLAIN else set()):
            found.append(one)
        judged |= own
    return found


def shade(figure: Figure, value: float, values: Sequence[float]) -> float:
    """Where a value stands between all, 0 the best and 1 the worst; not on log scales where some are 0 or less."""
    finite = [one for one in values if math.isfinite(one)]
    if not math.isfinite(value):
        return 0.0 if value * figure.better > 0 else 1.0
    places = finite
    if figure.is_log and min(finite) > 0:
        places, value = [math.log(one) for one in finite], math.log(value)
    low, high = min(places), max(places)
    place = (value - low) / (high - low) if high > low else 0.0
    return 1.0 - place if figure.better > 0 and high > low else place


def front(rows: Sequence[Row], x: Figure, y: Figure) -> list[Row]:
    """The rows that none is better than in both figures (and better in one), from the best `x` on."""
    known = [(-x.better * a, -y.better * b, row) for row in rows if (a := x.of(row)) is not None
             and (b := y.of(row)) is not None and math.isfinite(a) and not math.isnan(b)]  # fmt: skip
    found: list[Row] = []
    least = math.inf
    for _, worse, row in sorted(known, key=lambda one: one[:2]):
        if worse < least:
            least = worse
            found.append(row)
    return found
