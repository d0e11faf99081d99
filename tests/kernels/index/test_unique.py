"""Unique."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.kernels.index.support import TYPES, WITH_FILES, graph, sample
from tests.kernels.support import engine


@WITH_FILES
@given(data=st.data())
def test_unique_is_numpys(data: st.DataObject, tmp_path: Path) -> None:
    shape = (data.draw(st.integers(1, 6)), data.draw(st.integers(1, 4)), 2)
    axis = data.draw(st.sampled_from([None, 0, 1, -1]))
    kind = data.draw(st.sampled_from(list(TYPES)))
    ordered = data.draw(st.booleans())
    x = sample(shape, TYPES[kind], high=3)
    attributes = f"sorted = {int(ordered)}" + ("" if axis is None else f", axis = {axis}")
    outputs = [(kind, 1 if axis is None else 3)] + [("int64", 1)] * 3
    model = graph(f"y0, y1, y2, y3 = Unique <{attributes}> (x0)", [(kind, 3)], outputs)
    got = engine(model, tmp_path).run([x])
    want, first, inverse, number = np.unique(x, return_index=True, return_inverse=True, return_counts=True, axis=axis)
    if not ordered:
        order = np.argsort(first)
        rank = np.argsort(order)
        want, first, number = np.take(want, order, axis or 0), first[order], number[order]
        inverse = rank[inverse]
    for ours, theirs in zip(got, (want, first, inverse.reshape(-1), number), strict=True):
        np.testing.assert_array_equal(ours, theirs)
