"""The page of a sweep: models x devices, what is traded for what, what failed and why."""

from __future__ import annotations

from collections.abc import Sequence

from edgeort.report.markup import Markup, code, join, tag
from edgeort.report.page import (
    Cell,
    Column,
    Tile,
    chip,
    contents,
    details,
    facts,
    known,
    page,
    section,
    table,
    tiles,
    unknown,
)
from edgeort.report.units import count, milliseconds, size
from edgeort.sweep.facts import DONE, FAILED, NOT_RUN
from edgeort.sweep.figures import (
    LATENCY,
    SIZE,
    Figure,
    Row,
    accuracies,
    is_predicted,
    latency_ms,
    names,
    place,
    shade,
)
from edgeort.sweep.trades import trades

_PALEST, _DARKEST = 0.06, 0.5  # of the colour behind a number, which stays readable
_HIGH = 28  # pixels of it
_PREDICTED = "≈: from the profile's rates, not measured; a device that is attached (NAME@WHERE) measures."


def render(rows: Sequence[Row]) -> str:
    """The page of the rows, all of it from them."""
    models, devices, settings = (names(rows, column) for column in ("model", "device", "settings"))
    title = f"{count(len(models), 'model')} on {count(len(devices), 'device')}"
    shown = [(anchor, heading, made) for anchor, heading, made in _sections(rows) if made]
    head = join(
        tag("h1", title),
        tag("p", f"{count(len(rows), 'cell')}: models, devices and settings ({', '.join(settings)})."),
        tiles(_tiles(rows)),
        contents((anchor, heading) for anchor, heading, _ in shown),
    )
    versions = ", ".join(sorted({row["edgeort"] for row in rows if row.get("edgeort")}))
    parts = [section(anchor, heading, made) for anchor, heading, made in shown]
    return page(f"{title}: edgeort sweep", head, parts, f"Made by edgeort {versions}.")


def _sections(rows: Sequence[Row]) -> list[tuple[str, str, Markup | None]]:
    judged = [_maps(rows, figure) for figure in accuracies(rows)]
    return [
        ("latency", "Latency", _maps(rows, LATENCY)),
        ("size", "Size", _maps(rows, SIZE)),
        ("accuracy", "Accuracy", join(*judged) if judged else unknown("No cell says how good its answers are.")),
        ("trade", "What is traded for what", trades(rows)),
        ("failures", "Not done", _failures(rows)),
        ("cells", "All cells", _cells(rows)),
        ("origin", "How it was made", _origin(rows)),
    ]


def _tiles(rows: Sequence[Row]) -> list[Tile]:
    by_status = {status: [row for row in rows if row["status"] == status] for status in (DONE, FAILED, NOT_RUN)}
    done = by_status[DONE]
    measured = [row for row in done if row.get("is_real")]
    made = [
        Tile("Done", f"{len(done)} of {len(rows)}", "", "good" if len(done) == len(rows) else "plain"),
        Tile("Measured", f"{len(measured)}", "on a real device; the others emulated, or built alone"),
    ]
    if by_status[FAILED]:
        made.append(Tile("Failed", f"{len(by_status[FAILED])}", "with reasons below", "bad"))
    if by_status[NOT_RUN]:
        made.append(Tile("Not run", f"{len(by_status[NOT_RUN])}", "a later sweep runs them", "bad"))
    spent = sum(row.get("seconds") or 0.0 for row in rows)
    made.append(Tile("Work", milliseconds(1000 * spent), "in all cells together"))
    return made


def _maps(rows: Sequence[Row], figure: Figure) -> Markup | None:
    """A map for each of the settings, one scale of colour for all."""
    values = [value for row in rows if (value := figure.of(row)) is not None]
    if not values:
        return unknown("No cell has it.") if figure in (LATENCY, SIZE) else None
    having = {row["model"] for row in rows if figure.of(row) is not None}
    said = tag("p", _PREDICTED, class_="note") if figure is LATENCY and any(map(is_predicted, rows)) else None
    good, bad = ("high", "low") if figure.better > 0 else ("low", "high")
    told = f"faint: {good}, strong: {bad}, over all settings"
    made = []
    for name in names(rows, "settings"):
        own = [row for row in rows if row["settings"] == name and (figure in (LATENCY, SIZE) or row["model"] in having)]
        if any(figure.of(row) is not None for row in own) or figure in (LATENCY, SIZE):
            made.append(_map(f"{figure.title}, settings {name} ({told})", own, figure, values))
    return join(made, said)


def _map(caption: str, rows: Sequence[Row], figure: Figure, values: Sequence[float]) -> Markup:
    devices = names(rows, "device")
    by_place = {(row["model"], place(row)): row for row in rows}
    lines = [
        (model, *(_heat(by_place.get((model, device)), figure, values) for device in devices))
        for model in names(rows, "model")
    ]
    return table(caption, (Column("Model"), *(Column(device) for device in devices)), lines)


def _heat(row: Row | None, figure: Figure, values: Sequence[float]) -> object:
    if row is None:
        return ""
    if row["status"] != DONE:
        return tag("span", chip(row["status"], "bad"), title=row["error"])
    value = figure.of(row)
    if value is None:
        return known(None, figure.write)
    depth = _PALEST + (_DARKEST - _PALEST) * shade(figure, value, values)
    rect = tag("rect", width="100%", height=_HIGH, rx=6, class_="c1", fill_opacity=depth)
    back = tag("svg", rect, width="100%", height=_HIGH, aria_hidden="true")
    sign = "≈ " if figure is LATENCY and is_predicted(row) else ""
    return Cell(tag("div", back, tag("span", f"{sign}{figure.write(value)}"), class_="heat"), value)


def _failures(rows: Sequence[Row]) -> Markup | None:
    missing = [row for row in rows if row["status"] != DONE]
    if not missing:
        return None
    columns = (
        Column("Model"),
        Column("Device"),
        Column("Settings"),
        Column("Status"),
        Column("Because"),
        Column("What helps"),
    )
    lines = [
        (row["model"], place(row), row["settings"], chip(row["status"], "bad"), row["error"], _help(row))
        for row in missing
    ]
    traces = [
        details(f"Traceback of {row['model']} on {place(row)}, {row['settings']}", tag("pre", code(row["traceback"])))
        for row in missing
        if row.get("traceback")
    ]
    return join(table(count(len(missing), "cell"), columns, lines, sortable=True), traces)


def _help(row: Row) -> object:
    return code(row["hint"]) if row.get("hint") else ""


def _cells(rows: Sequence[Row]) -> Markup:
    figures = accuracies(rows)
    columns = (
        Column("Model"), Column("Device"), Column("Settings"), Column("Precision"), Column("Provider"),
        Column("Ran on"), Column("Latency", True), Column("Interval of it", True), Column("Peak memory", True),
        Column("Arena", True), Column("Bundle", True), *(Column(one.title, True) for one in figures),
    )  # fmt: skip
    lines = [_line(row, figures) for row in rows if row["status"] == DONE]
    return table(count(len(lines), "cell") + " that are done", columns, lines, sortable=True)


def _line(row: Row, figures: Sequence[Figure]) -> tuple[object, ...]:
    value = latency_ms(row)
    latency = known(value, lambda ms: f"{'≈ ' if is_predicted(row) else ''}{milliseconds(ms)}")
    low, high = row.get("latency_low_ms"), row.get("latency_high_ms")
    interval = "" if low is None or high is None else f"{milliseconds(low)} to {milliseconds(high)}"
    return (
        row["model"], place(row), row["settings"], row["precision"], row["provider"], row.get("ran_on") or "",
        latency, interval, known(row.get("peak_rss_bytes"), size), known(row.get("arena_bytes"), size),
        known(row["bundle_bytes"], size), *(known(one.of(row), one.write) for one in figures),
    )  # fmt: skip


def _origin(rows: Sequence[Row]) -> Markup:
    times = sorted(row["finished"] for row in rows if row.get("finished"))
    machines = ", ".join(sorted({row["machine"] for row in rows if row.get("machine")}))
    digests = {row["model"]: row["model_sha256"] for row in rows}
    return facts(
        [
            ("finished", f"{times[0]} to {times[-1]}" if times else "nothing yet"),
            ("machines", machines),
            *((f"model {name}", code(digest[:16])) for name, digest in digests.items()),
        ]
    )
