"""The table from which the provider was chosen."""

from __future__ import annotations

from typing import Any

from edgeort.report.document import Document
from edgeort.report.markup import Markup, code, join, tag
from edgeort.report.page import Column, chip, details, known, table
from edgeort.report.units import NOT_KNOWN, count, milliseconds, number, size


def providers(document: Document) -> Markup:
    """Every provider that was tried, and why not the others."""
    rows, taken = document["candidates"], document["bundle"]["provider"]
    if not rows:
        said = document["unknown"]["candidates"]
        return tag("p", f"The model is run by {taken}. {said}")
    columns = (
        Column("Provider"),
        Column("Taken"),
        Column("Latency", True),
        Column("Bundle", True),
        Column("Peak memory", True),
        Column("Against ONNX Runtime"),
        Column("Because"),
    )
    refused = [_refusals(row) for row in rows if row["refusals"]]
    return join(table("What the build tried, and what each gave", columns, [_row(row) for row in rows]), refused)


def _row(row: dict[str, Any]) -> tuple[object, ...]:
    predicted = " (predicted)" if row["predicted"] else ""
    latency = known(row["latency_ms"], lambda ms: milliseconds(ms) + predicted)
    usual = "the fastest, or preferred by the profile" if row["chosen"] else "not the fastest"
    return (
        row["provider"],
        chip("✓ taken", "good") if row["chosen"] else "no",
        latency,
        known(row["size_bytes"], size),
        known(row["peak_rss_bytes"], size),
        _distance(row),
        row["reason"] or usual,
    )


def _distance(row: dict[str, Any]) -> str:
    if row["sqnr_db"] is not None:
        return f"SQNR {number(row['sqnr_db'])} dB"
    difference = row["max_difference"]
    return NOT_KNOWN if difference is None else f"within {difference:.1e} of an output's range"


def _refusals(row: dict[str, Any]) -> Markup:
    columns = (Column("Node"), Column("Operator"), Column("Because"))
    rows = [(code(one["node"]), one["op"], one["reason"]) for one in row["refusals"]]
    summary = f"{count(len(rows), 'node')} that {row['provider']} does not take"
    return details(summary, table(summary, columns, rows, sortable=True))
