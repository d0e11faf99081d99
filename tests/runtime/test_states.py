"""States: inputs that go on from outputs in one memory; what may be bound, and who may read it."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgeort.elements import RawTensor
from edgeort.engine import Engine
from edgeort.errors import InputError, OutOfMemoryError, PlanError
from tests.kernels.support import engine, everywhere, parse, same_bits

GROWING = "g (float[2,p,3] past, float[2,n,3] new) => (float[2,t,3] all) { all = Concat <axis = 1> (past, new) }"
RNG = np.random.default_rng(3)


def bind(opened: Engine, index: int, output: int, capacity: int) -> None:
    opened._check(opened._lib.edgeort_bind_state(opened._model, index, output, capacity))


def test_rows_are_added_where_they_are(tmp_path: Path) -> None:
    opened = engine(parse(GROWING), tmp_path)
    opened.bind_state("past", "all", 7, (2, 0, 3))
    parts = [RNG.standard_normal((2, n, 3)).astype(np.float32) for n in (3, 1, 0, 2)]
    places = set()
    for part in parts:
        assert opened.run([part]) == []
        tensor = RawTensor()
        opened._lib.edgeort_output(opened._model, 0, ctypes.byref(tensor))
        places.add(tensor.data)
        assert tensor.bytes == 2 * 7 * 3 * 4
    assert len(places) == 1 and tuple(tensor.dims[:3]) == (2, 6, 3)
    memory = np.ctypeslib.as_array(ctypes.cast(tensor.data, ctypes.POINTER(ctypes.c_float)), (2, 7, 3))
    assert same_bits(memory[:, :6].copy(), np.concatenate(parts, axis=1))


def test_large_states_begin_empty_and_zero(tmp_path: Path) -> None:
    opened = engine(parse(GROWING), tmp_path)
    opened.bind_state("past", "all", 1 << 20, (2, 0, 3))  # beyond a large page
    opened.run([np.ones((2, 2, 3), np.float32)])
    tensor = RawTensor()
    opened._lib.edgeort_output(opened._model, 0, ctypes.byref(tensor))
    memory = np.ctypeslib.as_array(ctypes.cast(tensor.data, ctypes.POINTER(ctypes.c_float)), (2, 1 << 20, 3))
    assert memory.sum() == 12 and (memory[:, :2] == 1).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((2, 0, 4), "there is no input 2"),
        ((-1, 0, 4), "there is no input -1"),
        ((0, 1, 4), "there is no output 1"),
        ((0, -7, 4), "there is no output -7"),
        ((1, 0, 4), '"all" is not input "new" with more rows'),
        ((0, 0, 0), "no room for 0 rows"),
        ((0, 0, -5), "no room for -5 rows"),
        ((0, 0, 1 << 62), "out of memory for"),
        ((0, 0, 1 << 50), "out of memory for"),
    ],
)
def test_what_cannot_be_bound_is_refused(arguments: tuple[int, int, int], message: str, tmp_path: Path) -> None:
    opened = engine(parse(GROWING), tmp_path)
    with pytest.raises(OutOfMemoryError if "memory" in message else InputError, match=message):
        bind(opened, *arguments)
    x = np.ones((2, 1, 3), np.float32)
    assert opened.run([x, x])[0].shape == (2, 2, 3)  # and it can be used


def test_a_state_is_bound_once_and_not_set(tmp_path: Path) -> None:
    opened = engine(parse(GROWING), tmp_path)
    bind(opened, 0, 0, 4)
    with pytest.raises(InputError, match="a state already"):
        bind(opened, 0, 0, 4)
    with pytest.raises(InputError, match="is a state, which runs alone change"):
        opened._give(0, np.ones((2, 1, 3), np.float32))


def test_free_dimensions_beside_the_rows_come_first(tmp_path: Path) -> None:
    text = "g (float[b,p,3] past, float[b,n,3] new) => (float[b,t,3] all) { all = Concat <axis = 1> (past, new) }"
    opened = engine(parse(text), tmp_path)
    with pytest.raises(InputError, match=r'"past" has a free dimension \(0\) beside its rows'):
        bind(opened, 0, 0, 4)
    opened.bind_state("past", "all", 4, (5, 0, 3))
    opened.run([np.ones((5, 2, 3), np.float32)])
    with pytest.raises(InputError, match="disagrees"):
        opened.run([np.ones((4, 2, 3), np.float32)])


def test_rows_lie_along_the_last_axis_but_one(tmp_path: Path) -> None:
    text = "g (float[2,p,3] past, float[2,n,3] new) => (float[2,t,3] all) { all = Concat <axis = 0> (past, new) }"
    opened = engine(parse(text), tmp_path)
    opened.bind_state("past", "all", 4, (2, 0, 3))
    with pytest.raises(PlanError, match="rows along the last axis but one"):
        opened.run([np.ones((2, 0, 3), np.float32)])


@pytest.mark.parametrize(
    ("more", "node"),
    [
        ("y = Relu (all)", "Elementwise"),
        ("y = Relu (past)", "Elementwise"),
        ("y = Reshape (all, flat)", "Reshape"),
        ("a, b = Split <axis = 2> (all, sizes) y = Relu (a)", "Split"),
        ("y = Concat <axis = 1> (all, past)", "Concat"),
    ],
)
def test_who_cannot_skip_the_room_between_rows_says_so(more: str, node: str, tmp_path: Path) -> None:
    text = f"""g (float[2,p,3] past, float[2,n,3] new) => (float[2,t,3] all, float[A] y)
      <int64[1] flat = {{-1}}, int64[2] sizes = {{1, 2}}> {{ all = Concat <axis = 1> (past, new) {more} }}"""
    model = parse(text)
    del model.graph.output[1].type.tensor_type.shape.dim[:]
    model.graph.output[1].type.tensor_type.ClearField("shape")
    opened = engine(model, tmp_path)
    opened.bind_state("past", "all", 9, (2, 0, 3))
    with pytest.raises(PlanError, match=rf"\({node}\) reads a state"):
        opened.run([np.ones((2, 2, 3), np.float32)])


def attention() -> onnx.ModelProto:
    """Queries over all keys and values so far."""
    return parse(
        """g (float[1,4,r,24] q, float[1,4,c,24] pk, float[1,4,c,20] pv, float[1,4,n,24] k, float[1,4,n,20] v)
          => (float[1,4,r,20] y, float[1,4,t,24] ak, float[1,4,t,20] av) <float s = {0.3}> {
          ak = Concat <axis = 2> (pk, k) av = Concat <axis = -2> (pv, v) kt = Transpose <perm = [0, 1, 3, 2]> (ak)
          ks = Mul (kt, s) m = MatMul (q, ks) p = Softmax <axis = -1> (m) y = MatMul (p, av) }"""
    )


def rows(count: int, columns: int) -> np.ndarray:
    return RNG.standard_normal((1, 4, count, columns)).astype(np.float32)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("isa", ["v3", "v4"])
def test_attention_reads_states_where_they_lie(threads: int, isa: str, tmp_path: Path) -> None:
    """The bits of keys and values that were joined anew, for few and for many rows."""
    opened = engine(attention(), tmp_path, threads=threads, isa=isa)
    separate = everywhere(attention(), tmp_path)
    for name, columns in (("k", 24), ("v", 20)):
        opened.bind_state(f"p{name}", f"a{name}", 90, (1, 4, 0, columns))
    past = [np.zeros((1, 4, 0, columns), np.float32) for columns in (24, 20)]
    for count in (3, 1, 1, 30, 1, 17, 1):
        q, k, v = rows(count, 24), rows(count, 24), rows(count, 20)
        y, *past = separate([q, *past, k, v])
        (got,) = opened.run([q, k, v])
        assert same_bits(got, y)


def test_few_rows_have_the_bits_of_many(tmp_path: Path) -> None:
    """Keys and values that are read as they lie, and those that are packed first."""
    run = everywhere(attention(), tmp_path)
    operands = [rows(37, 24), rows(37, 20), rows(4, 24), rows(4, 20)]
    q = rows(33, 24)
    many = run([q, *operands])[0]
    for first, count in ((0, 1), (1, 4), (5, 7), (12, 16), (28, 5)):
        few = run([np.ascontiguousarray(q[:, :, first : first + count]), *operands])[0]
        assert same_bits(few, np.ascontiguousarray(many[:, :, first : first + count]))


READERS = {
    "Expand": "u = Unsqueeze (all, one) y = Expand (u, repeat)",
    "Transpose": "y = Transpose <perm = [0, 1, 3, 2]> (all)",
    "Slice": "y = Slice (all, one, two, two)",
    "Tile": "y = Tile (all, tiles)",
    "MatMul": "y = MatMul (q, all)",
    "MatMul of a transpose": "k = Transpose <perm = [0, 1, 3, 2]> (all) y = MatMul (w, k)",
}


@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("name", READERS)
def test_copies_and_products_read_states_where_they_lie(name: str, heads: int, tmp_path: Path) -> None:
    """As they read keys that were joined anew, from no row on."""
    text = f"""g (float[1,{heads},p,5] past, float[1,{heads},n,5] new, float[1,1,2,t] q, float[1,1,2,5] w)
      => (float[1,{heads},t,5] all, float[A] y)
      <int64[1] one = {{1}}, int64[1] two = {{2}}, int64[5] repeat = {{1,2,1,1,1}}, int64[4] tiles = {{1,1,2,1}}>
      {{ all = Concat <axis = 2> (past, new) {READERS[name]} }}"""
    model = parse(text)
    model.graph.output[1].type.tensor_type.ClearField("shape")
    joined, kept = engine(model, tmp_path), engine(model, tmp_path)
    kept.bind_state("past", "all", 9, (1, heads, 0, 5))
    past = np.zeros((1, heads, 0, 5), np.float32)
    for count in (0, 1, 1, 3, 2):
        new = RNG.standard_normal((1, heads, count, 5)).astype(np.float32)
        rows = past.shape[2] + count
        more = [RNG.standard_normal((1, 1, 2, size)).astype(np.float32) for size in (rows, 5)]
        if rows == 0 and name != "Transpose":
            continue
        past, want = joined.run([past, new, *more])
        assert same_bits(kept.run([new, *more])[0], want), (name, rows)
