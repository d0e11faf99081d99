"""Which weights of a layer matter least on its data, and what the others become without them.

Setting weights to zero changes the outputs by e x with e the change of a row, whose variance is e C e^T with C the
covariance of x. Zeroing w_j while the others make up for it as well as they can adds

    w_j^2 / [C^-1]_jj

(Hassibi and Stork 1993, "Second order derivatives for network pruning: optimal brain surgeon"; Frantar and Alistarh
2022 and 2023, "Optimal brain compression" and "SparseGPT", for layers one by one on calibration data.) With all of a
row's zeros chosen, S what stays, the others are those of least squares,

    w_S C_SS = (W C)_S

which those papers solve step by step, and conjugate gradients here for all rows at once.

Where C would be too large, only its diagonal is known, and the same is w_j^2 C_jj, with nothing made up for (Sun et al.
2023, "A simple and effective pruning approach for large language models": Wanda's metric, squared). Without data C is
the identity: the magnitude of the weights.
"""

from __future__ import annotations

import numpy as np

DAMPING = 0.01  # of the mean diagonal of C, added to it
_TINY = 1e-30
_STEPS = 30  # of conjugate gradients, at most
_ENOUGH = 1e-12  # of the variance of what the rows make, that may be left


def damped(covariance: np.ndarray) -> np.ndarray:
    """C with a little more on its diagonal, so that it has an inverse."""
    size = len(covariance)
    return np.asarray(covariance + (DAMPING * np.trace(covariance) / size + _TINY) * np.eye(size))


def saliency(rows: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """What the error grows by without each weight, float64 [outputs, d]; `covariance` [d, d], or its diagonal [d]."""
    if covariance.ndim == 1:
        return np.asarray(rows**2 * covariance)
    return np.asarray(rows**2 / np.diagonal(np.linalg.inv(damped(covariance))))


def without(rows: np.ndarray, covariance: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Float64 [outputs, d] that are zero but where `keep` is set, and there make up for the rest."""
    if covariance.ndim == 1:
        return np.where(keep, rows, 0.0)
    matrix = damped(covariance)
    diagonal = np.diagonal(matrix)
    found = np.where(keep, rows, 0.0)
    residual = np.where(keep, (rows - found) @ matrix, 0.0)
    direction = residual / diagonal
    length = (residual * direction).sum(axis=1, keepdims=True)
    enough = _ENOUGH * (rows**2 * diagonal).sum(axis=1, keepdims=True)
    for _ in range(_STEPS):
        if (length <= enough).all():
            break
        moved = np.where(keep, direction @ matrix, 0.0)
        step = length / np.maximum((direction * moved).sum(axis=1, keepdims=True), _TINY)
        found += step * direction
        residual -= step * moved
        before, length = length, (residual**2 / diagonal).sum(axis=1, keepdims=True)
        direction = residual / diagonal + length / np.maximum(before, _TINY) * direction
    return found


def keep_zeros(moved: np.ndarray, rows: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """What `rows` became, [groups, outputs, d], with the zeros of `rows`, which the others make up for."""
    stays = rows != 0
    if stays.all():
        return moved
    found = np.where(stays, moved, 0.0)
    partly = stays.any(axis=2) & ~stays.all(axis=2)  # others lack zeros, or weights that make up for them
    for group in np.flatnonzero(partly.any(axis=1)):
        which = partly[group]
        found[group, which] = without(moved[group, which], covariance[group], stays[group, which])
    return found
