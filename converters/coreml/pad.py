"""Pad: what MIL's own takes, and the rest as slices, reversals and concatenations.

    reflect     x[p], ..., x[1] | x | x[-2], ..., x[-1-q]
    edge        x[0], ..., x[0] | x | x[-1], ..., x[-1]
    wrap        x[-p], ..., x[-1] | x | x[0], ..., x[q-1]
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import Var, types

from edgeort.converters.coreml.emission import Emission, Refused, Results, cast, is_float, positive, scalar
from edgeort.passes import edit

_PLANE = 2  # MIL's reflect and replicate pad the last two axes


def pad(e: Emission, node: ir.Node) -> Results:
    """Pad by known sizes; negative ones cut off."""
    x, mode = e.input(node), edit.text(node, "mode", "constant")
    pairs = _pairs(e, node, x)
    cut = [(max(0, -before), max(0, -after)) for before, after in pairs]
    pairs = [(max(0, before), max(0, after)) for before, after in pairs]
    if any(size for pair in cut for size in pair):
        x = _cut(x, cut)
    padded = [axis for axis, pair in enumerate(pairs) if any(pair)]
    if not padded:
        return mb.identity(x=x)
    if mode == "constant":
        return _constant(e, node, x, pairs)
    inner = [size for pair in pairs[-_PLANE:] for size in pair]
    own = {"reflect": "reflect", "edge": "replicate"}.get(mode)
    if own and is_float(x) and x.rank >= _PLANE and padded[0] >= x.rank - _PLANE:
        return mb.pad(x=x, pad=inner, mode=own)
    for axis in padded:
        x = _extend(x, axis, pairs[axis], mode)
    return x


def _pairs(e: Emission, node: ir.Node, x: Var) -> list[tuple[int, int]]:
    """(before, after) of every axis."""
    if "pads" in node.attributes:
        pads = edit.ints(node, "pads", ())
    else:
        pads = e.constant(node, 1, "its pads").reshape(-1).tolist()
    axes = list(range(x.rank))
    if edit.operand(node, 3) is not None:
        axes = [positive(axis, x.rank) for axis in e.constant(node, 3, "its axes").reshape(-1).tolist()]
    pairs = [(0, 0)] * x.rank
    for index, axis in enumerate(axes):
        pairs[axis] = pads[index], pads[index + len(axes)]
    return pairs


def _cut(x: Var, cut: Sequence[tuple[int, int]]) -> Var:
    ends = [-after if after else 0 for _, after in cut]
    return mb.slice_by_index(
        x=x,
        begin=[before for before, _ in cut],
        end=ends,
        end_mask=[end == 0 for end in ends],
    )


def _constant(e: Emission, node: ir.Node, x: Var, pairs: Sequence[tuple[int, int]]) -> Var:
    if "value" in node.attributes:
        number = edit.number(node, "value", 0.0)
    else:
        given = e.known(node, 2)
        if given is None and edit.operand(node, 2) is not None:
            raise Refused("the number that it fills in is computed by the graph")
        number = 0 if given is None or given.size == 0 else given.reshape(-1)[0].item()
    wide = x if is_float(x) else cast(x, types.fp32)
    flat = [size for pair in pairs for size in pair]
    return cast(mb.pad(x=wide, pad=flat, mode="constant", constant_val=scalar(wide, number)), x.dtype)


def _extend(x: Var, axis: int, pair: tuple[int, int], mode: str) -> Var:
    """One axis with what stands before and after it."""
    before, after = pair
    size = x.shape[axis]
    if not isinstance(size, (int, np.integer)):
        raise Refused(f"{mode} along a free dimension")
    size, parts = int(size), [x]
    if max(pair) > size - (mode == "reflect"):
        raise Refused(f"it pads {max(pair)} along an axis of {size}")
    if mode == "edge":
        first, last = _part(x, axis, 0, 1), _part(x, axis, size - 1, size)
        parts = [*[first] * before, x, *[last] * after]
    elif mode == "wrap":
        parts = [*_some(x, axis, size - before, size), x, *_some(x, axis, 0, after)]
    elif mode == "reflect":
        front = [mb.reverse(x=part, axes=[axis]) for part in _some(x, axis, 1, before + 1)]
        back = [mb.reverse(x=part, axes=[axis]) for part in _some(x, axis, size - 1 - after, size - 1)]
        parts = [*front, x, *back]
    return mb.concat(values=parts, axis=axis)


def _some(x: Var, axis: int, start: int, stop: int) -> list[Var]:
    return [_part(x, axis, start, stop)] if start < stop else []


def _part(x: Var, axis: int, start: int, stop: int) -> Var:
    others = [other != axis for other in range(x.rank)]
    return mb.slice_by_index(
        x=x,
        begin=[0 if other else start for other in others],
        end=[0 if other else stop for other in others],
        begin_mask=others,
        end_mask=others,
    )
