"""Rounds a layer's weights so that their errors cancel on its data: GPTQ (Frantar et al. 2022).

Rounding w to q changes the outputs by e x with e = w - q, whose variance is e C e^T with C the covariance of x. With
C = L L^T, L lower triangular, that is the sum over j of

    (e_j L_jj + sum over i > j of e_i L_ij)^2

so that, from the last weight to the first, q_j = round(w_j + (sum over i > j of e_i L_ij) / L_jj) makes up for what was
rounded before. (Chen et al. 2025, "The geometry of LLM quantization", show that this is GPTQ, which has the
same in terms of the factor of C^-1; no inverse is needed here.)

Unlike in the paper the mean of x is taken out of C, outputs of a convolution count as rows, and groups are batched.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from edgeort.quantize.layers import Layer
from edgeort.quantize.parameters import WEIGHT_MAX

DAMPING = 0.01  # of the mean diagonal of C, added to it; ten times as much while C is not positive definite
BLOCK = 32  # columns, whose effect on all columns behind them is one product of matrices
_TRIES = 6


def round_weights(
    weight: np.ndarray, scales: np.ndarray, covariance: np.ndarray, limits: tuple[np.ndarray, np.ndarray] | None = None
) -> np.ndarray:
    """int8 [groups, outputs, d] for `weight` of that shape; `scales` [groups, outputs]; `covariance` [groups, d, d].

    What varies most is rounded first, while most weights can still make up for it. With `limits`, the least and the
    largest integer of every weight, `scales` has the shape of `weight`, too.
    """
    order = np.argsort(np.diagonal(covariance, axis1=1, axis2=2), axis=1, kind="stable")
    factor = cholesky(np.stack([one[np.ix_(rows, rows)] for one, rows in zip(covariance, order, strict=True)]))
    places = np.broadcast_to(order[..., np.newaxis], weight.transpose(0, 2, 1).shape)
    sort = partial(np.take_along_axis, indices=places, axis=1)
    grid = [scales.astype(np.float64)[:, np.newaxis], np.array(-WEIGHT_MAX), np.array(WEIGHT_MAX)]
    if limits is not None:
        whole = [np.broadcast_to(part, weight.shape) for part in (scales.astype(np.float64), *limits)]
        grid = [sort(part.transpose(0, 2, 1)) for part in whole]
    columns = sort(weight.astype(np.float64).transpose(0, 2, 1))
    rounded = _round_from_last(columns, factor, *(np.broadcast_to(part, columns.shape) for part in grid))
    result = np.empty(columns.shape, np.int8)
    np.put_along_axis(result, places, rounded, axis=1)
    return result.transpose(0, 2, 1)


def cholesky(covariance: np.ndarray) -> np.ndarray:
    """L with L L^T = C + damping for every group, lower triangular. Changes `covariance`."""
    diagonal = np.einsum("gii->gi", covariance)  # a view
    step = DAMPING * np.maximum(diagonal.mean(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    for _ in range(_TRIES):
        diagonal += step
        try:
            return np.linalg.cholesky(covariance)
        except np.linalg.LinAlgError:
            step = step * 10
    return np.broadcast_to(np.eye(covariance.shape[1]), covariance.shape)  # plain rounding


def _round_from_last(
    columns: np.ndarray, factor: np.ndarray, scales: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """All but `factor` are [groups, d, outputs], so that a column lies together."""
    rounded, size = np.empty(columns.shape, np.int8), columns.shape[1]
    shares = (factor / np.einsum("gii->gi", factor)[:, np.newaxis]).transpose(0, 2, 1)  # [g, j, i]: L_ij / L_jj
    owed = np.zeros_like(columns)  # sum over i > j of e_i L_ij / L_jj, as far as i was rounded
    for stop in range(size, 0, -BLOCK):
        start = max(stop - BLOCK, 0)
        errors = np.empty_like(columns[:, start:stop])
        for j in range(stop - 1, start - 1, -1):
            q = np.rint((columns[:, j] + owed[:, j]) / scales[:, j])
            np.minimum(np.maximum(q, low[:, j], out=q), high[:, j], out=q)
            q[columns[:, j] == 0] = 0  # weights that were pruned
            rounded[:, j] = q
            errors[:, j - start] = error = columns[:, j] - q * scales[:, j]
            owed[:, start:j] += shares[:, start:j, j, np.newaxis] * error[:, np.newaxis]
        owed[:, :start] += np.matmul(shares[:, :start, start:stop], errors)
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
