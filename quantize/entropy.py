"""The range whose 256 numbers tell most about a tensor: least Kullback-Leibler divergence (Migacz 2017, "8-bit
inference with TensorRT", GTC).

P is the histogram cut to the range, what lies outside added to the outermost bins. Q is what eight bits keep of the
part inside: the bins of one level share its count evenly, empty bins staying empty. KL(P || Q) = sum P log(P / Q).
The histogram has at least eight bins for each level of the widest range; with as many bins as levels every range
would be perfect and the widest always chosen.
"""

from __future__ import annotations

import numpy as np

from edgeort.quantize.histogram import Histogram

LEVELS = 256
CANDIDATES = 96
NARROWEST = 1 / 16  # of the largest magnitude
_FLOOR = 1e-12  # of a bin's probability in Q, where P has outliers and Q has nothing


def entropy(histogram: Histogram, function: object = None) -> tuple[float, float]:
    """The best of `CANDIDATES` ranges, the extremes cut to [-t, t] for thresholds t."""
    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)
    half, width = len(histogram.counts) // 2, histogram.width
    best, least = (low, high), np.inf
    for threshold in np.geomspace(1.0, NARROWEST, CANDIDATES) * max(-low, high):
        ends = max(low, -float(threshold)), min(high, float(threshold))
        first = int(np.floor(ends[0] / width)) + half
        last = min(max(int(np.ceil(ends[1] / width)) + half, first + 1), len(histogram.counts))
        if last - first < LEVELS:
            break
        found = divergence(histogram.counts, first, last)
        if found < least:
            best, least = ends, found
    return best


def divergence(counts: np.ndarray, first: int, last: int) -> float:
    """KL(P || Q) in nats for the range of bins first ... last - 1."""
    inside = counts[first:last].astype(np.float64)
    p = inside.copy()
    p[0] += counts[:first].sum()
    p[-1] += counts[last:].sum()
    level = np.arange(len(inside)) * LEVELS // len(inside)
    full = inside > 0
    shares = np.bincount(level, inside, LEVELS) / np.maximum(np.bincount(level[full], minlength=LEVELS), 1)
    q = np.where(full, shares[level], 0.0)
    if not q.sum():
        return np.inf
    p, q = p / p.sum(), np.maximum(q / q.sum(), _FLOOR)
    seen = p > 0
    return float(np.sum(p[seen] * np.log(p[seen] / q[seen])))
