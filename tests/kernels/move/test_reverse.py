"""ReverseSequence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.kernels.move.support import check, one, sample


@pytest.mark.parametrize("time", [0, 1])
def test_sequences_are_reversed_up_to_their_length(time: int, tmp_path: Path) -> None:
    x, lengths = sample((4, 4, 3)), np.array([0, 1, 3, 9])  # a length beyond the sequence reverses all of it
    model = one(f"y = ReverseSequence <time_axis = {time}, batch_axis = {1 - time}> (x, n)", x, 3, n=lengths)
    want = x.copy().swapaxes(0, time)
    for batch, n in enumerate(lengths):
        want[:n, batch] = want[:n, batch][::-1]
    check(model, [x], np.ascontiguousarray(want.swapaxes(0, time)), tmp_path)
