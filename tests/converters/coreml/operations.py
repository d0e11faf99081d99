"""MIL operations in NumPy and PyTorch, by the formulas of coremltools' documentation of each."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from tests.converters.coreml.recurrence import gru, lstm, rnn

Array = np.ndarray


def t(array: Any) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))


def over(function: Callable[..., torch.Tensor]) -> Callable[..., Array]:
    """A function of PyTorch on `x` and numbers."""
    return lambda x, **given: function(t(x), **{key: float(value) for key, value in given.items()}).numpy()


def pads(pad_type: str, pad: Any, sizes: Any, kernel: Any, strides: Any, dilations: Any) -> list[tuple[int, int]]:
    if pad_type == "valid":
        return [(0, 0)] * len(kernel)
    if pad_type == "custom":
        return [(int(pad[2 * i]), int(pad[2 * i + 1])) for i in range(len(kernel))]
    raise NotImplementedError(pad_type)


def padded(x: Array, amounts: list[tuple[int, int]], value: float) -> torch.Tensor:
    flat = [size for pair in reversed(amounts) for size in pair]
    return F.pad(t(x), flat, value=value)


def conv(x, weight, bias=None, strides=None, pad_type="valid", pad=None, dilations=None, groups=1):
    n = x.ndim - 2
    strides, dilations = ([1] * n if v is None else [int(s) for s in v] for v in (strides, dilations))
    amounts = pads(pad_type, pad, x.shape[2:], weight.shape[2:], strides, dilations)
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
    for axis, (before, after) in enumerate(pads(pad_type, pad, None, weight.shape[2:], strides, dilations), 2):
        y = y.take(range(before, y.shape[axis] - after), axis)
    assert output_shape is None or list(y.shape) == list(output_shape)
    return y


def max_pool(x, kernel_sizes, strides=None, pad_type="valid", pad=None, ceil_mode=False):
    assert not ceil_mode
    n = x.ndim - 2
    strides = [1] * n if strides is None else [int(s) for s in strides]
    amounts = pads(pad_type, pad, x.shape[2:], kernel_sizes, strides, None)
    function = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[n - 1]
    return function(padded(x, amounts, -math.inf), [int(k) for k in kernel_sizes], strides).numpy()


def avg_pool(
    x, kernel_sizes, strides=None, pad_type="valid", pad=None, ceil_mode=False, exclude_padding_from_average=False
):
    assert not ceil_mode
    n = x.ndim - 2
    strides = [1] * n if strides is None else [int(s) for s in strides]
    kernel = [int(k) for k in kernel_sizes]
    amounts = pads(pad_type, pad, x.shape[2:], kernel, strides, None)
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


def slice_by_index(x, begin, end, stride=None, begin_mask=None, end_mask=None, squeeze_mask=None):
    index = []
    for axis in range(x.ndim):
        if squeeze_mask is not None and squeeze_mask[axis]:
            index.append(int(begin[axis]))
            continue
        start = None if begin_mask is not None and begin_mask[axis] else int(begin[axis])
        stop = None if end_mask is not None and end_mask[axis] else int(end[axis])
        index.append(slice(start, stop, 1 if stride is None else int(stride[axis])))
    return x[tuple(index)]


def slice_by_size(x, begin, size):
    return x[tuple(slice(int(b), None if s == -1 else int(b) + int(s)) for b, s in zip(begin, size, strict=True))]


def split(x, axis, num_splits=None, split_sizes=None):
    if split_sizes is None:
        return np.split(x, int(num_splits), int(axis))
    return np.split(x, np.cumsum(split_sizes)[:-1], int(axis))


def pad(x, pad, mode="constant", constant_val=0.0):
    pairs = [(0, 0)] * (x.ndim - len(pad) // 2) + [tuple(pair) for pair in np.reshape(pad, (-1, 2))]
    if mode == "constant":
        return np.pad(x, pairs, constant_values=constant_val)
    return np.pad(x, pairs, mode={"reflect": "reflect", "replicate": "edge"}[mode])


def reshape(x, shape):
    return x.reshape([x.shape[axis] if size == 0 else int(size) for axis, size in enumerate(shape)])


def concat(values, axis, interleave=False):
    assert not interleave
    return np.concatenate(values, int(axis))


def expand_dims(x, axes):
    return np.expand_dims(x, tuple(int(axis) for axis in axes))


def squeeze(x, axes=None):
    return np.squeeze(x, None if axes is None else tuple(int(axis) for axis in axes))


def depth_to_space(x, block_size):
    n, c, h, w = x.shape
    b = int(block_size)
    y = x.reshape(n, b, b, c // b**2, h, w).transpose(0, 3, 4, 1, 5, 2)
    return y.reshape(n, c // b**2, h * b, w * b)


def space_to_depth(x, block_size):
    n, c, h, w = x.shape
    b = int(block_size)
    return x.reshape(n, c, h // b, b, w // b, b).transpose(0, 3, 5, 1, 2, 4).reshape(n, c * b * b, h // b, w // b)


def gather(x, indices, axis=0, batch_dims=0, validate_indices=False):
    assert batch_dims == 0
    return np.take(x, indices, int(axis))


def gather_along_axis(x, indices, axis=0, validate_indices=False):
    return np.take_along_axis(x, np.asarray(indices).astype(np.int64), int(axis))


def gather_nd(x, indices, batch_dims=0, validate_indices=False):
    b = int(batch_dims)
    if b:
        flat = zip(x.reshape(-1, *x.shape[b:]), indices.reshape(-1, *indices.shape[b:]), strict=True)
        return np.stack([gather_nd(one, index) for one, index in flat]).reshape(
            *x.shape[:b], *indices.shape[b:-1], *x.shape[b + indices.shape[-1] :]
        )
    return x[tuple(np.moveaxis(np.asarray(indices).astype(np.int64), -1, 0))]


def write(data: Array, where: Any, updates: Array, mode: str) -> Array:
    data = data.copy()
    if mode == "update":
        data[where] = updates
    else:
        ufunc = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}[mode]
        ufunc.at(data, where, updates)
    return data


def scatter_along_axis(data, indices, updates, axis=0, mode="add", validate_indices=False):
    where = list(np.indices(indices.shape, sparse=True))
    where[int(axis)] = indices
    return write(data, tuple(where), updates, mode)


def scatter_nd(data, indices, updates, mode="add", validate_indices=False):
    return write(data, tuple(np.moveaxis(np.asarray(indices).astype(np.int64), -1, 0)), updates, mode)


def one_hot(indices, one_hot_vector_size, axis=-1, on_value=1, off_value=0):
    axis = int(axis) % (indices.ndim + 1)
    places = np.arange(int(one_hot_vector_size)).reshape([-1] + [1] * (indices.ndim - axis))
    return np.where(np.expand_dims(indices, axis) == places, on_value, off_value)


def places_of(size: int, out: int, mode: str) -> Array:
    i = np.arange(out)
    if mode == "STRICT_ALIGN_CORNERS":
        return i * ((size - 1) / (out - 1))
    assert mode == "UNALIGN_CORNERS"
    return np.clip((i + 0.5) * (size / out) - 0.5, 0, size - 1)


def interpolated(x: Array, places: Array, axis: int) -> Array:
    low = np.clip(np.floor(places).astype(int), 0, x.shape[axis] - 1)
    high = np.minimum(low + 1, x.shape[axis] - 1)
    share = (np.clip(places, 0, x.shape[axis] - 1) - low).reshape([-1] + [1] * (x.ndim - 1 - axis % x.ndim))
    return x.take(low, axis) * (1 - share) + x.take(high, axis) * share


def resize_bilinear(x, target_size_height, target_size_width, sampling_mode="DEFAULT"):
    for axis, out in ((-2, int(target_size_height)), (-1, int(target_size_width))):
        x = interpolated(x, places_of(x.shape[axis], out, sampling_mode), axis)
    return x


def upsample_bilinear(x, scale_factor_height, scale_factor_width, align_corners=True, half_pixel_centers=True):
    for axis, scale in ((-2, float(scale_factor_height)), (-1, float(scale_factor_width))):
        size = x.shape[axis]
        out = math.floor(size * scale)
        if align_corners:
            places = places_of(size, out, "STRICT_ALIGN_CORNERS")
        else:
            places = (np.arange(out) + 0.5) / scale - 0.5
        x = interpolated(x, places, axis)
    return x


def upsample_nearest_neighbor(x, scale_factor_height, scale_factor_width):
    return x.repeat(int(scale_factor_height), -2).repeat(int(scale_factor_width), -1)


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


def floor_div(x, y):
    return np.floor_divide(x, y)


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
    "floor_div": floor_div,
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
