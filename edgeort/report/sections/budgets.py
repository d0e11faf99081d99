"""Budgets: what each is, what was measured, whether it is kept."""

from __future__ import annotations

from typing import Any

from edgeort.report.bars import share
from edgeort.report.document import Document
from edgeort.report.markup import Markup, join, tag
from edgeort.report.page import Cell, Column, chip, table, unknown
from edgeort.report.units import NOT_KNOWN, number, percent

_NAMES = {
    "latency_ms": "median latency",
    "size_kb": "size of the bundle",
    "ram_mb": "peak memory of the process",
    "max_drop": "points of accuracy lost, at most",
    "min_agreement": "agreement with the float model, at least",
    "min_sqnr_db": "SQNR of the outputs, at least",
    "min_sqnr": "SQNR of the outputs, at least",
}
_VERDICTS = {None: chip("not judged"), True: chip("✓ kept", "good"), False: chip("✗ not kept", "bad")}
_BY = {"profile": "profile of the device", "build": "edgeort build", "validate": "edgeort validate"}


def budgets(document: Document) -> Markup:
    """The table of all budgets."""
    rows = document["budgets"]
    if not rows:
        return tag("p", document["unknown"]["budgets"])
    columns = (
        Column("Budget"),
        Column("Limit", True),
        Column("Measured", True),
        Column("Of the limit"),
        Column("Verdict"),
        Column("Set by"),
    )
    missing = None if all(row["measured"] is not None for row in rows) else _missing(document)
    return join(table("Each budget and its verdict", columns, [_row(row) for row in rows]), missing)


def _missing(document: Document) -> Markup | None:
    why = document["unknown"].get("latency")
    return None if why is None else unknown(why)


def _row(row: dict[str, Any]) -> tuple[object, ...]:
    unit, measured = row["unit"], row["measured"]
    limit = Cell(f"{number(row['limit'])} {unit}".rstrip(), row["limit"])
    shown = Cell("not judged here", None) if measured is None else Cell(f"{number(measured)} {unit}".rstrip(), measured)
    return _NAMES.get(row["budget"], row["budget"]), limit, shown, _used(row), _VERDICTS[row["is_kept"]], _BY[row["by"]]


def _used(row: dict[str, Any]) -> object:
    """How much of a limit is taken; of a least value, how far above it."""
    measured, limit = row["measured"], row["limit"]
    if measured is None:
        return NOT_KNOWN
    if limit <= 0:
        return "nothing is allowed"
    if row["budget"].startswith("min_"):
        return f"{percent(abs(measured / limit - 1))} {'above' if measured >= limit else 'below'}"
    return share(measured / limit, "c3" if row["is_kept"] else "c2")
