"""Shapes that change a little: what a model that was prepared for others says is what a fresh one says, to the bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgeort.generation import Decoder
from tests.generation import networks
from tests.kernels.support import engine, open_plan, parse, plan_of, same_bits

RNG = np.random.default_rng(7)

# Of x [2, n, 8] and m [1, t]: views, columns of one tensor, values of shapes, rows that end in a norm, and products.
GRAPHS = {
    "known values": """g (float[2,n,8] x, float[1,t] m) => (float[2,n,8] y, float[A] z)
      <int64 zero = {0}, int64 one = {1}> {
      s = Shape <start = 1, end = 2> (m) t = Squeeze (s) r = Range (zero, t, one)
      f = Cast <to = 1> (r) z = Add (f, m) y = Relu (x) }""",
    "slices": """g (float[2,n,8] x, float[1,t] m) => (float[2,n,8] y, float[1,t] z)
      <int64[2] sizes = {3, 5}> {
      a, b = Split <axis = 2> (x, sizes) c = Neg (a) d = Relu (b) y = Concat <axis = 2> (c, d) z = Neg (m) }""",
    "views": """g (float[2,n,8] x, float[1,t] m) => (float[A] y, float[1,t] z)
      <int64[3] shape = {1, -1, 4}> {
      a = Relu (x) b = Reshape (a, shape) y = Exp (b) z = Identity (m) }""",
    "softmax of a mask": """g (float[2,n,8] x, float[1,t] m) => (float[2,n,8] y, float[1,t] z)
      { a = Sub (m, m) b = Add (a, m) z = Softmax <axis = 1> (b) y = Sigmoid (x) }""",
    "data": """g (float[2,n,8] x, float[1,t] m) => (float[2,n,8] y, int64[A] z)
      { c = Cast <to = 9> (m) z = NonZero (c) y = Relu (x) }""",
    "trips of a loop": """g (float[2,n,8] x, float[1,t] m) => (float[2,n,8] y, float[1,t] z) <bool go = {1}> {
      s = Shape <start = 1, end = 2> (m) k = Squeeze (s) p = Softmax <axis = 2> (x) z = Neg (m)
      y = Loop (k, go, p) <body = b (int64 i, bool c, float[2,n,8] v) => (bool d, float[2,n,8] w)
        { d = Identity (c) e = Softmax <axis = 1> (v) w = Add (e, x) }> }""",
    "branches": """g (float[2,n,8] x, float[1,t] m) => (float[2,n,8] y, float[1,t] z) <int64 most = {8}> {
      s = Shape <start = 1, end = 2> (m) k = Squeeze (s) c = Less (k, most) y = Relu (x)
      z = If (c) <then_branch = a () => (float[1,t] d) { d = Softmax <axis = 1> (m) },
                  else_branch = b () => (float[1,t] e) { e = Neg (m) }> }""",
}

# A choice that is written over p while p is as large as it, and may not be when rows of p are read for others.
OVERWRITTEN = """g (float[a,8] x, float[b,8] w, bool[b,8] k) => (float[c,8] y) {
  p = Softmax <axis = 1> (x) q = Softmax <axis = 1> (w) s = Where (k, p, q) y = Softmax <axis = 1> (s) }"""


def model(text: str) -> onnx.ModelProto:
    parsed = parse(text)
    for value in parsed.graph.output:
        if len(value.type.tensor_type.shape.dim) == 1:
            value.type.tensor_type.ClearField("shape")
    return parsed


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", GRAPHS)
def test_walks_of_sizes(name: str, threads: int, tmp_path: Path) -> None:
    plan = plan_of(model(GRAPHS[name]))
    ours = open_plan(plan, tmp_path, threads=threads)
    n, t = 3, 5
    for _ in range(40):
        n = int(np.clip(n + RNG.integers(-2, 3) * (RNG.random() < 0.3), 1, 40))
        t = int(np.clip(t + RNG.integers(-1, 3), 1, 70))
        feeds = [RNG.standard_normal((2, n, 8)).astype("f4"), RNG.standard_normal((1, t)).astype("f4")]
        want = open_plan(plan, tmp_path, threads=threads).run(feeds)
        for got, fresh in zip(ours.run(feeds), want, strict=True):
            assert got.shape == fresh.shape and same_bits(got, fresh), (n, t)


def test_operands_that_broadcast_in_turns(tmp_path: Path) -> None:
    plan = plan_of(parse(OVERWRITTEN))
    ours = open_plan(plan, tmp_path)
    for a, b in ((4, 4), (1, 4), (4, 1), (4, 4), (1, 4)):
        x, w = (RNG.standard_normal((rows, 8)).astype("f4") for rows in (a, b))
        feeds = [x, w, RNG.random((b, 8)) < 0.5]
        assert same_bits(ours.run(feeds)[0], open_plan(plan, tmp_path).run(feeds)[0]), (a, b)


def test_an_operator_that_reads_columns_for_some_sizes_alone(tmp_path: Path) -> None:
    """Resize reads columns of a tensor while it changes the width; for rows alone it does not."""
    text = """g (float[1,4,4,6] x, float[h,w] m) => (float[1,h,w,3] y, float[1,4,4,3] z, float[h,w] q)
      <int64[2] parts = {3, 3}> {
      s = Sigmoid (x) a, b = Split <axis = 3> (s, parts) sizes = Shape (m) z = Neg (b) q = Neg (m)
      y = Resize <axes = [1, 2], mode = "nearest", coordinate_transformation_mode = "asymmetric"> (a, , , sizes) }"""
    plan = plan_of(parse(text, opset=18))
    ours = open_plan(plan, tmp_path)
    x = RNG.standard_normal((1, 4, 4, 6)).astype("f4")
    for size in ((8, 8), (8, 4), (4, 8), (4, 4), (8, 8)):
        feeds = [x, np.ones(size, "f4")]
        for got, fresh in zip(ours.run(feeds), open_plan(plan, tmp_path).run(feeds), strict=True):
            assert same_bits(got, fresh), size


def test_a_step_that_data_decides_does_not_hide_what_sizes_were(tmp_path: Path) -> None:
    """What the first step holds grows after the second step gave all tensors numbers of its own."""
    ours = open_plan(plan_of(model(GRAPHS["data"])), tmp_path)
    x = np.ones((2, 1, 8), "f4")
    for t in (5, 200, 3, 4_000_000):
        y, z = ours.run([x, np.ones((1, t), "f4")])
        assert same_bits(y, x) and z.shape == (2, t) and np.array_equal(z[1], np.arange(t)), t


@pytest.mark.parametrize("form", ["float32", "int4"])
def test_a_decoder_goes_on_where_it_was_rewound(form: str, tmp_path: Path) -> None:
    """Token by token over the sizes where memory that was taken for fewer no longer does."""
    path, ids = networks.write(tmp_path, 2, form), RNG.integers(0, 300, 70).tolist()
    with Decoder(path, 70, threads=2) as steps, Decoder(path, 70, threads=1) as whole:
        for length, more in ((0, 40), (40, 25), (31, 2), (33, 37), (5, 60)):
            steps.reset(length)
            for token in ids[length : length + more]:
                got = steps.append([token])
            whole.reset()
            assert same_bits(got.copy(), whole.append(ids[: length + more])), length


def test_binding_a_state_prepares_anew(tmp_path: Path) -> None:
    text = "g (float[2,p,3] past, float[2,n,3] new) => (float[2,t,3] all) { all = Concat <axis = 1> (past, new) }"
    opened = engine(parse(text), tmp_path)
    new = RNG.standard_normal((2, 1, 3)).astype("f4")
    assert opened.run([new, new])[0].shape == (2, 2, 3)
    assert opened.stats.states_bytes == 0
    opened.bind_state("past", "all", 5, (2, 0, 3))
    assert opened.stats.states_bytes == 2 * 5 * 3 * 4
    for _ in range(5):
        assert opened.run([new]) == []


def test_an_error_after_a_change_leaves_what_was(tmp_path: Path) -> None:
    text = "g (float[1,n] x, float[1,m] y) => (float[1,k] z) { z = Add (x, y) }"
    opened = engine(parse(text), tmp_path)
    wide = np.ones((1, 4), "f4")
    opened.run([wide, wide])
    with pytest.raises(Exception, match="broadcast|dimension"):
        opened.run([wide, np.ones((1, 5), "f4")])
    assert same_bits(opened.run([wide, wide])[0], wide + wide)
