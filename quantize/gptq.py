"""Rounds a layer's weights so that their errors cancel on its data (Frantar et al. 2022, "GPTQ", section 3).

Rounding w to q changes the outputs by (q - w) x, whose variance is (q - w) C (q - w)^T with C the covariance of x. The
weights of an output are rounded one after the other; the error of each is made up for by those not yet rounded. With
U the upper Cholesky factor of C^-1 (U^T U = C^-1), rounding weight j to q_j moves the others by

    w_k  -=  (w_j - q_j) U_jk / U_jj            k > j

Unlike in the paper the mean of x is taken out of C, outputs of a convolution count as rows, and groups are batched.
"""

from __future__ import annotations

import numpy as np

from edgeort.quantize.layers import Layer
from edgeort.quantize.parameters import WEIGHT_MAX

DAMPING = 0.01  # of the mean diagonal of C, added to it; ten times as much while C is not positive definite
BLOCK = 64  # columns, whose effect on all columns behind them is one product of matrices
_TRIES = 6


def round_weights(weight: np.ndarray, scales: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """int8 [groups, outputs, d] for `weight` of that shape; `scales` [groups, outputs]; `covariance` [groups, d, d].

    The order is that of falling variance: what matters most is rounded while most weights can still make up for it.
    """
    order = np.argsort(-np.diagonal(covariance, axis1=1, axis2=2), axis=1, kind="stable")
    sorted_weight = np.take_along_axis(weight.astype(np.float64), order[:, np.newaxis], axis=2)
    rows = np.take_along_axis(covariance, order[:, :, np.newaxis], axis=1)
    factor = inverse_factor(np.take_along_axis(rows, order[:, np.newaxis], axis=2))
    rounded = _round_in_order(sorted_weight, scales.astype(np.float64)[..., np.newaxis], factor)
    result = np.empty_like(rounded)
    np.put_along_axis(result, np.broadcast_to(order[:, np.newaxis], rounded.shape), rounded, axis=2)
    return result.astype(np.int8)


def inverse_factor(covariance: np.ndarray) -> np.ndarray:
    """U with U^T U = (C + damping)^-1 for every group, upper triangular; damping grows until there is one."""
    size = covariance.shape[-1]
    mean = np.maximum(np.trace(covariance, axis1=1, axis2=2) / size, np.finfo(np.float32).tiny)
    for attempt in range(_TRIES):
        damped = covariance + (DAMPING * 10**attempt * mean)[:, np.newaxis, np.newaxis] * np.eye(size)
        try:
            lower = np.linalg.cholesky(np.linalg.inv(damped))
        except np.linalg.LinAlgError:
            continue
        return np.asarray(lower.transpose(0, 2, 1))
    return np.broadcast_to(np.eye(size), covariance.shape)  # independent inputs: plain rounding


def _round_in_order(weight: np.ndarray, scales: np.ndarray, factor: np.ndarray) -> np.ndarray:
    rounded = np.empty_like(weight)
    size = weight.shape[2]
    for start in range(0, size, BLOCK):
        stop = min(start + BLOCK, size)
        errors = np.empty_like(weight[:, :, start:stop])
        for j in range(start, stop):
            column = weight[:, :, j : j + 1]
            q = np.clip(np.rint(column / scales), -WEIGHT_MAX, WEIGHT_MAX)
            error = (column - q * scales) / factor[:, np.newaxis, j : j + 1, j]
            rounded[:, :, j : j + 1], errors[:, :, j - start : j - start + 1] = q, error
            weight[:, :, j + 1 : stop] -= error * factor[:, np.newaxis, j, j + 1 : stop]
        weight[:, :, stop:] -= np.matmul(errors, factor[:, start:stop, stop:])
    return rounded


def as_rows(layer: Layer, array: np.ndarray) -> np.ndarray:
    """A layer's weight as [groups, outputs of a group, d]."""
    if layer.node.op_type == "Conv":
        return array.reshape(layer.groups, array.shape[0] // layer.groups, -1)
    return (array if layer.weight_axis == 0 else array.T)[np.newaxis]


def from_rows(layer: Layer, rows: np.ndarray) -> np.ndarray:
    """The inverse of `as_rows`."""
    if layer.node.op_type == "Conv":
        return rows.reshape(layer.weight.shape)
    return rows[0] if layer.weight_axis == 0 else rows[0].T
