"""Memory over the plan: which tensor lies where in the arena, from which step to which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgeort.report import scales
from edgeort.report.charts import HEIGHT, Axis, chart, path, rectangle, rule
from edgeort.report.document import Document
from edgeort.report.markup import Markup, code, join, tag
from edgeort.report.page import Cell, Column, details, facts, known, table, unknown
from edgeort.report.scales import Scale
from edgeort.report.units import NOT_KNOWN, count, size, size_axis, whole

DRAWN = 1500  # blocks, the largest
_POINTS = 600  # of the curve
_SHOWN = 12
TALL = HEIGHT + 80  # pixels

# Kind of a block -> colour, what it is.
KINDS = {
    "tensor": ("c1", "tensors"),
    "scratch": ("c2", "scratch of a node"),
    "threads": ("c5", "scratch of a node, a part for each thread"),
    "body": ("c4", "arena of a body of If or Loop"),
}

Block = dict[str, Any]


def memory(document: Document) -> Markup:
    """Figures, the arena as a map, what is alive at the peak, all blocks."""
    found, arena = document["measurement"], document["memory"]
    if arena is None:
        return join(_figures(found, None), unknown(document["unknown"]["memory"]))
    blocks = arena["blocks"]
    rows = [_row(block) for block in sorted(blocks, key=lambda block: -block["bytes"])]
    every = details(f"All {count(len(blocks), 'block')}", table("Blocks of the arena", _COLUMNS, rows, sortable=True))
    return join(_figures(found, arena), _map(arena), _peak(arena["peak"]), every)


def _figures(found: dict[str, Any] | None, arena: dict[str, Any] | None) -> Markup | None:
    if found is None:
        return None
    rss = size(found["peak_rss_bytes"]) if found["is_real"] else f"{NOT_KNOWN}: the emulator's own memory is in it"
    rows: list[tuple[str, object]] = [("process, peak", rss)]
    if found["weights_bytes"]:
        rows += [("weights", f"{size(found['weights_bytes'])}, mapped from the plan"), ("arena", _arena(found, arena))]
    return facts(rows)


def _arena(found: dict[str, Any], arena: dict[str, Any] | None) -> str:
    whole = size(found["arena_bytes"])
    if arena is None or arena["laid_out_bytes"] == arena["arena_bytes"]:
        return f"{whole}, with {count(found['threads'], 'thread')}"
    return f"{whole} for the largest inputs, of which these need {size(arena['laid_out_bytes'])}"


def _map(arena: dict[str, Any]) -> Markup:
    steps, blocks = len(arena["use_bytes"]), arena["blocks"]
    x, y = Scale(0, steps), scales.from_zero([float(arena["laid_out_bytes"])])
    drawn = sorted(blocks, key=lambda block: -block["bytes"])[:DRAWN]
    marks = [_block(block, x, y, steps) for block in drawn]
    peak = rule(x.place(arena["peak"]["step"] + 0.5), f"peak {size(arena['peak']['bytes'])}", height=TALL)
    line = path(_stairs(arena["use_bytes"], x, y), "line second", height=TALL)
    left_out = (
        f" The {whole(DRAWN)} largest of {count(len(blocks), 'block')} are drawn." if len(blocks) > len(drawn) else ""
    )
    kinds = {block["kind"] for block in blocks}
    legend = [value for kind, value in KINDS.items() if kind in kinds]
    said = (
        "Each rectangle is a block of the arena as the runtime lays it out: where it lies, and from which step to "
        "which it is in use; a result may lie over what it is made from. The line is what is in use at each step, in "
        f"all.{left_out}"
    )
    steps_axis = Axis(x, whole, "step: number of the node")
    places = Axis(y, size_axis(y.high), "place in the arena")
    marks = [*marks, line, peak]
    return chart("Memory over the plan", said, steps_axis, places, marks, height=TALL, above=30, legend=legend)


def _block(block: Block, x: Scale, y: Scale, steps: int) -> Markup:
    end = min(block["last"], steps - 1) + 1
    low, high = block["offset"], block["offset"] + block["bytes"]
    told = f"{block['name']}: {_kind(block)}, {size(block['bytes'])} at {size(low)}, {_steps(block)}"
    kind = f"block {KINDS[block['kind']][0]}"
    return rectangle(x.place(block["first"]), x.place(end), y.place(low), y.place(high), kind, told, height=TALL)


def _stairs(use: Sequence[int], x: Scale, y: Scale) -> list[tuple[float, float]]:
    """The largest use of each group of steps."""
    group = -(-len(use) // _POINTS)
    points = []
    for at in range(0, len(use), group):
        level = y.place(max(use[at : at + group]))
        points += [(x.place(at), level), (x.place(min(at + group, len(use))), level)]
    return points


def _kind(block: Block) -> str:
    if block["kind"] != "tensor":
        return KINDS[block["kind"]][1]
    return "tensor" if block["tensors"] == 1 else f"{block['tensors']} tensors: views, or results in an operand's place"


def _steps(block: Block) -> str:
    return f"step {block['first']}" if block["first"] == block["last"] else f"steps {block['first']} to {block['last']}"


_COLUMNS = (
    Column("Block"),
    Column("What"),
    Column("Size", True),
    Column("Place", True),
    Column("From step", True),
    Column("To step", True),
)


def _row(block: Block) -> tuple[object, ...]:
    return (
        code(block["name"]),
        _kind(block),
        known(block["bytes"], size),
        known(block["offset"], size),
        Cell(block["first"], block["first"]),
        Cell(block["last"], block["last"]),
    )


def _peak(peak: dict[str, Any]) -> Markup:
    blocks = peak["blocks"]
    caption = f"In use at step {peak['step']}: {size(peak['bytes'])} in {count(len(blocks), 'block')}"
    more = f" The {_SHOWN} largest are listed." if len(blocks) > _SHOWN else ""
    said = tag("p", "Most memory is in use while ", code(peak["node"]), f" runs. A smaller peak begins here.{more}")
    return join(tag("h3", "At the peak"), said, table(caption, _COLUMNS, [_row(block) for block in blocks[:_SHOWN]]))
