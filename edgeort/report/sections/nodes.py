"""Every node: provider, precision and why, time, and work per time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from edgeort.report.bars import Part, share, stacked
from edgeort.report.document import Document
from edgeort.report.markup import Markup, code, join, tag
from edgeort.report.page import Cell, Column, details, known, table, unknown
from edgeort.report.units import count, milliseconds, number, percent

SHOWN = 15  # nodes that take most
_ABOVE_PEAK = 1.05
_DISTURBED = 1.5  # means of nodes, to the median of whole runs

Row = dict[str, Any]


def nodes(document: Document) -> Markup:
    """Precisions, the nodes that take most, and all of them."""
    rows = document["nodes"]
    return join(_counts(document), _most(document), _engine(document), _reasons(rows), _all(rows))


def _counts(document: Document) -> Markup:
    found = document["node_counts"]
    total = len(document["nodes"])
    ran = sum(row["skipped"] is False for row in document["nodes"])
    skipped = sum(row["skipped"] is True for row in document["nodes"])
    said = f"{count(total, 'node')}, " + ", ".join(f"{n} by {name}" for name, n in found["provider"].items()) + "."
    if skipped:
        others = "views, computed when the model is opened, or part of another node's run"
        said += f" {ran} run by themselves; {skipped} are {others}."
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
        said = f"Mean time of each node, of {milliseconds(total)} in all"
        ranking = _ranking(document, said, sorted(timed, key=lambda row: -row["ms"]), "ms")
        return join(ranking, _disturbed(total, document["latency"]["summary"]["p50"]))
    working = [row for row in rows if row["macs"]]
    note = None if document["engine_nodes"] else unknown("The time of each node: Latency says why.")
    if not working:
        return join(note)
    total = sum(row["macs"] for row in working)
    said = f"Multiply-adds of each node, of {_macs(total)} in all"
    return join(note, _ranking(document, said, sorted(working, key=lambda row: -row["macs"]), "macs"))


def _speed(row: Row) -> Cell:
    unit = "Gop/s" if row.get("precision") == "int8" else "GFLOP/s"
    return known(row.get("gflops"), lambda value: f"{number(value)} {unit}")


def _disturbed(total_ms: float, median_ms: float) -> Markup | None:
    """A caution where the runs that were timed by node are not those that the latency tells of."""
    if total_ms <= _DISTURBED * median_ms:
        return None
    said = f"Together they take {number(total_ms / median_ms)} times the median latency"
    return tag(
        "p", f"{said}: something else ran while nodes were timed. Measure again on a quiet device.", class_="caution"
    )


def _ranking(document: Document, caption: str, rows: Sequence[Row], by: str) -> Markup:
    """The first SHOWN of `rows`, which are ordered `by` a figure; columns of which nothing is known are left out."""
    total, most, shown = sum(row[by] for row in rows), rows[0][by], rows[:SHOWN]
    figures = [figure for figure in _FIGURES if any(row.get(figure[0]) is not None for row in shown)]
    columns = [Column("Node"), Column("Kernel"), Column("Share"), *(Column(heading, True) for _, heading, _ in figures)]
    made = []
    for row in shown:
        part = Cell(share(row[by] / total, longest=most / total), row[by])
        cells = [_speed(row) if key == "gflops" else known(row.get(key), write) for key, _, write in figures]
        made.append((code(row["name"]), row["op"], part, *cells))
    rest = sum(row[by] for row in rows[SHOWN:])
    verb = "take" if by == "ms" else "do"
    others = f"The other {count(len(rows) - SHOWN, 'node')} {verb} {percent(rest / total)}. " if rest else ""
    missing = _missing(document, rows, {key for key, *_ in figures}) if by == "ms" else ""
    note = tag("p", others + missing, class_="note") if others or missing else None
    return join(tag("h3", _QUESTIONS[by]), table(caption, columns, made), note)


def _missing(document: Document, rows: Sequence[Row], known_: Collection[str]) -> str:
    """What a ranking by time could not say, and why; and what to think of more than the peak."""
    if "gflops" not in known_:
        return "Speeds are not known: nothing counted the multiply-adds of these nodes."
    if "share_of_peak" not in known_:
        device = document["bundle"]["device"]
        return (
            f"The share of the peak is not known: the profile of {device} has none measured (edgeort profiles probe)."
        )
    if any((row["share_of_peak"] or 0) > _ABOVE_PEAK for row in rows):
        return (
            "More than the peak: a kernel that saves multiply-adds, as Winograd does, or the peak was measured while "
            "the device was busy (edgeort profiles probe)."
        )
    return ""


_USUAL = tag("span", "as in the model", class_="note")
_QUESTIONS = {"ms": "Where the time goes", "macs": "Where the work is"}


def _macs(n: float) -> str:
    for unit in ("", "k", "M"):
        if n < 1000:
            return f"{number(n)} {unit}".rstrip()
        n /= 1000
    return f"{number(n)} G"


_FIGURES: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("ms", "Time", milliseconds),
    ("macs", "Multiply-adds", _macs),
    ("gflops", "Speed", number),
    ("share_of_peak", "Of peak", percent),
)


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
        Column("Node"),
        Column("Step", True),
        Column("Kernel"),
        Column("Provider"),
        Column("Precision"),
        Column("Weights"),
        *((Column("Time", True), Column("Share", True)) if has_times else ()),
        *((Column("Multiply-adds", True),) if has_work else ()),
        Column("Because"),
    ]
    made = []
    for row in rows:
        cells: list[object] = [
            code(row["name"]),
            Cell(row["index"], row["index"]),
            row["op"],
            row["provider"],
            row["precision"],
            row["weights"] or "none",
        ]
        idle = _idle(row)
        if has_times:
            cells += [idle or known(row["ms"], milliseconds), known(row["share"], percent)]
        if has_work:
            cells.append(idle or known(row["macs"], _macs))
        made.append((*cells, join(row["reason"] or _USUAL, _within(row["part_of"]))))
    return details(
        f"All {count(len(rows), 'node')}", table("Every node, in the order of the plan", columns, made, sortable=True)
    )


def _within(part_of: str | None) -> Markup | None:
    return None if part_of is None else join(" Runs within ", code(part_of), ".")


def _idle(row: Row) -> Cell | None:
    """Of a node without a run of its own."""
    if not row["skipped"]:
        return None
    return Cell(tag("span", "not run" if row["part_of"] is None else "in another's run", class_="note"), 0.0)


def _engine(document: Document) -> Markup | None:
    """Those of an engine, which has fused and renamed the model's."""
    rows = document["engine_nodes"]
    if not rows:
        return None
    ordered = sorted(rows, key=lambda row: -row["ms"])
    said = f"The engine's nodes that take most, of {milliseconds(sum(row['ms'] for row in rows))} in all"
    columns = (Column("Node of the engine"), Column("Kernel"), Column("Share", True), Column("Time", True))
    made = [
        (code(row["name"]), row["op"], known(row["share"], percent), known(row["ms"], milliseconds)) for row in rows
    ]
    every = table("Nodes of the engine", columns, made, sortable=True)
    return join(
        _ranking(document, said, ordered, "ms"),
        tag("p", "The engine has fused and renamed the model's nodes, and times its own.", class_="note"),
        details(f"All {count(len(rows), 'node')} of the engine", every),
    )
