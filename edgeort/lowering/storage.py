"""How constants lie in a plan: as they are, or, where many entries are zero, as a mask and the others.

The runtime widens the latter once, when it opens the plan: they take room in memory that is not shared with the file,
so a few bytes less are not worth it. What SparseGemm reads is never widened.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgeort.lowering.params import PARAMS

if TYPE_CHECKING:
    from edgeort.lowering.plan import PlanBuilder

LEAST_BYTES = 4096  # of a constant
WORTH = 0.75  # of its bytes, at most


@dataclass(frozen=True)
class SparseWeights:
    """Weights that a plan stores without their zeros. `kernel` is true where it skips them.

    `zeros` is their share, of what fills up panels, too.
    """

    node: str
    zeros: float
    stored_bytes: int
    dense_bytes: int
    kernel: bool


def texts(array: np.ndarray) -> np.ndarray:
    """uint8: of str or bytes, where each ends (uint64), then their bytes."""
    items = [item.encode() if isinstance(item, str) else bytes(item) for item in array.reshape(-1).tolist()]
    ends = np.cumsum([len(item) for item in items], dtype="<u8")
    return np.frombuffer(ends.tobytes() + b"".join(items), np.uint8)


def sparse(array: np.ndarray) -> np.ndarray | None:
    """uint8: a bit an entry, lowest first, in whole words of 64, then the entries of which some bit is set.

    None where that is not much smaller.
    """
    if array.nbytes < LEAST_BYTES or array.dtype.itemsize > 8:
        return None
    flat = array.reshape(-1)
    held = flat.view(f"u{array.dtype.itemsize}") != 0
    words = -(-flat.size // 64)
    if words * 8 + int(held.sum()) * flat.itemsize > WORTH * flat.nbytes:
        return None
    mask = np.zeros(words * 64, bool)
    mask[: flat.size] = held
    return np.concatenate([np.packbits(mask, bitorder="little"), flat[held].view(np.uint8)])


def sparse_weights(plan: PlanBuilder) -> Iterator[SparseWeights]:
    """Those of all nodes of a plan."""
    for node in plan.nodes:
        for index in node.inputs:
            data = plan.tensors[index].data if index >= 0 else None
            if data is None or node.op == "SparseGemm":
                continue
            if (stored := plan.stored(data)) is not data:
                zeros = 1 - np.count_nonzero(data) / data.size
                yield SparseWeights(node.name, zeros, stored.nbytes, data.nbytes, False)
        if node.op == "SparseGemm":
            weights, mask = (plan.tensors[index].data for index in node.inputs[1:3])
            assert weights is not None and mask is not None
            size = PARAMS["SparseGemmParams"].unpack(node.params[: PARAMS["SparseGemmParams"].size])
            dense = int(size["k"][0] * size["n"][0])
            yield SparseWeights(
                node.name, 1 - weights.size / dense, weights.nbytes + mask.nbytes, dense * weights.itemsize, True
            )
