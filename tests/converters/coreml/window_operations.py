"""MIL's convolutions, pools and normalisations in PyTorch and NumPy, by coremltools' documentation of each."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

Array = np.ndarray


def t(array: Any) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))


def pads(pad_type: str, pad: Any, axes: int) -> list[tuple[int, int]]:
    """MIL has others, which the converter does not write: it pads by numbers."""
    assert pad_type in ("valid", "custom"), pad_type
    if pad_type == "valid":
        return [(0, 0)] * axes
    return [(int(pad[2 * i]), int(pad[2 * i + 1])) for i in range(axes)]


def padded(x: Array, amounts: list[tuple[int, int]], value: float) -> torch.Tensor:
    flat = [size for pair in reversed(amounts) for size in pair]
    return F.pad(t(x), flat, value=value)


def conv(x, weight, bias=None, strides=None, pad_type="valid", pad=None, dilations=None, groups=1):
    n = x.ndim - 2
    strides, dilations = ([1] * n if v is None else [int(s) for s in v] for v in (strides, dilations))
    amounts = pads(pad_type, pad, n)
    function = (F.conv1d, F.conv2d, F.conv3d)[n - 1]
    b = None if bias is None else t(bias)
    return function(padded(x, amounts, 0.0), t(weight), b, strides, 0, dilations, int(groups)).numpy()


def conv_transpose(
    x, weight, bias=None, strides=None, pad_type="valid", pad=None, dilations=None, groups=1, output_shape=None
):
    n = x.ndim - 2
    strides, dilations = ([1] * n if v is None else [int(s) for s in v] for v in (strides, dilations))
    function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[n - 1]
    y = function(t(x), t(weight), None if bias is None else t(bias), strides, 0, 0, int(groups), dilations).numpy()
    for axis, (before, after) in enumerate(pads(pad_type, pad, weight.ndim - 2), 2):
        y = y.take(range(before, y.shape[axis] - after), axis)
    assert output_shape is None or list(y.shape) == list(output_shape)
    return y


def max_pool(x, kernel_sizes, strides=None, pad_type="valid", pad=None, ceil_mode=False):
    assert not ceil_mode
    n = x.ndim - 2
    strides = [1] * n if strides is None else [int(s) for s in strides]
    amounts = pads(pad_type, pad, n)
    function = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[n - 1]
    return function(padded(x, amounts, -math.inf), [int(k) for k in kernel_sizes], strides).numpy()


def avg_pool(
    x, kernel_sizes, strides=None, pad_type="valid", pad=None, ceil_mode=False, exclude_padding_from_average=False
):
    assert not ceil_mode
    n = x.ndim - 2
    strides = [1] * n if strides is None else [int(s) for s in strides]
    kernel = [int(k) for k in kernel_sizes]
    amounts = pads(pad_type, pad, n)
    function = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[n - 1]
    mean = function(padded(x, amounts, 0.0), kernel, strides).numpy()
    if not exclude_padding_from_average:
        return mean
    return mean / function(padded(np.ones_like(x), amounts, 0.0), kernel, strides).numpy()


def channels(parameter: Any, rank: int) -> Array:
    return np.asarray(parameter).reshape([1, -1] + [1] * (rank - 2))


def batch_norm(x, mean, variance, gamma=1.0, beta=0.0, epsilon=1e-5):
    mean, variance, gamma, beta = (channels(p, x.ndim) for p in (mean, variance, gamma, beta))
    return (x - mean) / np.sqrt(variance + epsilon) * gamma + beta


def standardised(x: Array, axes: Any, epsilon: float) -> Array:
    axes = tuple(int(axis) for axis in axes)
    mean = x.mean(axes, keepdims=True, dtype=np.float64)
    variance = ((x - mean) ** 2).mean(axes, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon)


def instance_norm(x, gamma=1.0, beta=0.0, epsilon=1e-5):
    return standardised(x, range(2, x.ndim), epsilon) * channels(gamma, x.ndim) + channels(beta, x.ndim)


def layer_norm(x, axes, gamma=1.0, beta=0.0, epsilon=1e-5):
    return standardised(x, axes, epsilon) * gamma + beta


def gelu(x, mode="EXACT"):
    assert mode in ("EXACT", "TANH_APPROXIMATION")
    return F.gelu(t(x), approximate="none" if mode == "EXACT" else "tanh").numpy()
