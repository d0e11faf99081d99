"""Moves a layer's weights so that on the inputs it gets in the quantised model it gives what the float model has there.

With f the float model's input of the layer and q the one that the quantised layers before it make, W f is wanted and
W' q is had. The W' of least squares is

    W' = W + W (C_fq - C_qq) C_qq^-1            C_ab = E[a b^T] - E[a] E[b]^T

(Li et al. 2025, "GPTAQ", has the idea: calibrate against the float model's inputs.) Few samples would be learnt by
heart. So the step is made from one half of the samples and tried on the other, both ways, which says how far of it to
go and with how much damping; where it does not help there, the weights stay.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeort.quantize.covariance import Moments
from edgeort.quantize.parallel import ordered_map

MAX_UNKNOWNS = 2048  # weights of an output: beyond, samples are too few, and matrices too large
DAMPINGS = (0.01, 0.3)  # of the mean diagonal of C_qq, added to it

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
    """What to add to the weights: the step of `whole`, as far and as damped as serves the halves best."""
    gain, share, damping = max(ordered_map(lambda damping: _tried(halves, damping), DAMPINGS))
    return min(share, 1.0) * _step(*whole, damping) if gain > 0 else np.zeros_like(whole[1])


def _problem(rows: np.ndarray, own: Moments, cross: Moments, centred: bool) -> Problem:
    """C_qq and W (C_fq - C_qq)."""
    covariance = own.covariance(centred)
    return covariance, np.matmul(rows, cross.covariance(centred) - covariance)


def _step(covariance: np.ndarray, target: np.ndarray, damping: float) -> np.ndarray:
    size = covariance.shape[1]
    added = damping * np.trace(covariance, axis1=1, axis2=2) / size + _TINY
    damped = covariance + added[:, np.newaxis, np.newaxis] * np.eye(size)
    return np.asarray(np.linalg.solve(damped, target.transpose(0, 2, 1)).transpose(0, 2, 1))


def _tried(halves: list[Problem], damping: float) -> tuple[float, float, float]:
    """How much the squared error falls on the other half, for the best share of the step; the share; the damping.

    A share a of the step S changes the error by a^2 S C S^T - 2 a S T^T, T being the other half's target.
    """
    linear = square = 0.0
    for (covariance, target), (other, wanted) in (halves, halves[::-1]):
        step = _step(covariance, target, damping)
        linear += float((step * wanted).sum())
        square += float((np.matmul(step, other) * step).sum())
    share = linear / max(square, _TINY)
    return (share * linear if linear > 0 else 0.0), share, damping
