"""MIL operations in NumPy and PyTorch, by the formulas of coremltools' documentation of each."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from tests.converters.coreml.move_operations import (
    concat,
    depth_to_space,
    expand_dims,
    gather,
    gather_along_axis,
    gather_nd,
    one_hot,
    pad,
    reshape,
    resize_bilinear,
    scatter_along_axis,
    scatter_nd,
    slice_by_index,
    slice_by_size,
    space_to_depth,
    split,
    squeeze,
    upsample_bilinear,
    upsample_nearest_neighbor,
)
from tests.converters.coreml.recurrence import gru, lstm, rnn
from tests.converters.coreml.window_operations import (
    avg_pool,
    batch_norm,
    channels,
    conv,
    conv_transpose,
    gelu,
    instance_norm,
    layer_norm,
    max_pool,
    t,
)

Array = np.ndarray


def over(function: Callable[..., torch.Tensor]) -> Callable[..., Array]:
    """A function of PyTorch on `x` and numbers."""
    return lambda x, **given: function(t(x), **{key: float(value) for key, value in given.items()}).numpy()


def reduction(function: Callable[..., Array]) -> Callable[..., Array]:
    def run(x, axes=None, keep_dims=False):
        axes = None if axes is None else tuple(int(axis) for axis in axes)
        return function(x, axis=axes, keepdims=bool(keep_dims))

    return run


def log_sum_exp(x, axis, keepdims):
    top = x.max(axis=axis, keepdims=True)
    found = np.log(np.exp(x - top).sum(axis=axis, keepdims=True)) + top
    return found if keepdims else found.squeeze(axis)


def reduce_arg(function: Callable[..., Array]) -> Callable[..., Array]:
    return lambda x, axis=-1, keep_dims=False, output_dtype="int32": function(
        x, axis=int(axis), keepdims=bool(keep_dims)
    )


def topk(x, k=1, axis=-1, ascending=False, sort=True, return_indices=True, output_indices_dtype="int32"):
    order = np.argsort(x if ascending else -x.astype(np.float64), axis=int(axis), kind="stable")
    order = order.take(range(int(k)), int(axis))
    return [np.take_along_axis(x, order, int(axis)), order]


def cumsum(x, axis=0, exclusive=False, reverse=False):
    x = np.flip(x, int(axis)) if reverse else x
    y = np.cumsum(x, axis=int(axis), dtype=x.dtype)
    y = y - x if exclusive else y
    return np.flip(y, int(axis)) if reverse else y


def matmul(x, y, transpose_x=False, transpose_y=False):
    x = np.swapaxes(x, -1, -2) if transpose_x else x
    y = np.swapaxes(y, -1, -2) if transpose_y else y
    return x @ y


def by_axis(data: Array, parameter: Any, axis: Any) -> Array:
    parameter = np.asarray(parameter, np.float32)
    return parameter.reshape([-1 if i == int(axis) else 1 for i in range(data.ndim)]) if parameter.ndim else parameter


def quantize(input, scale, output_dtype, zero_point=0, axis=0):
    ends = np.iinfo(str(output_dtype))
    moved = np.rint(input / by_axis(input, scale, axis)) + by_axis(input, zero_point, axis)
    return np.clip(moved, ends.min, ends.max)


def dequantize(input, scale, zero_point=0, axis=0):
    return (input.astype(np.float32) - by_axis(input, zero_point, axis)) * by_axis(input, scale, axis)


def cast(x, dtype):
    name = {"fp32": "float32", "fp16": "float16"}.get(str(dtype), str(dtype))
    with np.errstate(over="ignore"):
        return np.asarray(x).astype(name)


def reverse_sequence(x, lengths, seq_axis=0, batch_axis=0):
    seq_axis, batch_axis = int(seq_axis), int(batch_axis)
    assert {seq_axis, batch_axis} == {0, 1}
    y = x.copy() if batch_axis == 0 else x.swapaxes(0, 1).copy()
    for row, length in zip(y, lengths, strict=True):
        row[: int(length)] = row[: int(length)][::-1].copy()
    return y if batch_axis == 0 else y.swapaxes(0, 1)


def band_part(x, lower=-1, upper=-1):
    assert {int(lower), int(upper)} == {0, -1}
    return np.triu(x) if int(lower) == 0 else np.tril(x)


def binary(function: Callable[..., Array]) -> Callable[..., Array]:
    return lambda x, y: function(x, y)


def unary(function: Callable[..., Array]) -> Callable[..., Array]:
    return lambda x: function(x)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "conv": conv,
    "conv_transpose": conv_transpose,
    "max_pool": max_pool,
    "avg_pool": avg_pool,
    "batch_norm": batch_norm,
    "instance_norm": instance_norm,
    "layer_norm": layer_norm,
    "local_response_norm": lambda x, size, alpha=1e-4, beta=0.75, k=1.0: F.local_response_norm(
        t(x), int(size), float(alpha), float(beta), float(k)
    ).numpy(),
    **{name: over(getattr(torch, name)) for name in ("relu", "sigmoid", "erf", "rsqrt")},
    "relu6": over(F.relu6),
    "silu": over(F.silu),
    "softsign": over(F.softsign),
    "softplus": over(lambda x: F.softplus(x, threshold=80)),
    "leaky_relu": over(lambda x, alpha: F.leaky_relu(x, alpha)),
    "elu": over(lambda x, alpha: F.elu(x, alpha)),
    "thresholded_relu": lambda x, alpha: np.where(x > alpha, x, 0),
    "sigmoid_hard": lambda x, alpha, beta: np.clip(alpha * x + beta, 0, 1),
    "prelu": lambda x, alpha: np.where(x < 0, x * channels(alpha, x.ndim), x),
    "gelu": gelu,
    "clip": lambda x, alpha, beta: np.clip(x, alpha, beta),
    "softmax": lambda x, axis=-1: torch.softmax(t(x), int(axis)).numpy(),
    "add": binary(np.add),
    "sub": binary(np.subtract),
    "mul": binary(np.multiply),
    "real_div": binary(np.divide),
    "floor_div": binary(np.floor_divide),
    "pow": binary(np.power),
    "mod": binary(np.mod),
    "maximum": binary(np.maximum),
    "minimum": binary(np.minimum),
    **{name: unary(getattr(np, name)) for name in (
        "abs", "ceil", "floor", "sign", "sqrt", "exp", "sin", "cos", "tan", "sinh", "cosh", "tanh", "square",
        "logical_not",
    )},
    "round": unary(np.rint),
    "log": lambda x, epsilon=1e-45: np.log(x + np.float32(epsilon)),
    "asin": unary(np.arcsin),
    "acos": unary(np.arccos),
    "atan": unary(np.arctan),
    "atanh": unary(np.arctanh),
    "equal": binary(np.equal),
    "not_equal": binary(np.not_equal),
    "greater": binary(np.greater),
    "greater_equal": binary(np.greater_equal),
    "less": binary(np.less),
    "less_equal": binary(np.less_equal),
    "logical_and": binary(np.logical_and),
    "logical_or": binary(np.logical_or),
    "logical_xor": binary(np.logical_xor),
    "select": lambda cond, a, b: np.where(cond, a, b),
    "cast": cast,
    "reduce_mean": reduction(lambda x, axis, keepdims: x.mean(axis, np.float64, keepdims=keepdims)),
    "reduce_sum": reduction(np.sum),
    "reduce_max": reduction(np.max),
    "reduce_min": reduction(np.min),
    "reduce_prod": reduction(np.prod),
    "reduce_l1_norm": reduction(lambda x, axis, keepdims: np.abs(x).sum(axis, keepdims=keepdims)),
    "reduce_l2_norm": reduction(lambda x, axis, keepdims: np.sqrt((x * x).sum(axis, keepdims=keepdims))),
    "reduce_sum_square": reduction(lambda x, axis, keepdims: (x * x).sum(axis, keepdims=keepdims)),
    "reduce_log_sum_exp": reduction(log_sum_exp),
    "reduce_argmax": reduce_arg(np.argmax),
    "reduce_argmin": reduce_arg(np.argmin),
    "topk": topk,
    "cumsum": cumsum,
    "identity": unary(lambda x: x),
    "shape": unary(lambda x: np.array(x.shape, np.int32)),
    "reshape": reshape,
    "flatten2d": lambda x, axis=1: x.reshape(math.prod(x.shape[: int(axis)]), -1),
    "squeeze": squeeze,
    "expand_dims": expand_dims,
    "tile": lambda x, reps: np.tile(x, reps),
    "fill": lambda shape, value=0.0: np.full([int(size) for size in shape], value),
    "range_1d": lambda start, end, step: np.arange(start, end, step),
    "transpose": lambda x, perm: x.transpose([int(axis) for axis in perm]),
    "concat": concat,
    "stack": lambda values, axis: np.stack(values, int(axis)),
    "split": split,
    "slice_by_index": slice_by_index,
    "slice_by_size": slice_by_size,
    "reverse": lambda x, axes=None: np.flip(x, None if axes is None else tuple(int(axis) for axis in axes)),
    "reverse_sequence": reverse_sequence,
    "band_part": band_part,
    "depth_to_space": depth_to_space,
    "pixel_shuffle": lambda x, upscale_factor: F.pixel_shuffle(t(x), int(upscale_factor)).numpy(),
    "space_to_depth": space_to_depth,
    "pad": pad,
    "gather": gather,
    "gather_along_axis": gather_along_axis,
    "gather_nd": gather_nd,
    "scatter_along_axis": scatter_along_axis,
    "scatter_nd": scatter_nd,
    "one_hot": one_hot,
    "non_zero": unary(np.argwhere),
    "resize_bilinear": resize_bilinear,
    "upsample_bilinear": upsample_bilinear,
    "upsample_nearest_neighbor": upsample_nearest_neighbor,
    "matmul": matmul,
    "linear": lambda x, weight, bias=0.0: x @ weight.T + bias,
    "lstm": lstm,
    "gru": gru,
    "rnn": rnn,
    "quantize": quantize,
    "dequantize": dequantize,
}  # fmt: skip
