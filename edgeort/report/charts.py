"""Charts with two axes as inline SVG, without script.

Across, places are percentages, so that a chart is as wide as its page while its letters keep their size; upwards they
are pixels. Every chart has a title and a description, and its marks say their values in their own titles. Colours are
classes of style.css, which has a set for light and one for dark pages (after Okabe and Ito 2008: the colour-blind tell
them apart).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from edgeort.report import scales
from edgeort.report.markup import Markup, join, tag
from edgeort.report.scales import Scale
from edgeort.report.units import whole

HEIGHT = 220  # pixels of the plot
_ABOVE, _BELOW = 16, 40  # room for labels
_ROW = 18  # of the names of rules
_LETTER = 7  # pixels, at most, of one in a label
_PATH_WIDTH = 1000.0  # units across of paths, which know no percentages

Label = Callable[[float], str]


@dataclass(frozen=True)
class Axis:
    """A scale, how its ticks are written, and what it shows."""

    scale: Scale
    label: Label
    title: str


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
    name, whole = anchor(title), above + height + _BELOW
    ticks = [(y.label(tick), height * (1 - y.scale.place(tick))) for tick in y.scale.ticks(4)]
    plot = tag(
        "svg",
        [tag("line", class_="grid", x1=0, x2="100%", y1=at, y2=at) for _, at in ticks],
        marks,
        tag("line", class_="base", x1=0, x2="100%", y1=height, y2=height),
        _ticks(x, height),
        y=above,
        width="100%",
        height=height + _BELOW,
    )
    drawn = tag("svg", *titles(name, title, description), plot, width="100%", height=whole, **described(name))
    caption = tag("figcaption", title, tag("span", f"{description} Vertical axis: {y.title}."))
    both = tag("div", _side(ticks, above, whole), drawn, class_="plot")
    return tag("figure", caption, both, key(legend), class_="chart", id=name)


def _side(ticks: Sequence[tuple[str, float]], above: int, whole: int) -> Markup:
    """The labels of the vertical axis, beside the plot."""
    room = 8 + _LETTER * max((len(text) for text, _ in ticks), default=0)
    texts = [tag("text", text, x=room - 8, y=above + at + 4, text_anchor="end") for text, at in ticks]
    return tag("svg", texts, width=room, height=whole, aria_hidden="true")


def _ticks(x: Axis, height: int) -> Markup:
    made = []
    for tick in x.scale.ticks(5):
        place = x.scale.place(tick)
        side = "start" if place < 0.04 else "end" if place > 0.96 else "middle"
        made.append(tag("text", x.label(tick), x=across(place), y=height + 17, text_anchor=side))
    return join(made, tag("text", x.title, x="100%", y=height + 36, text_anchor="end"))


def anchor(title: str) -> str:
    """The id of a figure."""
    return f"chart-{sha256(title.encode(errors='replace')).hexdigest()[:8]}"


def titles(name: str, title: str, description: str) -> tuple[Markup, Markup]:
    """What screen readers say of a drawing."""
    return tag("title", title, id=f"{name}-title"), tag("desc", description, id=f"{name}-desc")


def described(name: str) -> dict[str, str]:
    """The attributes of a drawing that has `titles`."""
    return {"role": "img", "aria_labelledby": f"{name}-title {name}-desc"}


def key(entries: Sequence[tuple[str, str]]) -> Markup | None:
    """A legend: (class of the colour, name)."""
    if not entries:
        return None
    rows = [
        tag("li", tag("svg", tag("rect", width=11, height=11, rx=2, class_=kind), aria_hidden="true"), name)
        for kind, name in entries
    ]
    return tag("ul", rows, class_="legend")


def across(place: float) -> str:
    """A place between 0 and 1 as an attribute."""
    return f"{100 * place:.3f}".rstrip("0").rstrip(".") + "%"


def path(points: Sequence[tuple[float, float]], kind: str, *, height: int = HEIGHT) -> Markup:
    """A line of class `kind` through points, both coordinates 0 to 1, upwards."""
    shape = tag("polyline", points=_points(points, height), class_=kind, vector_effect="non-scaling-stroke")
    return _stretched(shape, height)


def band(points: Sequence[tuple[float, float, float]], *, height: int = HEIGHT) -> Markup:
    """What lies between two lines: points of (x, lower, upper), 0 to 1."""
    there = [(px, upper) for px, _, upper in points]
    back = [(px, lower) for px, lower, _ in reversed(points)]
    return _stretched(tag("polygon", points=_points([*there, *back], height), class_="band"), height)


def _points(points: Sequence[tuple[float, float]], height: int) -> str:
    return " ".join(f"{_PATH_WIDTH * px:.1f},{height * (1 - py):.1f}" for px, py in points)


def _stretched(shape: Markup, height: int) -> Markup:
    box = f"0 0 {_PATH_WIDTH:.0f} {height}"
    return tag("svg", shape, width="100%", height=height, viewBox=box, preserveAspectRatio="none")


def dot(left: float, high: float, kind: str, told: str) -> Markup:
    """A point at places 0 to 1 of both axes, which says `told` when pointed at."""
    return tag("circle", tag("title", told), class_=f"dot {kind}", cx=across(left), cy=HEIGHT * (1 - high), r=3)


def rectangle(
    left: float, right: float, low: float, high: float, kind: str, told: str, *, height: int = HEIGHT
) -> Markup:
    """A mark between places 0 to 1 of both axes, which says `told` when pointed at."""
    top, tall = height * (1 - high), max(height * (high - low), 0.5)
    place = {"x": across(left), "width": across(right - left), "y": top, "height": tall}
    return tag("rect", tag("title", told), class_=f"mark {kind}", **place)


def rule(place: float, text: str, *, row: int = 0, height: int = HEIGHT) -> Markup:
    """A named value: a line over the plot, its name in a `row` above."""
    at = -6 - _ROW * row
    side, gap = ("end", -6) if place > 0.6 else ("start", 6)
    return join(
        tag("line", class_="rule", x1=across(place), x2=across(place), y1=at - 10, y2=height),
        tag("text", text, class_="strong", x=across(place), dx=gap, y=at, text_anchor=side),
    )


def histogram(
    title: str,
    description: str,
    x: Axis,
    edges: Sequence[float],
    counts: Sequence[int],
    rules: Sequence[tuple[str, float]],
    write: Label,
) -> Markup:
    """Counts between `edges`, and named values as rules; those beyond the last edge are drawn at the right end."""
    y = scales.from_zero([float(count) for count in counts])
    bars = [
        rectangle(
            x.scale.place(low), x.scale.place(high), 0, y.place(count), "c1", f"{write(low)} to {write(high)}: {count}"
        )
        for low, high, count in zip(edges, edges[1:], counts, strict=False)
        if count
    ]
    named = [
        rule(min(x.scale.place(value), 1.0), f"{name} {write(value)}", row=row)
        for row, (name, value) in enumerate(rules)
    ]
    up = Axis(y, whole, "how many")
    return chart(title, description, x, up, [*bars, *named], above=_ABOVE + _ROW * len(rules))
