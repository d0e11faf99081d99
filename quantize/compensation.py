"""Moves a layer's weights so that on the inputs it gets in the quantised model it gives what the float model has there.

With f the float model's input of the layer and q the one that the quantised layers before it make, W f is wanted and
W' q is had. The W' of least squares is

    W' = W + W (C_fq - C_qq) C_qq^-1            C_ab = E[a b^T] - E[a] E[b]^T

(Li et al. 2025, "GPTAQ", has the idea: calibrate against the float model's inputs.) Few samples would be learnt by
heart. So W' is approached by conjugate gradients, which take the directions with most in them first (Hestenes and
Stiefel 1952; that stopping them early regularises: Hansen 1998, "Rank-deficient and discrete ill-posed problems",
chapter 6). They start from each half of the samples and are tried on the other, which says how many steps to take and
how far to go along their sum; where no step helps there, the weights stay.

The W' does not depend on the units of the activations: they are chosen so that sums of squares fit float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from edgeort.quantize.covariance import Moments

MAX_UNKNOWNS = 2048  # weights of an output: beyond, samples are too few, and matrices too large
MAX_STEPS = 12
PATIENCE = 3  # steps that may be no better before the search ends
DAMPING = 0.01  # of the mean diagonal of C_qq, added to it
LEAST_DAMPING = 1e-10  # of that of the largest group: channels that are zero in half of the samples get no large steps

_TINY = 1e-30

Problem = tuple[np.ndarray, np.ndarray]  # C_qq [groups, d, d] and the target, what W C_fq exceeds W C_qq by


def moved(rows: np.ndarray, own: Sequence[Moments], cross: Sequence[Moments], centred: bool = True) -> np.ndarray:
    """The weights `rows` [groups, outputs, d], moved, float64.

    `own` are the moments of (q, q) on each half of the samples, `cross` those of (f, q); `centred` as they know it.
    """
    rows = rows.astype(np.float64)
    halves = [_problem(rows, q, f, centred) for q, f in zip(own, cross, strict=True)]
    return rows + best_step(halves, _problem(rows, own[0].merged(own[1]), cross[0].merged(cross[1]), centred))


def best_step(halves: list[Problem], whole: Problem) -> np.ndarray:
    """What to add to the weights: the steps of `whole`, as many and as far as serves the halves best."""
    size = float(_mean_diagonals(whole[0]).max(initial=0.0))
    if not (0 < size < np.inf):
        return np.zeros_like(whole[1])
    unit = float(np.exp2(np.floor(np.log2(size))))  # a power of two: numbers keep their digits
    halves, whole = [_over(half, unit) for half in halves], _over(whole, unit)
    best, best_share, count = 0.0, 0.0, 0
    tried = zip(*(_steps(*half) for half in halves), strict=True)
    others = [(covariance.astype(np.float32), target) for covariance, target in halves[::-1]]
    for number, (one, other) in enumerate(islice(tried, MAX_STEPS), 1):
        gain, share = _gain([one, other], others)
        if gain > best:
            best, best_share, count = gain, share, number
        elif number - count >= PATIENCE:
            break
    if not count:
        return np.zeros_like(whole[1])
    return min(best_share, 1.0) * next(islice(_steps(*whole), count - 1, None)).astype(np.float64)


def _problem(rows: np.ndarray, own: Moments, cross: Moments, centred: bool) -> Problem:
    """C_qq and W (C_fq - C_qq)."""
    covariance = own.covariance(centred)
    return covariance, np.matmul(rows, cross.covariance(centred) - covariance)


def _mean_diagonals(covariance: np.ndarray) -> np.ndarray:
    """One number a group."""
    return np.asarray(np.trace(covariance, axis1=1, axis2=2) / covariance.shape[1])


def _over(problem: Problem, unit: float) -> Problem:
    """The same with numbers that are so many times smaller."""
    covariance, target = problem
    return covariance / unit, target / unit


def _steps(covariance: np.ndarray, target: np.ndarray) -> Iterator[np.ndarray]:
    """The sums S of ever more steps towards S (C + damping) = T, float32; each row is a system of its own."""
    damping = np.maximum(DAMPING * _mean_diagonals(covariance), LEAST_DAMPING)
    matrix = covariance.astype(np.float32)
    np.einsum("gii->gi", matrix)[...] = np.einsum("gii->gi", covariance) + damping[:, np.newaxis]
    left = target.astype(np.float32)
    total, direction, square = np.zeros_like(left), left, _dot(left, left)
    while True:
        image = np.matmul(direction, matrix)
        length = square / np.maximum(_dot(direction, image), _TINY)
        total, left = total + length * direction, left - length * image
        before, square = square, _dot(left, left)
        direction = left + square / np.maximum(before, _TINY) * direction
        yield total


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(np.einsum("goi,goi->go", a, b)[..., np.newaxis])


def _gain(steps: Sequence[np.ndarray], others: Sequence[Problem]) -> tuple[float, float]:
    """How much the squared error falls on other samples, for the best share of the steps, and the share. Float32.

    A share a of the step S changes the error by a^2 S C S^T - 2 a S T^T.
    """
    linear = square = 0.0
    for step, (covariance, target) in zip(steps, others, strict=True):
        linear += float((step * target).sum())
        square += float((np.matmul(step, covariance) * step).sum())
    share = linear / max(square, _TINY)
    return (share * linear if linear > 0 else 0.0), share
