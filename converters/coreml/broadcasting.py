"""Broadcasting that MIL's operations do not do by themselves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import Var, types

from edgeort.converters.coreml.emission import cast


def is_static(*variables: Var) -> bool:
    """Whether every dimension of all is a number."""
    return all(isinstance(size, (int, np.integer)) for var in variables for size in var.shape)


def broadcast_like(x: Var, *others: Var) -> Var:
    """x as large as it and the others together."""
    if is_static(x, *others):
        return broadcast_to(x, np.broadcast_shapes(x.shape, *(other.shape for other in others)))
    number = x if x.dtype != types.bool else cast(x, types.int32)
    for other in others:
        zero = mb.sub(x=cast(other, types.int32), y=cast(other, types.int32)) if other.rank else None
        if zero is not None:
            number = mb.add(x=number, y=cast(zero, number.dtype))
    return cast(number, x.dtype)


def broadcast_to(x: Var, shape: Sequence[int]) -> Var:
    """x of known shape, repeated to a known shape."""
    if tuple(x.shape) == tuple(shape):
        return x
    full = (1,) * (len(shape) - x.rank) + tuple(x.shape)
    if x.rank < len(shape):
        x = mb.reshape(x=x, shape=list(full))
    reps = [1 if have == want else want for have, want in zip(full, shape, strict=True)]
    if all(count == 1 for count in reps):
        return x
    if x.dtype == types.bool:  # `tile` takes numbers
        return cast(mb.tile(x=cast(x, types.int32), reps=reps), types.bool)
    return mb.tile(x=x, reps=reps)
