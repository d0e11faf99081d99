"""Where the bytes of the bundle are."""

from __future__ import annotations

from typing import Any

from edgeort.report.bars import Part, colour, share, stacked
from edgeort.report.document import Document
from edgeort.report.markup import Markup, code, join, tag
from edgeort.report.page import Cell, Column, details, table
from edgeort.report.units import count, size

_COLOURED = 5  # the rest is one part


def sizes(document: Document) -> Markup:
    """Sections, what the plan consists of, every file with its digest."""
    found = document["sizes"]
    total, sections = found["total_bytes"] or 1, found["sections"]
    columns = (Column("Section"), Column("Share"), Column("Size", True), Column("Files", True))
    rows = [
        (row["section"], _share(row, total, colour(at)), _size(row), Cell(row["files"], row["files"]))
        for at, row in enumerate(sections)
    ]
    files = [(code(row["path"]), _size(row), code(row["sha256"])) for row in found["files"]]
    named = (Column("File"), Column("Size", True), Column("SHA-256"))
    return join(
        stacked("The bundle's bytes", f"{size(total)} in {count(len(files), 'file')}.", _parts(sections)),
        table("Sections of the bundle", columns, rows),
        _plan(found["plan"]),
        details(f"All {count(len(files), 'file')}", table("Files of the bundle", named, files, sortable=True)),
    )


def _parts(sections: list[dict[str, Any]]) -> list[Part]:
    parts = [Part(row["section"], row["size_bytes"], size(row["size_bytes"])) for row in sections[:_COLOURED]]
    rest = sum(row["size_bytes"] for row in sections[_COLOURED:])
    return [*parts, Part("the rest", rest, size(rest))] if rest else parts


def _plan(rows: list[dict[str, Any]] | None) -> Markup | None:
    if rows is None:
        return None
    total = sum(row["size_bytes"] for row in rows) or 1
    columns = (
        Column("Constants"),
        Column("Stored as"),
        Column("Share"),
        Column("Size", True),
        Column("Number", True),
    )
    made = [
        (
            row["use"],
            row["form"],
            _share(row, total),
            _size(row),
            Cell(row["count"], row["count"]),
        )
        for row in rows
    ]
    return join(tag("h3", "In the plan"), table("The plan: weights by use and form", columns, made))


def _share(row: dict[str, Any], total: int, kind: str = "c1") -> Cell:
    part = row["size_bytes"] / total
    return Cell(share(part, kind), part)


def _size(row: dict[str, Any]) -> Cell:
    return Cell(size(row["size_bytes"]), row["size_bytes"])
