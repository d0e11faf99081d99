"""The parts of a page: sections, tables, tiles.

A page is one file that fetches nothing, and runs nothing but script.js.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgeort.report.markup import Markup, join, tag
from edgeort.report.units import NOT_KNOWN

Verdict = Literal["good", "bad", "plain"]

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Column:
    """A column: its heading; `is_number` puts it to the right and sorts it by value."""

    heading: str
    is_number: bool = False


@dataclass(frozen=True)
class Cell:
    """What a cell shows, and the value that its column is sorted by."""

    shown: object
    value: float | None = None


def known(value: float | None, write: Callable[[float], str]) -> Cell:
    """A number as `write` has it, or that it is not known."""
    return Cell(tag("span", NOT_KNOWN, class_="note"), None) if value is None else Cell(write(value), value)


@dataclass(frozen=True)
class Tile:
    """One large figure: what it is, the figure, and what one must know of it."""

    label: str
    figure: str
    note: str = ""
    verdict: Verdict = "plain"


def page(title: str, header: Markup, sections: Sequence[Markup], footer: str) -> str:
    """The whole document. Its policy forbids every fetch, and every script and style but its own."""
    style, script = (_packaged(name) for name in ("style.css", "script.js"))
    policy = f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; base-uri 'none'"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        tag("style", style),
    )
    body = tag(
        "body",
        tag("a", "To the content", class_="skip", href="#main"),
        tag("header", header),
        tag("main", sections, id="main"),
        tag("footer", tag("p", footer)),
        tag("script", script),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _packaged(name: str) -> Markup:
    return Markup((_HERE / name).read_text(encoding="utf-8"))


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def section(anchor: str, heading: str, *children: object) -> Markup:
    """A part of the page with a heading, to which `contents` leads."""
    return tag(
        "section", tag("h2", heading, id=f"{anchor}-heading"), children, id=anchor, aria_labelledby=f"{anchor}-heading"
    )


def contents(entries: Iterable[tuple[str, str]]) -> Markup:
    """Links to the sections: (anchor, heading)."""
    links = [tag("li", tag("a", heading, href=f"#{anchor}")) for anchor, heading in entries]
    return tag("nav", tag("ul", links), aria_label="Sections")


def tiles(figures: Iterable[Tile]) -> Markup:
    """The most important figures, side by side."""
    return tag("dl", [_tile(one) for one in figures], class_="tiles")


def _tile(one: Tile) -> Markup:
    shown = tag("dd", one.figure, class_="figure"), tag("dd", one.note, class_="note") if one.note else None
    return tag("div", tag("dt", one.label), shown, class_=f"tile {one.verdict}")


def facts(rows: Iterable[tuple[str, object]]) -> Markup:
    """Terms and what they are."""
    return tag("dl", [tag("div", tag("dt", term), tag("dd", shown)) for term, shown in rows], class_="facts")


def table(
    caption: str, columns: Sequence[Column], rows: Iterable[Sequence[object]], *, sortable: bool = False
) -> Markup:
    """A table; the first cell of a row names it. Wide ones scroll; script sorts and filters `sortable`."""
    head = tag(
        "tr", [tag("th", one.heading, scope="col", class_="number" if one.is_number else None) for one in columns]
    )
    body = [
        tag("tr", [_cell(cell, column, at) for at, (cell, column) in enumerate(zip(row, columns, strict=True))])
        for row in rows
    ]
    made = tag(
        "table",
        tag("caption", caption),
        tag("thead", head),
        tag("tbody", body),
        class_="sortable" if sortable else None,
    )
    return tag("div", made, class_="scroll", tabindex=0, role="region", aria_label=caption)


def _cell(cell: object, column: Column, at: int) -> Markup:
    shown, value = (cell.shown, cell.value) if isinstance(cell, Cell) else (cell, None)
    kind = {"class_": "number" if column.is_number else None, "data_value": None if value is None else repr(value)}
    return tag("td", shown, **kind) if at else tag("th", shown, scope="row", **kind)


def details(summary: str, *children: object, is_open: bool = False) -> Markup:
    """What is folded up until somebody wants it."""
    return tag("details", tag("summary", summary), children, open=is_open)


def chip(text: str, verdict: Verdict = "plain") -> Markup:
    """A word or two that stand out; a verdict is said in words, too, not in colour alone."""
    return tag("span", text, class_=f"chip {verdict}")


def unknown(why: str) -> Markup:
    """Where nothing is known: why, and what would tell."""
    return tag("p", why, class_="unknown")


def commands(rows: Iterable[tuple[str, str]]) -> Markup:
    """Commands to copy: what each does, and its line."""
    return join(tag("div", tag("p", what), tag("pre", tag("code", line)), class_="command") for what, line in rows)
