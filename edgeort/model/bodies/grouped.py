"""com.microsoft GroupQueryAttention: attention over earlier and new keys and values, each shared by a group of heads.

By its definition in ONNX Runtime's docs/ContribOperators.md (grouped queries: Ainslie et al. 2023, arXiv:2305.13245).
Keys and values are joined to the past, which therefore holds as many rows as were read: a past of a fixed length, of
which a part counts, is Unknown. All sequences of a batch have one length.
"""

from __future__ import annotations

import math

import numpy as np

from edgeort.model.bodies.builder import INT64, Body, Unknown
from edgeort.model.bodies.microsoft import DOMAIN, turned

_PAST_KEY, _PAST_VALUE, _COSINES, _SINES, _POSITIONS, _BIAS, _SINK = 3, 4, 7, 8, 9, 10, 11


def group_query_attention(b: Body) -> list[str]:
    """[batch, row, head x column], and all keys and values [batch, key head, row, column]."""
    heads, shared = int(b.attribute("num_heads", 0)), int(b.attribute("kv_num_heads", 0))
    if heads < 1 or shared < 1 or heads % shared or any(b.attribute(name, "NONE") != "NONE" for name in _QUANTISED):
        raise Unknown
    _only_growing(b)
    width = _width(b, heads, shared)
    before = b.size(b.input(_PAST_KEY), 2) if b.has(_PAST_KEY) else b.array(0, INT64)
    new = b.size(b.input(0), 1)
    rows = b.op("Add", b.range(new), before)
    q, k, v = _projected(b, heads, shared, width)
    if b.attribute("do_rotary", 0):
        at = b.input(_POSITIONS) if b.has(_POSITIONS) else b.unsqueeze(rows, 0)
        c, s = (b.unsqueeze(b.op("Gather", b.input(i), at, axis=0), 2) for i in (_COSINES, _SINES))
        q, k = (turned(b, x, c, s, width, b.dim(_COSINES, 1), b.attribute("rotary_interleaved", 0)) for x in (q, k))
    q, k, v = (b.op("Transpose", x, perm=[0, 2, 1, 3]) for x in (q, k, v))
    if b.has(_PAST_KEY):
        k = b.op("Concat", b.input(_PAST_KEY), k, axis=2)
        v = b.op("Concat", b.input(_PAST_VALUE), v, axis=2)
    group = heads // shared
    if group > 1:  # rows of the heads that share keys lie under one another
        q = b.op("Reshape", q, b.ints(0, shared, -1, width))
    out = b.op("MatMul", _chances(b, q, k, rows, (heads, group), width), v)
    if group > 1:
        out = _apart(b, out, heads, width)
    return [b.op("Reshape", b.op("Transpose", out, perm=[0, 2, 1, 3]), b.ints(0, 0, heads * width)), k, v]


_QUANTISED = ("k_quant_type", "v_quant_type")


def _only_growing(b: Body) -> None:
    """Unknown where the past is known to have a fixed length, and where scores are asked for."""
    if b.wants(3) or (b.has(_PAST_KEY) and not b.has(_PAST_VALUE)):
        raise Unknown
    past = b.node.inputs[_PAST_KEY] if b.has(_PAST_KEY) else None
    present = b.node.outputs[1] if len(b.node.outputs) > 1 else None
    sizes = [None if value is None or value.shape is None else value.shape[2] for value in (past, present)]
    if sizes[0] is not None and sizes[0] != 0 and sizes[0] == sizes[1]:
        raise Unknown


def _width(b: Body, heads: int, shared: int) -> int:
    """Columns of a head."""
    if b.has(_PAST_KEY) and b.rank(_PAST_KEY) == 4:
        return b.dim(_PAST_KEY, 3)
    return b.dim(0, 2) // (heads if b.has(1) else heads + 2 * shared)


def _projected(b: Body, heads: int, shared: int, width: int) -> list[str]:
    """Queries, keys and values [batch, row, head, column]."""
    if b.has(1) != b.has(2):
        raise Unknown
    if not b.has(1):
        packed = b.op("Reshape", b.input(0), b.ints(0, 0, heads + 2 * shared, width))
        return b.split(packed, [heads, shared, shared], 2)
    return [b.op("Reshape", b.input(i), b.ints(0, 0, n, width)) for i, n in enumerate((heads, shared, shared))]


def _apart(b: Body, x: str, heads: int, width: int) -> str:
    """[batch, key head, group x row, ...] -> [batch, head, row, ...]."""
    rows = b.unsqueeze(b.size(b.input(0), 1), 0)
    return b.op("Reshape", x, b.op("Concat", b.ints(0, heads), rows, b.ints(width), axis=0))


def _chances(b: Body, q: str, k: str, rows: str, grouping: tuple[int, int], width: int) -> str:
    """Softmax of the scores [batch, key head, group x row, key]."""
    heads, group = grouping
    scale = float(b.attribute("scale", 0.0) or 0.0) or 1 / math.sqrt(width)
    scores = b.op("Mul", b.op("MatMul", q, b.op("Transpose", k, perm=[0, 1, 3, 2])), b.number(scale))
    cap = float(b.attribute("softcap", 0.0) or 0.0)
    if cap > 0:
        scores = b.op("Mul", b.op("Tanh", b.op("Div", scores, b.number(cap))), b.number(cap))
    if b.has(_BIAS):
        shape = b.op("Shape", scores)
        apart = b.op("Concat", b.ints(0, heads, -1), b.unsqueeze(b.size(k, 2), 0), axis=0)
        scores = b.op("Reshape", b.op("Add", b.op("Reshape", scores, apart), b.input(_BIAS)), shape)
    mask = _mask(b, rows, b.size(k, 2))
    scores = b.op("Add", scores, b.op("Tile", mask, b.ints(group, 1)) if group > 1 else mask)
    if not b.has(_SINK) and not b.attribute("smooth_softmax", 0):
        return b.op("Softmax", scores, axis=-1)
    return _with_sink(b, scores, heads, group)


def _mask(b: Body, rows: str, total: str) -> str:
    """[row, key]: 0 where a row sees the key, which is not behind it and not further before it than the window."""
    columns, rows = b.unsqueeze(b.range(total), 0), b.unsqueeze(rows, 1)
    seen = b.op("LessOrEqual", columns, rows)
    window = int(b.attribute("local_window_size", -1))
    if window >= 0:
        near = b.op("Greater", columns, b.op("Sub", rows, b.array(window, INT64)))
        seen = b.op("And", seen, near)
    least = float(np.finfo(b.dtype(0).numpy()).min)
    return b.op("Where", seen, b.number(0.0), b.number(least))


def _with_sink(b: Body, scores: str, heads: int, group: int) -> str:
    """Softmax over one more score for each head, whose part is nobody's (Xiao et al. 2023, arXiv:2309.17453)."""
    sinks = b.input(_SINK) if b.has(_SINK) else b.op("Expand", b.number(0.0), b.ints(heads))
    each = b.op("Reshape", sinks, b.ints(1, heads // group, group, 1))
    rows = b.unsqueeze(b.size(b.input(0), 1), 0)
    size = b.op("Concat", b.ints(1, heads // group, group), rows, axis=0)
    column = b.op("Reshape", b.op("Expand", each, size), b.ints(1, heads // group, -1, 1))
    shape = b.op("Concat", b.op("Slice", b.op("Shape", scores), b.ints(0), b.ints(3), b.ints(0)), b.ints(1), axis=0)
    joined = b.op("Concat", scores, b.op("Expand", column, shape), axis=3)
    return b.slice(b.op("Softmax", joined, axis=-1), 0, -1, 3)


BODIES = {(DOMAIN, "GroupQueryAttention"): group_query_attention}
