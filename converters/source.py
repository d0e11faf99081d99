"""What a format's module gives: the ONNX model, and a way to ask the framework that it comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgeort.errors import InputError

Shapes = Mapping[str, Sequence[int | str]]
Feeds = Mapping[str, np.ndarray]

# Sizes of free dimensions that an example is made with: of the first, the batch, and of others by rank. Not 1, which
# an exporter may take for fixed.
FREE_BATCH, FREE_IMAGE, FREE_OTHER = 2, 64, 16


@dataclass(frozen=True)
class Source:
    """A converted model and where it comes from.

    `answer` runs the framework: arrays by the ONNX model's input names -> arrays in the order of its outputs. `example`
    are inputs that the framework takes. `is_quantised` models are compared by their noise.
    """

    framework: str
    model: bytes
    example: Feeds
    answer: Callable[[Feeds], Sequence[np.ndarray]]
    is_quantised: bool = False


def example_size(dim: int | str | None, axis: int, rank: int) -> int:
    """The size of a dimension in an example: its own, or one for a free dimension."""
    if isinstance(dim, int) and dim > 0:
        return dim
    return FREE_BATCH if axis == 0 else FREE_IMAGE if rank >= 4 else FREE_OTHER


def example_shape(dims: Sequence[int | str | None]) -> tuple[int, ...]:
    """A shape with every dimension known."""
    return tuple(example_size(dim, axis, len(dims)) for axis, dim in enumerate(dims))


def random_array(rng: np.random.Generator, dtype: np.dtype, shape: Sequence[int]) -> np.ndarray:
    """Floats in [-1, 1), bytes over their range, wider integers 0 or 1: they may be looked up in a small table."""
    if dtype.kind == "f":
        return rng.uniform(-1, 1, shape).astype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(dtype)
    if dtype.kind not in "iu":
        raise InputError(f"there are no random inputs of type {dtype}")
    info = np.iinfo(dtype)
    low, high = (info.min, info.max) if dtype.itemsize == 1 else (0, 1)
    return rng.integers(low, high, shape, dtype, endpoint=True)
