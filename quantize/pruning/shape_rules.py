"""Rules of the operators that move channels: to another axis, beside others, or apart."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeort.passes.edit import constant, dims, integer, ints, operand, rank
from edgeort.quantize.pruning.channels import Alive, Channels, Tracker

_NO_AXES = "its axes are not constant"


def concat(tracker: Tracker, node: ir.Node) -> str | None:
    """Along the channels they stand beside each other; along another axis they are the same."""
    values = [value for value in node.inputs if value is not None]
    full, axes = rank(node.outputs[0]), {tracker.of[value].axis for value in values if value in tracker.of}
    if full is None or len(axes) != 1:
        return "Concat of channels on different axes"
    (place,) = axes
    if integer(node, "axis", 0) % full != place:
        if not all(value in tracker.of for value in values):
            return "Concat with channels that cannot be followed"
        for value in values[1:]:
            tracker.join(tracker.of[values[0]].ids, tracker.of[value].ids)
        tracker.pass_on(values[0], node)
        return None
    sizes = [value.shape[place] if value.shape is not None else None for value in values]
    if not all(isinstance(size, int) for size in sizes):
        return "the sizes that Concat joins are not known"
    parts = []
    for value, size in zip(values, sizes, strict=True):
        assert isinstance(size, int)
        ids = tracker.of[value].ids if value in tracker.of else tracker.fresh(size)
        if value not in tracker.of:
            tracker.held.update(dict.fromkeys(ids.tolist(), f"{value.name!r} cannot be followed ({node.name})"))
        parts.append(ids)
    tracker.of[node.outputs[0]] = Channels(place, np.concatenate(parts))
    return None


def split(tracker: Tracker, node: ir.Node) -> str | None:
    """Along the channels each output has its part; along another axis it has all."""
    source, full, given = node.inputs[0], rank(node.inputs[0]), operand(node, 1)
    if source not in tracker.of or full is None or (given is not None and constant(given) is None):
        return "Split is not constant"
    found = tracker.of[source]
    if integer(node, "axis", 0) % full != found.axis:
        tracker.pass_on(source, node)
        return None
    sizes = constant(given)
    count = len(node.outputs)
    each = -(-len(found.ids) // count)
    parts = [each] * (count - 1) + [len(found.ids) - each * (count - 1)] if sizes is None else sizes.tolist()
    bounds = np.cumsum([0, *parts])
    pieces = [found.ids[start:stop] for start, stop in zip(bounds[:-1], bounds[1:], strict=True)]
    for out, ids in zip(node.outputs, pieces, strict=True):
        tracker.of[out] = Channels(found.axis, ids)

    def edit(alive: Alive) -> None:
        kept = np.array([alive(ids).sum() for ids in pieces], np.int64)
        if kept.tolist() != parts:
            node.resize_inputs(2)
            tracker.set_constant(node, 1, kept)
            node.attributes.pop("num_outputs", None)

    tracker.edits.append(edit)
    return None


def slices(tracker: Tracker, node: ir.Node) -> str | None:
    """A part of the channels, without steps; along other axes all of them."""
    source, full = node.inputs[0], rank(node.inputs[0])
    starts, stops, axes, steps = (constant(operand(node, index)) for index in range(1, 5))
    if source not in tracker.of or full is None or starts is None or axes is None:
        return "Slice is not constant"
    found = tracker.of[source]
    where = [index for index, axis in enumerate(axes.tolist()) if axis % full == found.axis]
    if not where:
        tracker.pass_on(source, node)
        return None
    (place,) = where
    if stops is None or (operand(node, 4) is not None and (steps is None or steps[place] != 1)):
        return "Slice goes through the channels in steps"
    start, stop, _ = slice(int(starts[place]), int(stops[place])).indices(len(found.ids))
    tracker.of[node.outputs[0]] = Channels(found.axis, found.ids[start:stop])

    def edit(alive: Alive) -> None:
        before = np.concatenate([[0], np.cumsum(alive(found.ids))])
        for index, array, bound in ((1, starts, start), (2, stops, stop)):
            changed = array.copy()
            changed[place] = before[bound]
            tracker.set_constant(node, index, changed)

    tracker.edits.append(edit)
    return None


def flatten(tracker: Tracker, node: ir.Node) -> str | None:
    """[n, c, h, w] -> [n, c h w]: each channel h w times."""
    source = node.inputs[0]
    if source is None or source not in tracker.of or integer(node, "axis", 1) != 1 or tracker.of[source].axis != 1:
        return "Flatten does not keep the first axis"
    return _repeated(tracker, node, source, 1)


def reshape(tracker: Tracker, node: ir.Node) -> str | None:
    """The axis of the channels stays, or takes all axes behind it in."""
    source, target, out = node.inputs[0], constant(operand(node, 1)), node.outputs[0]
    if source is None or source not in tracker.of or source.shape is None or out.shape is None or target is None:
        return "Reshape is not constant"
    found, after = tracker.of[source], dims(out)
    places = _places(dims(source)[: found.axis], after)
    stays = [place for place in places if after[place] == len(found.ids)]
    if stays:
        place = stays[0]
        tracker.of[out] = Channels(place, found.ids)
    elif (place := len(after) - 1) not in places:
        return "Reshape tears channels apart"
    elif reason := _repeated(tracker, node, source, place):
        return reason
    ids = tracker.of[out].ids

    def edit(alive: Alive) -> None:
        array = constant(operand(node, 1))
        assert array is not None
        if array[place] >= 0:
            changed = array.copy()
            changed[place] = alive(ids).sum()
            tracker.set_constant(node, 1, changed)

    tracker.edits.append(edit)
    return None


def _repeated(tracker: Tracker, node: ir.Node, source: ir.Value, place: int) -> str | None:
    found, behind = tracker.of[source], dims(source)[tracker.of[source].axis + 1 :]
    if not all(isinstance(size, int) for size in behind):
        return "how often each channel is repeated is not known"
    times = int(np.prod([size for size in behind if isinstance(size, int)], dtype=np.int64))
    tracker.of[node.outputs[0]] = Channels(place, np.repeat(found.ids, times))
    return None


def _places(ahead: list[int | str | None], after: list[int | str | None]) -> list[int]:
    """The axes of `after` in front of which as much is held as in the axes `ahead`."""
    found = []
    for place in range(len(after)):
        sizes = (*ahead, *after[:place])
        known = all(isinstance(size, int) for size in sizes) and np.prod(ahead) == np.prod(after[:place])  # type: ignore[arg-type]
        if known or (after[:place] == ahead and None not in ahead):
            found.append(place)
    return found


def transpose(tracker: Tracker, node: ir.Node) -> str | None:
    """The axis of the channels moves."""
    source, full = node.inputs[0], rank(node.inputs[0])
    if source not in tracker.of or full is None:
        return "the rank of what Transpose reads is not known"
    order = ints(node, "perm", range(full)[::-1])
    tracker.pass_on(source, node, order.index(tracker.of[source].axis))
    return None


def squeeze(tracker: Tracker, node: ir.Node) -> str | None:
    """Squeeze and Unsqueeze of other axes."""
    source, out, axes = node.inputs[0], rank(node.outputs[0]), _axes(node)
    full = rank(source)
    if source not in tracker.of or full is None or out is None or axes is None:
        return _NO_AXES
    place = tracker.of[source].axis
    if node.op_type == "Unsqueeze":
        left = [axis for axis in range(out) if axis not in {a % out for a in axes}]
        tracker.pass_on(source, node, left[place])
        return None
    return _without(tracker, node, {a % full for a in axes})


def reduce(tracker: Tracker, node: ir.Node) -> str | None:
    """Reductions over other axes."""
    source, axes = node.inputs[0], _axes(node)
    full = rank(source)
    if source not in tracker.of or full is None or not axes:
        return _NO_AXES
    gone = {a % full for a in axes}
    if integer(node, "keepdims", 1):
        if tracker.of[source].axis in gone:
            return f"{node.op_type} mixes channels"
        tracker.pass_on(source, node)
        return None
    return _without(tracker, node, gone)


def _without(tracker: Tracker, node: ir.Node, gone: set[int]) -> str | None:
    source = node.inputs[0]
    assert source is not None
    place = tracker.of[source].axis
    if place in gone:
        return f"{node.op_type} mixes channels"
    tracker.pass_on(source, node, place - sum(axis < place for axis in gone))
    return None


def _axes(node: ir.Node) -> list[int] | None:
    value = operand(node, 1)
    found = constant(value)
    return ints(node, "axes", ()) if value is None else None if found is None else [int(a) for a in np.ravel(found)]
