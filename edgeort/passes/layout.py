"""Permutations between ONNX's channels-first and the runtime's channels-last tensors, for ranks 3 to 5.

"Written" axes are those of the ONNX graph before the layout passes; a tensor is "channels-last" when
it stores Transpose(written, to_last(rank)).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

RANKS = (3, 4, 5)

T = TypeVar("T")


def to_last(rank: int) -> tuple[int, ...]:
    """The perm N,C,spatial -> N,spatial,C."""
    return (0, *range(2, rank), 1)


def to_first(rank: int) -> tuple[int, ...]:
    """The perm N,spatial,C -> N,C,spatial."""
    return (0, rank - 1, *range(1, rank - 1))


def last_axis(axis: int, rank: int) -> int:
    """Where the written `axis` (may be negative) stands in a channels-last tensor."""
    return to_last(rank).index(axis % rank)


def permute(items: Sequence[T], perm: Sequence[int]) -> list[T]:
    """`items` in the order of `perm`."""
    return [items[i] for i in perm]


def keeps_order(dims: Sequence[int | str | None], perm: Sequence[int]) -> bool:
    """Whether transposing by `perm` moves no element: it only moves dimensions that are 1."""
    moved = [axis for axis in perm if dims[axis] != 1]
    return moved == sorted(moved)


def permute_constant(array: np.ndarray, rank: int) -> np.ndarray:
    """A constant that broadcasts to a written tensor of `rank`, for the channels-last tensor instead.

    Shapes: (..., C, 1, 1) -> (..., 1, 1, C); leading axes are added before the transpose where it has fewer.
    """
    if array.size == 1:
        return array
    return array.reshape((1,) * (rank - array.ndim) + array.shape).transpose(to_last(rank))
