"""The covariance of what a layer's weights multiply: for a convolution, of the pixels under the kernel.

For every group of channels, with x the d = (channels of the group) * (taps) numbers that one output reads,

    C = E[x x^T] - E[x] E[x]^T

The mean is taken out because its part of the error, the same for every output of a channel, is what bias correction
removes; it stays in where there is no bias to correct.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeort.passes.edit import ints, text
from edgeort.quantize.layers import Layer

ENOUGH = 20  # positions per unknown, over all samples: more do not change the rounding
FEWEST = 64  # positions of a sample, where it has them
_TINY = 1e-300


@dataclass
class Moments:
    """Sums over positions of vectors a, b: `first` and `other` [groups, d], `second` [groups, d, d] of a b^T."""

    count: int = 0
    first: np.ndarray | float = 0.0
    other: np.ndarray | float = 0.0
    second: np.ndarray | float = 0.0

    @classmethod
    def of(cls, a: np.ndarray, b: np.ndarray) -> Moments:
        """Those of a sample, from float32 [groups, positions, d]; `second` is float32 still."""
        ones = np.ones((1, a.shape[1]), np.float32)
        first = np.matmul(ones, a)[:, 0].astype(np.float64)
        other = first if b is a else np.matmul(ones, b)[:, 0].astype(np.float64)
        return cls(a.shape[1], first, other, np.matmul(a.transpose(0, 2, 1), b))

    def add(self, more: Moments) -> None:
        """Adds the sums of other positions, in place where there are some already, since matrices may be large."""
        self.count += more.count
        self.first, self.other = self.first + more.first, self.other + more.other
        if isinstance(self.second, np.ndarray):
            self.second += more.second
        else:
            self.second = np.array(more.second, np.float64)

    def merged(self, more: Moments) -> Moments:
        """The sums of both."""
        found = Moments()
        found.add(self)
        found.add(more)
        return found

    def products(self) -> np.ndarray:
        """[groups, d, d], float64: E[a b^T]."""
        return np.asarray(self.second) / max(self.count, 1)

    def covariance(self, centred: bool = True) -> np.ndarray:
        """[groups, d, d], float64: E[a b^T] - E[a] E[b]^T, or where not `centred`, E[a b^T]."""
        found = self.products()
        if not centred:
            return found
        means = (np.asarray(x) / max(self.count, 1) for x in (self.first, self.other))
        a, b = means
        found -= a[:, :, np.newaxis] * b[:, np.newaxis]
        return found


def shrunk(halves: Sequence[Moments], centred: bool = True) -> np.ndarray:
    """[groups, d, d], float64: the covariance over both halves of the samples, without what only chance put into it.

    With A and B the covariances of the halves off the diagonal, and r the share of chance in their mean,

        r = n / (s + n)       s = <A, B>       n = |A - B|^2 / 4

    what is off the diagonal is multiplied by 1 - r, and r times its mean is added to the diagonal. Rounding would learn
    chance by heart. (Ledoit and Wolf 2004, "A well-conditioned estimator for large-dimensional covariance matrices",
    has another target and estimate of r.)
    """
    whole = halves[0].merged(halves[1]).covariance(centred)
    if not all(half.count for half in halves):
        return whole
    one, other = (half.covariance(centred) for half in halves)
    for each in (one, other):
        np.einsum("gii->gi", each)[...] = 0
    shared = float(np.vdot(one, other))
    one -= other
    chance = float(np.square(one, out=one).sum()) / 4
    share = chance / max(max(shared, 0.0) + chance, _TINY)
    diagonal = np.einsum("gii->gi", whole).copy()
    whole *= 1 - share
    np.einsum("gii->gi", whole)[...] = diagonal + share * diagonal.mean(axis=1, keepdims=True)
    return whole


@dataclass(frozen=True)
class Patches:
    """Cuts a layer's input into what single outputs read; `samples` of them are expected.

    `most` is how many positions of a sample are cut, None: enough for the unknowns.
    """

    layer: Layer
    samples: int
    most: int | None = None

    @property
    def size(self) -> int:
        """How many numbers an output reads: d."""
        weight = self.layer.weight
        return int(weight[0].size if self.layer.node.op_type == "Conv" else weight.shape[1 - self.layer.weight_axis])

    def cut(self, x: np.ndarray, zero: float) -> np.ndarray:
        """[groups, positions, d] of x's type: all positions, or evenly spread ones where there are more than enough.

        `zero` is what the padding holds.
        """
        node = self.layer.node
        if node.op_type != "Conv":
            rows = x.reshape(1, -1, x.shape[-1])
            return rows[:, self._positions(rows.shape[1])]
        padded, index = self._padded(x, zero)
        flat = padded.reshape(*padded.shape[:2], -1)
        everything = index.size == flat.shape[2] and index.shape[1] == 1
        picked = flat[..., np.newaxis] if everything else np.take(flat, index, axis=2)  # batch, channels, *index.shape
        split = picked.reshape(len(x), self.layer.groups, -1, *index.shape)
        return split.transpose(1, 0, 3, 2, 4).reshape(self.layer.groups, -1, self.size)

    def _padded(self, x: np.ndarray, zero: float) -> tuple[np.ndarray, np.ndarray]:
        """The padded input, and [positions, taps]: where in its flattened planes the kernel reads."""
        node, taps = self.layer.node, self.layer.weight.shape[2:]
        rank = len(taps)
        strides, dilations = ints(node, "strides", [1] * rank), ints(node, "dilations", [1] * rank)
        spans = [(size - 1) * step + 1 for size, step in zip(taps, dilations, strict=True)]
        pads = _pads(text(node, "auto_pad", "NOTSET"), ints(node, "pads", [0] * 2 * rank), x.shape[2:], spans, strides)
        padded = np.pad(x, ((0, 0), (0, 0), *pads), constant_values=zero) if any(map(any, pads)) else x
        sizes = padded.shape[2:]
        places = [(size - span) // step + 1 for size, span, step in zip(sizes, spans, strides, strict=True)]
        starts = np.unravel_index(self._positions(math.prod(places)), places)
        offsets = np.unravel_index(np.arange(math.prod(taps)), taps)
        read = [
            start[:, np.newaxis] * stride + offset * dilation
            for start, stride, offset, dilation in zip(starts, strides, offsets, dilations, strict=True)
        ]
        return padded, np.ravel_multi_index(read, sizes)

    @property
    def positions(self) -> int:
        """How many positions of a sample are cut, where it has them."""
        return self.most or max(ENOUGH * self.size // max(self.samples, 1), FEWEST)

    def _positions(self, available: int) -> np.ndarray:
        wanted = self.positions
        if available <= wanted:
            return np.arange(available)
        return ((np.arange(wanted) + 0.5) * (available / wanted)).astype(np.int64)


def _pads(
    auto: str, given: list[int], sizes: tuple[int, ...], spans: list[int], strides: list[int]
) -> list[tuple[int, int]]:
    """(before, after) of every spatial axis."""
    if auto in ("NOTSET", "VALID"):
        half = len(spans)
        return [(0, 0)] * half if auto == "VALID" else list(zip(given[:half], given[half:], strict=True))
    found = []
    for size, span, stride in zip(sizes, spans, strides, strict=True):
        total = max((-(-size // stride) - 1) * stride + span - size, 0)
        small = total // 2
        found.append((small, total - small) if auto == "SAME_UPPER" else (total - small, small))
    return found
