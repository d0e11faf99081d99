"""Bodies of the com.microsoft operators that ONNX Runtime's optimizer and quantiser leave in models.

By their definitions in ONNX Runtime's docs/ContribOperators.md. Ranks are those that the definitions prescribe, and
element types those of weights, so that a chain of them needs no inference in between.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from edgeort.model.bodies.builder import INT32, INT64, Body, Unknown

DOMAIN = "com.microsoft"


def fused_matmul(b: Body) -> list[str]:
    """alpha times a product of operands whose last two axes may be swapped, and whose rows stand before the batch."""
    operands = []
    for index, side in enumerate("AB"):
        value = b.input(index)
        axes = list(range(b.rank(index)))
        if b.attribute(f"transBatch{side}", 0) and len(axes) > 2:
            axes = [*axes[1:-1], axes[0], axes[-1]]
        if b.attribute(f"trans{side}", 0) and len(axes) > 1:
            axes = [*axes[:-2], axes[-1], axes[-2]]
        operands.append(value if axes == sorted(axes) else b.op("Transpose", value, perm=axes))
    product = b.op("MatMul", *operands)
    alpha = float(b.attribute("alpha", 1.0))
    return [product if alpha == 1.0 else b.op("Mul", product, b.number(alpha))]


def _gelu(b: Body, x: str, like: int) -> str:
    erf = b.op("Erf", b.op("Div", x, b.number(math.sqrt(2), like)))
    return b.op("Mul", b.op("Mul", x, b.op("Add", erf, b.number(1.0, like))), b.number(0.5, like))


def gelu(b: Body) -> list[str]:
    """Gelu; of the sum with a bias where there is one."""
    x = b.op("Add", *b.names[:2]) if b.has(1) else b.input(0)
    return [_gelu(b, x, 1 if b.has(1) else 0)]


def fast_gelu(b: Body) -> list[str]:
    """The approximation by tanh."""
    like = 1 if b.has(1) else 0
    x = b.op("Add", *b.names[:2]) if b.has(1) else b.input(0)
    cube = b.op("Mul", b.op("Mul", b.op("Mul", x, x), x), b.number(0.044715, like))
    inner = b.op("Mul", b.op("Add", x, cube), b.number(math.sqrt(2 / math.pi), like))
    tanh = b.op("Add", b.op("Tanh", inner), b.number(1.0, like))
    return [b.op("Mul", b.op("Mul", x, tanh), b.number(0.5, like))]


def quick_gelu(b: Body) -> list[str]:
    """x sigmoid(alpha x)."""
    alpha = b.number(float(b.attribute("alpha", 1.702)))
    return [b.op("Mul", b.input(0), b.op("Sigmoid", b.op("Mul", b.input(0), alpha)))]


def _layer_norm(b: Body, x: str, scale: str, bias: str, like: int, default: float) -> str:
    epsilon = float(b.attribute("epsilon", default))
    if b.opset >= 17:
        return b.op("LayerNormalization", x, scale, *([bias] if bias else []), axis=-1, epsilon=epsilon)
    centered = b.op("Sub", x, b.reduce("ReduceMean", x, [-1]))
    variance = b.reduce("ReduceMean", b.op("Mul", centered, centered), [-1])
    normal = b.op("Div", centered, b.op("Sqrt", b.op("Add", variance, b.number(epsilon, like))))
    scaled = b.op("Mul", normal, scale)
    return b.op("Add", scaled, bias) if bias else scaled


def _rms_norm(b: Body, x: str, scale: str, like: int, default: float) -> str:
    square = b.reduce("ReduceMean", b.op("Mul", x, x), [-1])
    root = b.op("Sqrt", b.op("Add", square, b.number(float(b.attribute("epsilon", default)), like)))
    return b.op("Mul", b.op("Div", x, root), scale)


def _only(b: Body, *outputs: int) -> None:
    """Unknown unless nothing but these outputs is read."""
    if any(b.wants(index) for index in range(len(b.node.outputs)) if index not in outputs):
        raise Unknown


def _skip(b: Body, bias: int) -> str:
    total = b.op("Add", *b.names[:2])
    return b.op("Add", total, b.input(bias)) if b.has(bias) else total


def skip_layer_norm(b: Body) -> list[str]:
    """LayerNormalization of input + skip (+ bias); the sum is output 3."""
    _only(b, 0, 3)
    total = _skip(b, 4)
    return [_layer_norm(b, total, b.input(2), b.input(3), 2, 1e-12), total, total, total]


def skip_rms_norm(b: Body) -> list[str]:
    """The same without a mean."""
    _only(b, 0, 3)
    total = _skip(b, 3)
    return [_rms_norm(b, total, b.input(2), 2, 1e-12), total, total, total]


def layer_norm(b: Body) -> list[str]:
    """LayerNormalization of the last axis, in opsets that do not have it."""
    _only(b, 0)
    if b.attribute("axis", -1) not in (-1, b.rank(0) - 1):
        raise Unknown
    return [_layer_norm(b, b.input(0), b.input(1), b.input(2), 1, 1e-5)]


def rms_norm(b: Body) -> list[str]:
    """SimplifiedLayerNormalization of the last axis."""
    _only(b, 0)
    if b.attribute("axis", -1) not in (-1, b.rank(0) - 1):
        raise Unknown
    return [_rms_norm(b, b.input(0), b.input(1), 1, 1e-5)]


def embed_layer_norm(b: Body) -> list[str]:
    """LayerNormalization of the sum of embeddings of words, positions and segments; how many words a mask keeps."""
    ids, segments, words, positions, kinds = b.names[:5]
    length = b.size(ids, 1)
    at = b.op("Gather", positions, b.input(8) if b.has(8) else b.unsqueeze(b.range(length), 0), axis=0)
    total = b.op("Add", b.op("Gather", words, ids, axis=0), at)
    if segments:
        total = b.op("Add", total, b.op("Gather", kinds, segments, axis=0))
    normal = _layer_norm(b, total, b.input(5), b.input(6), 5, 1e-12)
    if b.has(7):
        kept = b.cast(b.reduce("ReduceSum", b.input(7), [1], keepdims=0), INT32)
    else:
        kept = b.op("Mul", b.cast(b.op("Gather", ids, b.array(0, INT64), axis=1), INT32), b.array(0, INT32))
    return [normal, kept, total]


def _heads(b: Body, x: str, heads: int, *more: int) -> str:
    """[batch, row, head x column] to [batch, head, row, column]."""
    split = b.op("Reshape", x, b.ints(0, 0, heads, -1))
    return b.op("Transpose", split, perm=[0, 2, 1, 3])


def _between(b: Body, mask: int, columns: str) -> str:
    """Whether a column lies before its sample's end, and not before its beginning where the mask has those, too."""
    data, entries = b.node.inputs[0], b.node.inputs[mask]
    batch, count = (value.shape[0] if value is not None and value.shape else None for value in (data, entries))
    ends, begins = b.cast(b.input(mask), INT64), ""
    if isinstance(batch, int) and isinstance(count, int) and count != batch:
        if count != 2 * batch:
            raise Unknown
        ends, begins = b.split(ends, [batch, batch], 0)
    kept = b.op("Less", columns, b.unsqueeze(ends, 1))
    if begins:
        kept = b.op("And", kept, b.op("Not", b.op("Less", columns, b.unsqueeze(begins, 1))))
    return kept


def _padding(b: Body, mask: int, columns: str, like: int) -> str:
    """What a mask adds to scores [batch, head, row, column].

    Of rank 1 it has lengths, or all ends and then all beginnings; else 0 where nothing is kept.
    """
    rank, value = b.rank(mask), b.input(mask)
    if rank == 1:
        kept = _between(b, mask, b.unsqueeze(b.range(columns), 0))
    else:
        kept = b.op("Not", b.op("Equal", b.cast(value, INT64), b.array(0, INT64)))
    if rank == 3:
        kept = b.unsqueeze(kept, 1)
    elif rank != 4:
        kept = b.unsqueeze(kept, 1, 2)
    fill = b.number(float(b.attribute("mask_filter_value", -10000.0)), like)
    return b.op("Where", kept, b.number(0.0, like), fill)


def _attention(b: Body, q: str, k: str, v: str, added: list[str], size: int, like: int) -> str:
    """[batch, head, row, column] operands to [batch, row, head x column]."""
    scale = float(b.attribute("scale", 0.0) or 0.0) or 1 / math.sqrt(size)
    scores = b.op("Mul", b.op("MatMul", q, b.op("Transpose", k, perm=[0, 1, 3, 2])), b.number(scale, like))
    for value in added:
        scores = b.op("Add", scores, value)
    if b.attribute("unidirectional", 0):
        rows, columns = b.range(b.size(q, 2)), b.range(b.size(k, 2))
        shift = b.op("Sub", b.size(k, 2), b.size(q, 2))
        seen = b.op("LessOrEqual", b.unsqueeze(columns, 0), b.unsqueeze(b.op("Add", rows, shift), 1))
        scores = b.op("Where", seen, scores, b.number(float(np.finfo(b.dtype(like).numpy()).min), like))
    out = b.op("MatMul", b.op("Softmax", scores, axis=-1), v)
    return b.op("Reshape", b.op("Transpose", out, perm=[0, 2, 1, 3]), b.ints(0, 0, -1))


def attention(b: Body) -> list[str]:
    """Self-attention, with the products that make queries, keys and values; past and present are [2, ...]."""
    total = b.dim(1, 1)
    sizes = [int(n) for n in b.attribute("qkv_hidden_sizes", None) or [total // 3] * 3]
    projected = b.op("MatMul", b.input(0), b.input(1))
    if b.has(2):
        projected = b.op("Add", projected, b.input(2))
    return self_attention(b, projected, sizes, mask=3, past=4, added=5, like=1)


def self_attention(
    b: Body, projected: str, sizes: Sequence[int], *, mask: int, past: int, added: int | None, like: int
) -> list[str]:
    """Attention of queries, keys and values side by side in `projected`; the others are positions of inputs."""
    heads = int(b.attribute("num_heads", 1))
    q, k, v = (_heads(b, part, heads) for part in b.split(projected, sizes, 2))
    present = ""
    if b.has(past):
        old_k, old_v = (b.op("Gather", b.input(past), b.array(i, INT64), axis=0) for i in (0, 1))
        k, v = b.op("Concat", old_k, k, axis=2), b.op("Concat", old_v, v, axis=2)
    if b.wants(1):
        present = b.op("Concat", b.unsqueeze(k, 0), b.unsqueeze(v, 0), axis=0)
    terms = [_padding(b, mask, b.size(k, 2), like)] if b.has(mask) else []
    terms += [b.input(added)] if added is not None and b.has(added) else []
    out = _attention(b, q, k, v, terms, sizes[0] // heads, like)
    return [out, present] if present else [out]


def multi_head_attention(b: Body) -> list[str]:
    """Attention of queries [batch, row, D] over keys and values of that form, or [batch, head, row, column]."""
    heads = int(b.attribute("num_heads", 1))
    if not b.has(1) or not b.has(2) or b.rank(0) != 3:
        raise Unknown  # packed operands
    _only(b, 0, 1, 2)
    names = b.names[:3]
    width = b.dim(0, 2)
    if b.has(3):
        values = b.dim(2, 2) if b.rank(2) == 3 else b.dim(3, 0) - 2 * width
        parts = b.split(b.input(3), [width, width, values], 0)
        names = [
            b.op("Add", x, part) if b.rank(i) == 3 else x for i, (x, part) in enumerate(zip(names, parts, strict=True))
        ]
    q, k, v = (_heads(b, x, heads) if b.rank(i) == 3 else x for i, x in enumerate(names))
    if b.has(6):
        k, v = b.op("Concat", b.input(6), k, axis=2), b.op("Concat", b.input(7), v, axis=2)
    added = [_padding(b, 4, b.size(k, 2), 0)] if b.has(4) else []
    added += [b.input(5)] if b.has(5) else []
    return [_attention(b, q, k, v, added, width // heads, 0), k, v]


def rotary_embedding(b: Body) -> list[str]:
    """Pairs of columns turned by the angles of their positions (Su et al. 2021, arXiv:2104.09864)."""
    x, cosines, sines = b.input(0), b.input(2), b.input(3)
    half = b.dim(2, 1)
    interleaved, rank = bool(b.attribute("interleaved", 0)), b.rank(0)
    if float(b.attribute("scale", 1.0)) != 1.0 or b.attribute("is_packed_batching", 0):
        raise Unknown
    if rank == 3:
        heads = int(b.attribute("num_heads", 0)) or b.dim(0, 2) // (2 * half)
        width = b.dim(0, 2) // heads
        x = _heads(b, x, heads)
    else:
        width = b.dim(0, 3)
    at = b.input(1)
    if b.rank(1) == 1:  # the first position
        at = b.op("Add", b.unsqueeze(b.range(b.size(x, 2)), 0), at)
    c, s = (b.unsqueeze(b.op("Gather", table, at, axis=0), 1) for table in (cosines, sines))
    out = turned(b, x, c, s, width, half, interleaved)
    return [b.op("Reshape", b.op("Transpose", out, perm=[0, 2, 1, 3]), b.ints(0, 0, -1)) if rank == 3 else out]


def turned(b: Body, x: str, c: str, s: str, width: int, half: int, interleaved: bool) -> str:
    """x of rank 4 whose `half` pairs of columns, of `width`, are turned by the angles whose cosines are c, sines s."""
    part, rest = (x, "") if width == 2 * half else b.split(x, [2 * half, width - 2 * half], 3)
    if interleaved:
        pairs = b.op("Reshape", part, b.ints(0, 0, 0, -1, 2))
        first, second = (b.op("Gather", pairs, b.array(i, INT64), axis=4) for i in (0, 1))
    else:
        first, second = b.split(part, [half, half], 3)
    real = b.op("Sub", b.op("Mul", first, c), b.op("Mul", second, s))
    imaginary = b.op("Add", b.op("Mul", first, s), b.op("Mul", second, c))
    if interleaved:
        both = b.op("Concat", b.unsqueeze(real, 4), b.unsqueeze(imaginary, 4), axis=4)
        out = b.op("Reshape", both, b.ints(0, 0, 0, -1))
    else:
        out = b.op("Concat", real, imaginary, axis=3)
    return b.op("Concat", out, rest, axis=3) if rest else out


BODIES = {
    (DOMAIN, "FusedMatMul"): fused_matmul,
    (DOMAIN, "Gelu"): gelu,
    (DOMAIN, "BiasGelu"): gelu,
    (DOMAIN, "FastGelu"): fast_gelu,
    (DOMAIN, "QuickGelu"): quick_gelu,
    (DOMAIN, "SkipLayerNormalization"): skip_layer_norm,
    (DOMAIN, "SkipSimplifiedLayerNormalization"): skip_rms_norm,
    (DOMAIN, "LayerNormalization"): layer_norm,
    (DOMAIN, "SimplifiedLayerNormalization"): rms_norm,
    (DOMAIN, "EmbedLayerNormalization"): embed_layer_norm,
    (DOMAIN, "Attention"): attention,
    (DOMAIN, "MultiHeadAttention"): multi_head_attention,
    (DOMAIN, "RotaryEmbedding"): rotary_embedding,
}
