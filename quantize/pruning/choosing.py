"""In which order the channels of a group are removed, and what that costs the layers that read them.

Without the channels b, with the other weights W of a reader moved by least squares to make up for them, the squared
error of its result is

    tr(W_b (C^-1_bb)^-1 W_b^T)            W  <-  W - W_b (C^-1_bb)^-1 C^-1_b:

with C the covariance of its input, from which those channels are taken out in turn (the optimal brain surgeon of
Hassibi and Stork 1992, with blocks for weights: Kurtic et al. 2023, "ZipLM", section 3). An error counts as a share of
the variance of what the reader makes. The mean is no part of it: the bias takes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgeort.quantize import compensation
from edgeort.quantize.covariance import Moments
from edgeort.quantize.layers import Layer
from edgeort.quantize.pruning.channels import Tracker
from edgeort.quantize.pruning.groups import Group, Reader
from edgeort.quantize.pruning.statistics import Read

DAMPING = 0.01  # at least by so much correlations are shrunk
INDEPENDENT = 8  # positions of a sample that count as samples of their own
ROUNDS = 64  # after each of which errors are measured anew

_TINY = 1e-30


@dataclass(frozen=True)
class Order:
    """A group's channels as they go, as roots, and the error after each: a sum over readers."""

    group: Group
    roots: np.ndarray
    errors: np.ndarray


def order(group: Group, reads: Mapping[str, Read]) -> Order:
    """All channels of a group, the one that costs least first."""
    problems = [_Problem.of(reader, reads[reader.layer.name]) for reader in group.readers]
    alive, each = np.ones(len(group.roots), bool), max(1, len(group.roots) // ROUNDS)
    chosen: list[int] = []
    errors: list[float] = []
    total = 0.0
    while alive.any():
        increases = np.where(alive, sum(problem.increases() for problem in problems), np.inf)
        block = np.argsort(increases, kind="stable")[: min(each, alive.sum())]
        added = sum(problem.remove(block) for problem in problems)
        alive[block] = False
        chosen.extend(group.roots[block].tolist())
        errors.extend(total + added * (np.arange(len(block)) + 1) / len(block))
        total += added
    return Order(group, np.array(chosen, np.int64), np.array(errors))


def last_ones(tracker: Tracker, orders: Sequence[Order]) -> set[int]:
    """Channels that stay so that no tensor is left without any: where all may go, the one that goes last."""
    place = {root: i / len(found.roots) for found in orders for i, root in enumerate(found.roots.tolist())}
    tensors = [set(tracker.roots(found.ids).tolist()) for found in tracker.of.values()]
    return {max(roots, key=lambda root: place[root]) for roots in tensors if roots <= place.keys()}


@dataclass
class _Problem:
    """What a reader loses: `rows` [outputs * taps, inputs], C^-1, and the variance of its result."""

    rows: np.ndarray
    inverse: np.ndarray
    columns: np.ndarray
    variance: float

    @classmethod
    def of(cls, reader: Reader, read: Read) -> _Problem:
        rows, covariance = input_rows(reader.layer, reader.layer.weight), shrunk(read)
        variance = float((rows @ covariance * rows).sum())
        return cls(rows, np.linalg.inv(covariance), reader.columns, max(variance, _TINY))

    def increases(self) -> np.ndarray:
        """Of the error, without each channel of the group."""
        alone = (self.rows**2).sum(axis=0) / np.maximum(np.diagonal(self.inverse), _TINY)
        if self.columns.shape[1] == 1:
            return np.asarray(alone[self.columns[:, 0]] / self.variance)
        padded = np.append(alone, 0.0)  # for -1
        return np.asarray(padded[self.columns].sum(axis=1) / self.variance)

    def remove(self, channels: np.ndarray) -> float:
        """Takes channels out together; the increase of the error."""
        b = self.columns[channels]
        b = b[b >= 0]
        if not len(b):
            return 0.0
        weights, block = self.rows[:, b], np.linalg.inv(self.inverse[np.ix_(b, b)])
        increase = float((weights @ block * weights).sum())
        reach = block @ self.inverse[b]
        self.rows -= weights @ reach
        self.inverse -= self.inverse[:, b] @ reach
        return increase / self.variance


def input_rows(layer: Layer, array: np.ndarray) -> np.ndarray:
    """A weight as float64 [everything else, inputs], for a layer of one group."""
    return np.moveaxis(array, 1 - layer.weight_axis, -1).reshape(-1, array.shape[1 - layer.weight_axis]).astype(float)


def from_input_rows(layer: Layer, rows: np.ndarray) -> np.ndarray:
    """The inverse of `input_rows`, float32."""
    axis = 1 - layer.weight_axis
    shape = [size for i, size in enumerate(layer.weight.shape) if i != axis]
    return np.ascontiguousarray(np.moveaxis(rows.reshape(*shape, -1), -1, axis).astype(np.float32))


def shrunk(read: Read) -> np.ndarray:
    """The covariance of what a layer reads, its correlations shrunk as far as few samples make them uncertain.

    (Chen et al. 2010, "Shrinkage algorithms for MMSE covariance estimation", equation 23, on the correlations.
    Positions of a sample are alike, so that of many only a few count.)
    """
    moments = read.moments
    covariance = moments.covariance()[0]
    deviations = np.sqrt(np.maximum(np.diagonal(covariance), _TINY))
    correlation = covariance / np.outer(deviations, deviations)
    size, count = len(covariance), min(moments.count, INDEPENDENT * read.samples)
    square = float((correlation**2).sum())
    above, below = (1 - 2 / size) * square + size**2, (count + 1 - 2 / size) * (square - size)
    share = max(min(above / below if below > 0 else 1.0, 1.0), DAMPING)
    correlation *= 1 - share
    correlation[np.diag_indices(size)] = 1.0
    return np.asarray(correlation * np.outer(deviations, deviations))


def without(rows: np.ndarray, read: Read, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`rows` of the inputs `keep` alone, moved to make up for the others, and by how much their results' means fall."""

    def problem(moments: Moments) -> compensation.Problem:
        covariance = moments.covariance()[0]
        return covariance[np.newaxis, keep][:, :, keep], (rows[:, ~keep] @ covariance[np.ix_(~keep, keep)])[np.newaxis]

    moments, moved = read.moments, rows[:, keep]
    if read.samples > 1:
        moved = moved + compensation.best_step([problem(half) for half in read.halves], problem(moments))[0]
    means = np.asarray(moments.first)[0] / max(moments.count, 1)
    return moved, rows @ means - moved @ means[keep]
