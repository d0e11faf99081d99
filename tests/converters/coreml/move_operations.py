"""MIL's moves, indices and resizes in NumPy, by coremltools' documentation of each."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray


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
