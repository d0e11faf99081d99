"""Every node: provider, precision and why, time, and work per time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from edgeort.report.charts import Part, bar, stacked
from edgeort.report.document import Document
from edgeort.report.markup import Markup, code, join, tag
from edgeort.report.page import Cell, Column, details, table, unknown
from edgeort.report.units import NOT_KNOWN, count, milliseconds, number, percent

SHOWN = 15  # nodes that take most

Row = dict[str, Any]


def nodes(document: Document) -> Markup:
    """Precisions, the nodes that take most, and all of them."""
    rows = document["nodes"]
    return join(_counts(document), _most(document), _engine(document["engine_nodes"]), _reasons(rows), _all(rows))


def _counts(document: Document) -> Markup:
    found = document["node_counts"]
    total = len(document["nodes"])
    ran = sum(row["skipped"] is False for row in document["nodes"])
    skipped = sum(row["skipped"] is True for row in document["nodes"])
    said = f"{count(total, 'node')}, " + ", ".join(f"{n} by {name}" for name, n in found["provider"].items()) + "."
    if skipped:
        said += f" {ran} run by themselves; {skipped} are views, computed when the model is opened, or part of another node's run."
    parts = [Part(name, n, count(n, "node")) for name, n in found["precision"].items()]
    weights = [Part(name, n, count(n, "node")) for name, n in found["weights"].items()]
    stored = (
        stacked("How weights are stored", "Nodes with weights, by the form of these.", weights)
        if len(weights) > 1
        else None
    )
    return join(tag("p", said), stacked("Precision", "Nodes by the type that they compute with.", parts), stored)


def _most(document: Document) -> Markup:
    """The nodes that take most, or do most work where times are not known."""
    rows = document["nodes"]
    timed = [row for row in rows if row["ms"]]
    if timed:
        total = sum(row["ms"] for row in timed)
        said = f"Time of each node, of {milliseconds(total)} in all"
        return _ranking(said, sorted(timed, key=lambda row: -row["ms"]), "ms")
    why = document["unknown"].get("latency", "")
    working = [row for row in rows if row["macs"]]
    note = None if document["engine_nodes"] else unknown(f"Time of each node. {why}".strip())
    if not working:
        return join(note)
    total = sum(row["macs"] for row in working)
    said = f"Multiply-adds of each node, of {_macs(total)} in all"
    return join(note, _ranking(said, sorted(working, key=lambda row: -row["macs"]), "macs"))


def _ranking(caption: str, rows: Sequence[Row], by: str) -> Markup:
    total, most = sum(row[by] for row in rows), rows[0][by]
    shown = rows[:SHOWN]
    columns = [
        Column("Node"),
        Column("Kernel"),
        Column("Share"),
        Column("", True),
        *(_TIMED if by == "ms" else (_WORK,)),
    ]
    made = []
    for row in shown:
        share = row[by] / total
        figures = _timed(row) if by == "ms" else (Cell(_macs(row["macs"]), row["macs"]),)
        made.append((code(row["name"]), row["op"], bar(row[by] / most), Cell(percent(share), share), *figures))
    rest = sum(row[by] for row in rows[SHOWN:])
    told = f"The other {count(len(rows) - SHOWN, 'node')} take {percent(rest / total)}." if rest else ""
    return join(
        tag("h3", "Where the time goes" if by == "ms" else "Where the work is"),
        table(caption, columns, made),
        tag("p", told, class_="note") if told else None,
    )


_WORK = Column("Multiply-adds", True)
_TIMED = (Column("Time", True), _WORK, Column("Speed", True), Column("Of peak", True))


def _timed(row: Row) -> tuple[Cell, ...]:
    return (
        Cell(milliseconds(row["ms"]), row["ms"]),
        _known(row["macs"], _macs),
        _known(row["gflops"], lambda value: f"{number(value)} GFLOP/s"),
        _known(row["share_of_peak"], percent),
    )


def _known(value: float | None, write: Callable[[float], str]) -> Cell:
    return Cell(tag("span", NOT_KNOWN, class_="note"), None) if value is None else Cell(write(value), value)


def _macs(n: float) -> str:
    for unit in ("", "k", "M"):
        if n < 1000:
            return f"{number(n)} {unit}".rstrip()
        n /= 1000
    return f"{number(n)} G"


def _reasons(rows: Sequence[Row]) -> Markup | None:
    """What is not as one might have hoped, and why: the reasons that the build gave."""
    reasoned = [row for row in rows if row["reason"]]
    if not reasoned:
        return None
    columns = (Column("Node"), Column("Precision"), Column("Because"))
    made = [(code(row["name"]), row["precision"], row["reason"]) for row in reasoned[:SHOWN]]
    rest = f" (the first {SHOWN}; the others are below)" if len(reasoned) > SHOWN else ""
    return join(
        tag("h3", "Why not smaller"), table(f"{count(len(reasoned), 'node')} with a reason{rest}", columns, made)
    )


def _all(rows: Sequence[Row]) -> Markup:
    has_times, has_work = any(row["ms"] is not None for row in rows), any(row["macs"] for row in rows)
    columns = [
        Column("Node"), Column("Step", True), Column("Kernel"), Column("Provider"), Column("Precision"), Column("Weights"),
        *((Column("Time", True), Column("Share", True)) if has_times else ()), *((_WORK,) if has_work else ()), Column("Because"),
    ]  # fmt: skip
    made = []
    for row in rows:
        cells: list[object] = [
            code(row["name"]), Cell(row["index"], row["index"]), row["op"], row["provider"], row["precision"], row["weights"] or "none",
        ]  # fmt: skip
        if has_times:
            cells += [_time_of(row), Cell(percent(row["share"]), row["share"])]
        if has_work:
            cells.append(Cell("", 0.0) if row["macs"] is None else Cell(_macs(row["macs"]), row["macs"]))
        made.append((*cells, row["reason"]))
    return details(
        f"All {count(len(rows), 'node')}", table("Every node, in the order of the plan", columns, made, sortable=True)
    )


def _time_of(row: Row) -> Cell:
    if row["skipped"]:
        return Cell(tag("span", "not run", class_="note"), 0.0)
    return Cell(milliseconds(row["ms"]), row["ms"])


def _engine(rows: Sequence[Row]) -> Markup | None:
    """Those of an engine, which has fused and renamed the model's."""
    if not rows:
        return None
    ordered = sorted(rows, key=lambda row: -row["ms"])
    columns = (Column("Node of the engine"), Column("Kernel"), Column("Share"), Column("", True), Column("Time", True))
    most = ordered[0]["ms"] or 1.0
    made = [
        (code(row["name"]), row["op"], bar(row["ms"] / most), Cell(percent(row["share"]), row["share"]), Cell(milliseconds(row["ms"]), row["ms"]))
        for row in ordered
    ]  # fmt: skip
    said = "The engine has fused and renamed the model's nodes, and times its own."
    more = (
        details(
            f"All {count(len(rows), 'node')} of the engine", table("Nodes of the engine", columns, made, sortable=True)
        )
        if len(made) > SHOWN
        else None
    )
    return join(
        tag("h3", "Where the time goes"),
        tag("p", said),
        table("The engine's nodes that take most", columns, made[:SHOWN]),
        more,
    )
