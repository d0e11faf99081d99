"""Slice, Expand and Tile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kernels.move.support import TYPES, WITH_FILES, check, one, refusal, sample
from tests.kernels.support import engine, parse, same_bits


@WITH_FILES
@given(data=st.data())
def test_slices_are_numpys(data: st.DataObject, tmp_path: Path) -> None:
    shape = data.draw(st.lists(st.integers(1, 7), min_size=1, max_size=3))
    ranks = len(shape)
    axes = data.draw(st.lists(st.integers(0, ranks - 1), min_size=1, max_size=ranks, unique=True))
    starts = [data.draw(st.integers(-shape[a], shape[a] - 1)) for a in axes]  # beyond that ONNX and NumPy differ
    ends = [data.draw(st.integers(-9, 9)) for _ in axes]
    steps = [data.draw(st.sampled_from([-3, -2, -1, 1, 2, 5])) for _ in axes]
    kind = data.draw(st.sampled_from(list(TYPES)))
    x = sample(shape, TYPES[kind])
    where = [slice(None)] * ranks
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        where[axis] = slice(start, end, step)
    signed = [a - ranks if i % 2 else a for i, a in enumerate(axes)]
    lists = zip("sead", (starts, ends, signed, steps), strict=True)
    text = (
        " ".join(f"{name} = Constant <value_ints = {values}> ()" for name, values in lists)
        + " y = Slice(x, s, e, a, d)"
    )
    (got,) = engine(one(text, x, ranks, kind), tmp_path).run([x])
    assert same_bits(got, np.ascontiguousarray(x[tuple(where)]))


@pytest.mark.parametrize(
    ("start", "end", "step", "want"),
    [
        (-100, 2**63 - 1, 1, slice(None)),
        (100, -(2**63), -1, slice(None, None, -1)),
        (2, 1, 1, slice(0, 0)),
        (1, 9, 2**62, slice(1, 2)),
    ],
)
def test_bounds_are_clamped(start: int, end: int, step: int, want: slice, tmp_path: Path) -> None:
    x = sample((5, 2))
    s, e, d = (np.array([value], np.int64) for value in (start, end, step))
    model = one("z = Constant <value_ints = [0]> () y = Slice(x, s, e, z, d)", x, 2, s=s, e=e, d=d)
    check(model, [x], np.ascontiguousarray(x[want]), tmp_path)


def test_slice_with_attributes(tmp_path: Path) -> None:
    x = sample((4, 5))
    model = one("y = Slice <starts = [1, -3], ends = [3, 1000]> (x)", x, 2, opset=9)
    check(model, [x], np.ascontiguousarray(x[1:3, -3:]), tmp_path)


def test_bounds_that_are_data_may_change_between_runs(tmp_path: Path) -> None:
    x = sample((7, 3))
    model = parse(
        "g (float[7, 3] x, int64[1] s, int64[1] e) => (float[n, 3] y) { r = Neg(x) t = Slice(r, s, e) y = Neg(t) }"
    )
    opened = engine(model, tmp_path, threads=2)
    for start, end in ((0, 2), (3, 7), (5, 5), (-2, 7)):
        (got,) = opened.run([x, np.array([start]), np.array([end])])
        assert same_bits(got, x[start:end])


def test_slices_without_a_step_are_refused(tmp_path: Path) -> None:
    lists = [np.array([value], np.int64) for value in (0, 1, 0, 0)]
    assert "its step is 0" in refusal("Slice", [sample((2, 3)), *lists], b"", tmp_path)


@WITH_FILES
@given(data=st.data())
def test_expand_broadcasts_both_ways(data: st.DataObject, tmp_path: Path) -> None:
    want = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=4))
    own = [data.draw(st.sampled_from([1, d])) for d in want][data.draw(st.integers(0, len(want) - 1)) :]
    asked = [1 if i >= len(want) - len(own) and data.draw(st.booleans()) else d for i, d in enumerate(want)]
    asked = [
        d if i < len(want) - len(own) or own[i - len(want)] == 1 else a
        for i, (d, a) in enumerate(zip(want, asked, strict=True))
    ]
    kind = data.draw(st.sampled_from(list(TYPES)))
    x = sample(own, TYPES[kind])
    model = one("y = Expand(x, s)", x, len(want), kind, s=np.array(asked, np.int64))
    (got,) = engine(model, tmp_path).run([x])
    assert same_bits(got, np.ascontiguousarray(np.broadcast_to(x, want)))


@pytest.mark.parametrize("repeats", [(2, 3, 1), (1, 1, 4), (0, 1, 1), (1, 1, 1)])
def test_tiles(repeats: tuple[int, ...], tmp_path: Path) -> None:
    x = sample((2, 3, 5), np.int16)
    check(one("y = Tile(x, r)", x, 3, "int16", r=np.array(repeats)), [x], np.tile(x, repeats), tmp_path)
