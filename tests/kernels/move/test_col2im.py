"""Col2Im."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from tests.kernels.move.support import check, one, sample


@pytest.mark.parametrize(
    ("block", "dilations", "pads", "strides"),
    [
        ((2, 3), (1, 1), (0, 0, 0, 0), (1, 1)),
        ((2, 2), (2, 1), (1, 0, 2, 3), (1, 2)),
        ((1, 1), (1, 1), (0, 0, 0, 0), (2, 3)),
    ],
)
def test_columns_are_added_up_to_an_image(
    block: tuple[int, int], dilations: tuple[int, int], pads: tuple[int, ...], strides: tuple[int, int], tmp_path: Path
) -> None:
    image, channels = (5, 6), 3
    steps = [(image[d] + pads[d] + pads[2 + d] - dilations[d] * (block[d] - 1) - 1) // strides[d] + 1 for d in (0, 1)]
    x = sample((2, channels * block[0] * block[1], steps[0] * steps[1]))
    padded = np.zeros((2, channels, image[0] + pads[0] + pads[2], image[1] + pads[1] + pads[3]), np.float32)
    columns = x.reshape(2, channels, *block, *steps)
    for i, j, r, c in itertools.product(*map(range, (*block, *steps))):
        padded[:, :, r * strides[0] + i * dilations[0], c * strides[1] + j * dilations[1]] += columns[:, :, i, j, r, c]
    want = padded[:, :, pads[0] : pads[0] + image[0], pads[1] : pads[1] + image[1]]
    text = f"y = Col2Im <dilations = {list(dilations)}, pads = {list(pads)}, strides = {list(strides)}> (x, i, b)"
    model = one(text, x, 4, i=np.array(image), b=np.array(block))
    check(model, [x], np.ascontiguousarray(want), tmp_path)
