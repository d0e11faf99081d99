"""The bias of a MatMul, which has none of its own: what is added to each of its rows, while they are in registers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgeort.lowering.context import Group, Lowering


def take_bias(ctx: Lowering, group: Group, n: int) -> tuple[np.ndarray | None, Group]:
    """float32 [n] that the group's program adds first, and the group without that node; or None, and the group."""
    bias = _bias(ctx, group, n)
    return (None, group) if bias is None else (bias, replace(group, within=group.program[0], program=group.program[1:]))


def _bias(ctx: Lowering, group: Group, n: int) -> np.ndarray | None:
    tile, first = group.tile, next(iter(group.program), None)
    if first is None or (first.domain, first.op_type) != ("", "Add") or len(tile.uses()) != 1 or tile.shape is None:
        return None
    (other,) = (value for value in first.inputs if value is not tile)
    array = ctx.constant(other)
    if array is None or array.dtype != np.float32 or array.ndim > len(tile.shape):
        return None
    one_a_column = array.size == n and array.shape[-1:] == (n,)
    return np.broadcast_to(array.reshape(-1), (n,)) if one_a_column or array.size == 1 else None
