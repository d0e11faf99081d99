"""Charts as inline SVG, without script.

Across, places are percentages, so that a chart is as wide as its page while its letters keep their size; upwards they are
pixels. Every chart has a title and a description, and its marks say their values in their own titles. Colours are classes
of style.css, which has a set for light and one for dark pages (after Okabe and Ito 2008, told apart by the colour-blind).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from edgeort.report import scales
from edgeort.report.markup import Markup, join, tag
from edgeort.report.scales import Scale

HEIGHT = 220  # pixels of the plot
_ABOVE, _BELOW = 16, 40  # room for labels
_PATH_WIDTH = 1000.0  # units across of paths, which know no percentages

Label = Callable[[float], str]


@dataclass(frozen=True)
class Axis:
    """A scale, how its ticks are written, and what it shows, with the unit."""

    scale: Scale
    label: Label
    title: str


@dataclass(frozen=True)
class Part:
    """A share of a whole: its name, its size, how that is written."""

    name: str
    size: float
    shown: str


def chart(
    title: str,
    description: str,
    x: Axis,
    y: Axis,
    marks: Sequence[object],
    *,
    height: int = HEIGHT,
    above: int = _ABOVE,
    legend: Sequence[tuple[str, str]] = (),
) -> Markup:
    """A figure with two axes; `marks` are drawn in it (y down from the top, 0 to `height`). `legend`: (class, name)."""
    name = f"chart-{sha256(title.encode(errors='replace')).hexdigest()[:8]}"
    whole = height + _BELOW
    ticks = [(tick, height * (1 - y.scale.place(tick))) for tick in y.scale.ticks(4)]
    labels = [y.label(tick) for tick, _ in ticks]
    room = 8 + 7 * max(map(len, labels), default=0)
    left = tag(
        "svg",
        tag("g", [tag("text", text, x=room - 8, y=at + 4, text_anchor="end") for text, (_, at) in zip(labels, ticks, strict=True)],
            transform=f"translate(0 {above})"),
        width=room, height=above + whole, aria_hidden="true",
    )  # fmt: skip
    area = tag(
        "svg",
        tag("title", title, id=f"{name}-title"),
        tag("desc", description, id=f"{name}-desc"),
        tag("svg",
            [tag("line", class_="grid", x1=0, x2="100%", y1=at, y2=at) for _, at in ticks],
            marks,
            tag("line", class_="base", x1=0, x2="100%", y1=height, y2=height),
            _across(x, height),
            y=above, width="100%", height=whole),
        width="100%", height=above + whole, role="img", aria_labelledby=f"{name}-title {name}-desc",
    )  # fmt: skip
    caption = tag("figcaption", title, tag("span", f"{description} Upwards: {y.title}."))
    return tag("figure", caption, tag("div", left, area, class_="plot"), _legend(legend), class_="chart", id=name)


def _across(x: Axis, height: int) -> Markup:
    made = []
    for tick in x.scale.ticks(5):
        place = x.scale.place(tick)
        anchor = "start" if place < 0.04 else "end" if place > 0.96 else "middle"
        made.append(tag("text", x.label(tick), x=across(place), y=height + 17, text_anchor=anchor))
    return join(made, tag("text", x.title, x="100%", y=height + 36, text_anchor="end"))


def _legend(entries: Sequence[tuple[str, str]]) -> Markup | None:
    if not entries:
        return None
    swatch = [
        tag("li", tag("svg", tag("rect", width=11, height=11, rx=2, class_=kind), aria_hidden="true"), name)
        for kind, name in entries
    ]
    return tag("ul", swatch, class_="legend")


def across(place: float) -> str:
    """A place between 0 and 1 as an attribute."""
    return f"{100 * place:.3f}".rstrip("0").rstrip(".") + "%"


def path(points: Sequence[tuple[float, float]], kind: str, *, height: int = HEIGHT) -> Markup:
    """A line of class `kind` through points, both coordinates 0 to 1, upwards."""
    steps = " ".join(f"{_PATH_WIDTH * px:.1f},{height * (1 - py):.1f}" for px, py in points)
    return _stretched(tag("polyline", points=steps, class_=kind, vector_effect="non-scaling-stroke"), height)


def band(points: Sequence[tuple[float, float, float]], *, height: int = HEIGHT) -> Markup:
    """What lies between two lines: points of (x, lower, upper), 0 to 1."""
    there = [(px, upper) for px, _, upper in points]
    back = [(px, lower) for px, lower, _ in reversed(points)]
    steps = " ".join(f"{_PATH_WIDTH * px:.1f},{height * (1 - py):.1f}" for px, py in (*there, *back))
    return _stretched(tag("polygon", points=steps, class_="band"), height)


def _stretched(shape: Markup, height: int) -> Markup:
    box = f"0 0 {_PATH_WIDTH:.0f} {height}"
    return tag("svg", shape, width="100%", height=height, viewBox=box, preserveAspectRatio="none")


def rectangle(
    left: float, right: float, low: float, high: float, kind: str, told: str, *, height: int = HEIGHT
) -> Markup:
    """A mark between places 0 to 1 of both axes, which says `told` when pointed at."""
    return tag(
        "rect", tag("title", told), class_=f"mark {kind}",
        x=across(left), width=across(right - left), y=height * (1 - high), height=max(height * (high - low), 0.5),
    )  # fmt: skip


def histogram(title: str, description: str, edges: Sequence[float], counts: Sequence[int], rules: Sequence[tuple[str, float]],
              label: Label, what: str) -> Markup:  # fmt: skip
    """Counts between `edges`, and named values as rules; those beyond the last edge are drawn at the right end."""
    x, y = Scale(edges[0], edges[-1]), scales.from_zero([float(count) for count in counts])
    bars = [
        rectangle(x.place(low), x.place(high), 0, y.place(count), "c1", f"{label(low)} to {label(high)}: {count}")
        for low, high, count in zip(edges, edges[1:], counts, strict=False)
        if count
    ]
    marks = [_rule(name, min(x.place(value), 1.0), row, label(value)) for row, (name, value) in enumerate(rules)]
    return chart(
        title, description, Axis(x, label, what), Axis(y, lambda value: f"{value:g}", "number of runs"), [*bars, *marks],
        above=_ABOVE + 18 * len(rules),
    )  # fmt: skip


def _rule(name: str, place: float, row: int, value: str) -> Markup:
    at = -6 - 18 * row
    anchor, gap = ("end", -6) if place > 0.6 else ("start", 6)
    return join(
        tag("line", class_="rule", x1=across(place), x2=across(place), y1=at - 10, y2=HEIGHT),
        tag("text", f"{name} {value}", class_="strong", x=across(place), dx=gap, y=at, text_anchor=anchor),
    )


def bar(share: float, kind: str = "c1") -> Markup:
    """A bar in a table's cell: the number stands in a cell beside it."""
    rect = tag("rect", width=across(min(max(share, 0.0), 1.0)), height=10, rx=2, class_=kind)
    return tag(
        "svg", tag("rect", width="100%", height=10, rx=2, class_="track"), rect, class_="bar", aria_hidden="true"
    )


def stacked(title: str, description: str, parts: Sequence[Part]) -> Markup:
    """One bar of all parts, the largest first, with a legend; from the sixth on they share a colour."""
    total, at, marks, legend = sum(part.size for part in parts) or 1.0, 0.0, [], []
    name = f"chart-{sha256(title.encode(errors='replace')).hexdigest()[:8]}"
    for index, part in enumerate(parts):
        kind, share = f"c{min(index, 5) + 1}", part.size / total
        told = f"{part.name}: {part.shown}, {100 * share:.1f} %"
        marks.append(rectangle(at, at + share, 0, 1, kind, told, height=28))
        legend.append((kind, told))
        at += share
    drawn = tag(
        "svg", tag("title", title, id=f"{name}-title"), tag("desc", description, id=f"{name}-desc"), marks,
        width="100%", height=28, role="img", aria_labelledby=f"{name}-title {name}-desc",
    )  # fmt: skip
    caption = tag("figcaption", title, tag("span", description))
    return tag("figure", caption, drawn, _legend(legend), class_="chart", id=name)
