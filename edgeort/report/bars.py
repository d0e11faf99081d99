"""Parts of a whole: bars in the cells of tables, and one bar of all parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgeort.report.charts import across, anchor, described, key, rectangle, titles
from edgeort.report.markup import Markup, tag
from edgeort.report.units import percent

_COLOURS = 6
_THICK = 28  # pixels


@dataclass(frozen=True)
class Part:
    """A share of a whole: its name, its size, how that is written."""

    name: str
    size: float
    shown: str


def colour(index: int) -> str:
    """The class of the part of that number; those behind the fifth share one."""
    return f"c{min(index, _COLOURS - 1) + 1}"


def bar(part: float, kind: str = "c1") -> Markup:
    """A bar in a table's cell, 0 to 1; the number stands beside it."""
    rect = tag("rect", width=across(min(max(part, 0.0), 1.0)), height=10, rx=2, class_=kind)
    track = tag("rect", width="100%", height=10, rx=2, class_="track")
    return tag("svg", track, rect, class_="bar", aria_hidden="true")


def share(part: float, kind: str = "c1", *, longest: float = 1.0) -> Markup:
    """A part of a whole for a table's cell: a bar, full at `longest`, and the percentage."""
    return tag("div", bar(part / longest if longest else 0.0, kind), tag("span", percent(part)), class_="share")


def stacked(title: str, description: str, parts: Sequence[Part]) -> Markup:
    """One bar of all parts in their order, with a legend."""
    name, total, at = anchor(title), sum(part.size for part in parts) or 1.0, 0.0
    marks, legend = [], []
    for index, part in enumerate(parts):
        end = at + part.size / total
        told = f"{part.name}: {part.shown}, {percent(part.size / total)}"
        marks.append(rectangle(at, end, 0, 1, colour(index), told, height=_THICK))
        legend.append((colour(index), told))
        at = end
    drawn = tag("svg", *titles(name, title, description), marks, width="100%", height=_THICK, **described(name))
    caption = tag("figcaption", title, tag("span", description))
    return tag("figure", caption, drawn, key(legend), class_="chart", id=name)
