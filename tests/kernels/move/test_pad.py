"""Pad in every mode."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.kernels.move.support import TYPES, axis_params, check, one, refusal, sample


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "wrap"])
def test_pad_modes(mode: Any, kind: str, tmp_path: Path) -> None:
    x = sample((3, 4, 5), TYPES[kind])
    pads = np.array([1, 0, 2, 2, 3, 4])
    model = one(f'y = Pad <mode = "{mode}"> (x, p)', x, 3, kind, p=pads)
    check(model, [x], np.pad(x, [(1, 2), (0, 3), (2, 4)], mode), tmp_path)


def test_pad_with_a_value_axes_and_negative_pads(tmp_path: Path) -> None:
    x = sample((3, 6))
    model = one("y = Pad(x, p, v, a)", x, 2, p=np.array([-2, 1, 3, -1]), v=np.float32(7), a=np.array([-1, 0]))
    want = np.pad(x[:2, 2:], [(1, 0), (0, 3)], constant_values=7)
    check(model, [x], want, tmp_path)


def test_pad_with_attributes(tmp_path: Path) -> None:
    x = sample((2, 3))
    model = one("y = Pad <pads = [0, 1, 2, 0], value = 2.5> (x)", x, 2, opset=10)
    check(model, [x], np.pad(x, [(0, 2), (1, 0)], constant_values=2.5), tmp_path)


def test_pads_beyond_the_tensor_are_refused(tmp_path: Path) -> None:
    x = sample((2, 3))
    assert "would be -2" in refusal("Pad", [x, np.array([-2, 0, -2, 0])], axis_params(), tmp_path)
    assert "out of range" in refusal("Pad", [x, np.array([2**62, 0, 0, 0])], axis_params(), tmp_path)
    assert "no elements to repeat" in refusal(
        "Pad", [sample((0, 3)), np.array([1, 0, 0, 0])], axis_params(flag=2), tmp_path
    )
