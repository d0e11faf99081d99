"""Steps of int8 products: how many quads of weights 16 bits can add up, for kernels that multiply there.

Arm without a dot product multiplies bytes into 16 bits and adds neighbours into 32, which is a third of all its work.
The products of two quads fit 16 bits whatever the weights are (2 * 128 * 127 < 2^15), those of three where the weights'
magnitudes are at most 255 in sum: 128 * 255 < 2^15. Most triples of trained weights are. For each COLUMNS columns the
quads are cut into triples that fit, as many as can be, and pairs; one quad is left over where no cut is exact.
"""

from __future__ import annotations

import numpy as np

from edgeort.lowering import layout

COLUMNS = 8  # that share their steps
DEPTH = 4  # k of a quad
LIMIT = 255
WORD = 63  # steps of a word
_PAIR, _TRIPLE = 70, 90  # instructions of a step of five rows


def steps(panels: np.ndarray, quads: int) -> np.ndarray | None:
    """The words of QSteps in runtime/kernels/qgemm/qgemm.h, uint64 [columns / COLUMNS, words], flat.

    None if a weight is -128. panels: int8 weights as lowering/quantised.py packs them, of one tap with so many quads.
    """
    split = panels.reshape(-1, quads, layout.PANEL // COLUMNS, COLUMNS * DEPTH)
    sizes = np.abs(split.swapaxes(1, 2).reshape(-1, quads, COLUMNS * DEPTH).astype(np.int16))
    if sizes.max(initial=0) > 127:
        return None
    fits = (sizes[:, :-2] + sizes[:, 1:-1] + sizes[:, 2:]).max(axis=2) <= LIMIT
    triples = _cut(fits, quads)
    if triples is None:
        triples = _cut(fits, quads - 1)
    assert triples is not None  # an even number of quads is pairs
    return _words(_orders(triples))


def _cut(fits: np.ndarray, quads: int) -> np.ndarray | None:
    """Whether a step that begins at a quad is best a triple, bool [columns, quads]; None where some have no cut.

    fits: bool [columns, quads - 2 or more], whether the three quads from one on may be added. Costs are found from the
    last quad to the first.
    """
    cost = np.full((len(fits), quads + 3), np.inf)
    cost[:, quads] = 0
    triples = np.zeros((len(fits), quads), bool)
    for at in range(quads - 2, -1, -1):
        pair, triple = cost[:, at + 2] + _PAIR, cost[:, at + 3] + _TRIPLE
        if at + 3 <= quads:
            triples[:, at] = fits[:, at] & (triple < pair)
        cost[:, at] = np.where(triples[:, at], triple, pair)
    return triples if np.isfinite(cost[:, 0]).all() else None


def _orders(triples: np.ndarray) -> list[list[bool]]:
    """Of each row, whether each of its steps is a triple."""
    found = []
    for row in triples:
        order, at = [], 0
        while at < len(row):
            order.append(bool(row[at]))
            at += 3 if row[at] else 2
        found.append(order)
    return found


def _words(orders: list[list[bool]]) -> np.ndarray:
    """The steps from the top bit on, 0 for a triple, and a 1 behind the last of a word; each row has as many words."""
    count = max(1, *(-(-len(order) // WORD) for order in orders))
    words = []
    for order in orders:
        for first in range(0, count * WORD, WORD):
            bits = "".join("0" if triple else "1" for triple in order[first : first + WORD]) + "1"
            words.append(int(bits.ljust(WORD + 1, "0"), 2))
    return np.array(words, np.uint64)
