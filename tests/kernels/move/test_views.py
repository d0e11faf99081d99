"""Reshape, Flatten, Squeeze, Unsqueeze and Dropout, which copy nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeort.errors import UnsupportedError
from tests.kernels.move.support import axis_params, check, one, refusal, sample
from tests.kernels.support import engine, parse, run_everywhere, same_bits


@pytest.mark.parametrize(
    ("text", "shape", "want"),
    [
        ("s = Constant <value_ints = [0, -1]> () y = Reshape(x, s)", (2, 3, 4), (2, 12)),
        ("s = Constant <value_ints = [2, 0, 3]> () y = Reshape <allowzero = 1> (x, s)", (0, 5), (2, 0, 3)),
        ("y = Flatten <axis = -1> (x)", (2, 3, 4), (6, 4)),
        ("y = Flatten <axis = 0> (x)", (2, 3), (1, 6)),
        ("s = Constant <value_ints = [-1, 0]> () y = Squeeze(x, s)", (1, 3, 1), (3,)),
        ("y = Squeeze(x)", (1, 3, 1, 2), (3, 2)),
        ("s = Constant <value_ints = [3, 0]> () y = Unsqueeze(x, s)", (2, 3), (1, 2, 3, 1)),
    ],
)
def test_views(text: str, shape: tuple[int, ...], want: tuple[int, ...], tmp_path: Path) -> None:
    x = sample(shape, np.int64)
    check(one(text, x, len(want), "int64"), [x], x.reshape(want), tmp_path)


@pytest.mark.parametrize(
    ("text", "shape", "want"),
    [
        ("y = Squeeze <axes = [0, 2]> (x)", (1, 3, 1), (3,)),
        ("y = Unsqueeze <axes = [0, 2]> (x)", (2, 3), (1, 2, 1, 3)),
    ],
)
def test_axes_as_attributes(text: str, shape: tuple[int, ...], want: tuple[int, ...], tmp_path: Path) -> None:
    x = sample(shape)
    check(one(text, x, len(want), opset=11), [x], x.reshape(want), tmp_path)


def test_views_are_not_run(tmp_path: Path) -> None:
    x = sample((2, 3))
    model = one(
        "s = Constant <value_ints = [-1]> () r = Reshape(x, s) a = Constant <value_ints = [0]> () y = Unsqueeze(r, a)",
        x,
        2,
    )
    opened = engine(model, tmp_path)
    (got,) = opened.run([x])
    assert same_bits(got, x.reshape(1, 6))
    assert [node.skipped for node in opened.nodes] == [True, True]


@pytest.mark.parametrize(
    ("op", "shape", "operand", "reason"),
    [
        ("Reshape", (2, 3), [4, -1], "do not divide"),
        ("Reshape", (2, 3), [-1, -1], "two dimensions of -1"),
        ("Reshape", (2, 3), [7], "do not fit"),
        ("Reshape", (2, 3), [1, 1, 0], "copies dimension 2"),
        ("Reshape", (2, 3), [2**62, 4], "out of range"),
        ("Squeeze", (2, 1), [0], "has 2 elements"),
        ("Unsqueeze", (2, 1), [0, 0], "twice"),
        ("Unsqueeze", (2, 1), [4], "out of range"),
        ("Unsqueeze", (1,) * 8, [0], "rank 9"),
    ],
)
def test_views_that_do_not_fit_are_refused(
    op: str, shape: tuple[int, ...], operand: list[int], reason: str, tmp_path: Path
) -> None:
    assert reason in refusal(op, [sample(shape), np.array(operand, np.int64)], axis_params(), tmp_path)


def test_dropout_passes_and_its_mask_is_true(tmp_path: Path) -> None:
    x = sample((3, 5))
    model = parse("g (float[3, 5] x) => (float[3, 5] y, bool[3, 5] m) { y, m = Dropout(x) }")
    y, mask = run_everywhere(model, [x], tmp_path)
    assert same_bits(y, x)
    assert mask.all()


def test_dropout_in_training_is_refused(tmp_path: Path) -> None:
    x = sample((3, 5))
    model = one("r = Constant <value_float = 0.5> () y = Dropout(x, r, t)", x, 2, t=np.array(True))
    with pytest.raises(UnsupportedError, match="training"):
        engine(model, tmp_path)
