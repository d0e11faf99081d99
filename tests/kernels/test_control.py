"""If, Loop and Scan against ONNX Runtime: shapes known ahead or of data, nested bodies, captured values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgeort import lowering
from edgeort.errors import PlanError
from edgeort.lowering import layout
from edgeort.lowering.plan import PlanBuilder
from edgeort.model import load
from edgeort.passes import PassContext, run_passes
from tests.kernels.support import engine, open_plan, parse, reference, run_both

IF = """g (bool c, float[2,N] x) => (float[M,N] y) { two = Constant <value_float = 2.0> ()
    y = If (c) <then_branch = t () => (float[P,N] a) { a = THEN },
                else_branch = e () => (float[Q,N] b) { b = Sub (x, two) }> }"""


@pytest.mark.parametrize("then", ["Mul (x, two)", "Concat <axis = 0> (x, x)"], ids=["same shapes", "other shapes"])
def test_if(tmp_path: Path, then: str) -> None:
    model = parse(IF.replace("THEN", then))
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    opened = engine(model, tmp_path)
    for condition in (True, False, True):
        for width in (3, 2):
            inputs = [np.array(condition), np.ascontiguousarray(x[:, :width])]
            np.testing.assert_array_equal(opened.run(inputs)[0], reference(model, inputs)[0])


def test_a_branch_that_only_hands_a_value_on(tmp_path: Path) -> None:
    model = parse(
        """g (bool c, float[3] x, float[3] z) => (float[3] y, float[3] w) {
        y, w = If (c) <then_branch = t () => (float[3] x, float[3] z) { },
                       else_branch = e () => (float[3] a, float[3] b) { a = Neg (z) b = Identity (a) }> }"""
    )
    x, z = np.arange(3, dtype=np.float32), np.ones(3, np.float32)
    onnx.save(model, tmp_path / "model.onnx")
    graph = load(tmp_path / "model.onnx")
    run_passes(graph, PassContext())
    opened = open_plan(lowering.lower(graph), tmp_path)
    np.testing.assert_array_equal(opened.run([np.array(True), x, z]), [x, z])
    np.testing.assert_array_equal(opened.run([np.array(False), x, z]), [-z, -z])


LOOP = """g (int64 n, bool go, float[2] x) => (float[D] y, float[T,2] s) {
    limit = Constant <value_float = 9.0> () zero = Constant <value_int = 0> ()
    y, s = Loop (n, go, x) <body = b (int64 i, bool c, float[E] v) => (bool more, float[F] w, float[2] e) {
        CARRY sum = ReduceSum <keepdims = 0> (w) more = Less (sum, limit) e = Add (x, x) }> }"""


@pytest.mark.parametrize("carry", ["w = Add (v, x)", "w = Concat <axis = 0> (v, x)"], ids=["fixed", "growing"])
@pytest.mark.parametrize("trips", [0, 1, 5])
def test_loop_ends_by_trips_or_by_its_condition(tmp_path: Path, carry: str, trips: int) -> None:
    model = parse(LOOP.replace("CARRY", carry))
    x = np.array([1.0, 2.0], np.float32)
    opened = engine(model, tmp_path)
    for go in (True, False):
        inputs = [np.array(trips), np.array(go), x]
        for ours, want in zip(opened.run(inputs), reference(model, inputs), strict=True):
            np.testing.assert_array_equal(ours, want)


def test_what_a_loop_carries_may_outgrow_its_memory(tmp_path: Path) -> None:
    model = parse(
        """g (int64 n, float[1,600] x) => (float[T,600] y, float[600] z) {
        y, z0 = Loop (n, , x, x) <body = b (int64 i, bool c, float[t,600] s, float[1,600] v)
            => (bool c1, float[u,600] s1, float[1,600] w) {
            c1 = Identity (c) w = Add (v, v) s1 = Concat <axis = 0> (s, w) }>
        one = Constant <value_ints = [0]> () z = Squeeze (z0, one) }"""
    )
    x = np.linspace(1, 2, 600, dtype=np.float32)[None]
    opened = engine(model, tmp_path)
    for trips in (70, 3, 90):
        got = opened.run([np.array(trips), x])
        np.testing.assert_array_equal(got[0], x * np.float32(2) ** np.arange(trips + 1, dtype=np.float32)[:, None])
        np.testing.assert_array_equal(got[1], x[0] * np.float32(2) ** trips)


def test_a_counted_loop_is_known_ahead_and_swaps_its_values(tmp_path: Path) -> None:
    model = parse(
        """g (float[3] p, float[3] q) => (float[3] y, float[3] z, float[4,3] s) {
        n = Constant <value_int = 4> () w = Constant <value_float = 0.5> ()
        y, z, s = Loop (n, , p, q) <body = b (int64 i, bool c, float[3] a, float[3] d)
            => (bool c1, float[3] d1, float[3] a1, float[3] e) {
            c1 = Identity (c) d1 = Identity (d) a1 = Mul (a, w)
            j = Cast <to = 1> (i) e = Add (a, j) }> }"""
    )
    run_both(model, [np.arange(3, dtype=np.float32), np.ones(3, np.float32)], tmp_path)


def test_scan_of_axes_and_directions(tmp_path: Path) -> None:
    model = parse(
        """g (float[2] h, float[2,5] x, float[5,2] z) => (float[2] last, float[2,5] y, float[5,2] w) {
        last, y, w = Scan <num_scan_inputs = 2, scan_input_axes = [1, 0], scan_input_directions = [0, 1],
            scan_output_axes = [1, 0], scan_output_directions = [0, 1],
            body = b (float[2] s, float[2] a, float[2] c) => (float[2] s1, float[2] o, float[2] p) {
            t = Add (s, a) s1 = Tanh (t) o = Mul (s1, c) p = Sub (a, c) }> (h, x, z) }"""
    )
    rng = np.random.default_rng(0)
    shapes = [(2,), (2, 5), (5, 2)]
    run_both(model, [rng.standard_normal(shape).astype(np.float32) for shape in shapes], tmp_path)


def test_bodies_within_bodies_read_what_is_around_both(tmp_path: Path) -> None:
    model = parse(
        """g (int64 n, float[2] x) => (float[2] y) {
        t = Constant <value_int = 1> () go = Constant <value_int = 1> () c0 = Cast <to = 9> (go)
        y = Loop (n, c0, x) <body = b (int64 i, bool c, float[2] v) => (bool c1, float[2] w) {
            c1 = Identity (c) odd = Equal (i, t)
            w = If (odd) <then_branch = p () => (float[2] a) { a = Add (v, x) },
                          else_branch = q () => (float[2] d) { d = Mul (v, v) }> }> }"""
    )
    run_both(model, [np.array(3), np.array([1.5, -2.0], np.float32)], tmp_path)


def _if_plan(body: bytes) -> PlanBuilder:
    plan = PlanBuilder()
    bodies = [plan.constant(f"body{i}", np.frombuffer(body, np.uint8), 1) for i in range(2)]
    code = next(code for code, (name, _, _) in enumerate(layout.DTYPES) if name == "boolean")
    condition = plan.input("c", code, [])
    plan.outputs = [plan.activation("y")]
    plan.node("If", "branch", [*bodies, condition], plan.outputs)
    return plan


def test_what_is_no_plan_is_refused_at_open(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="branch.*not an edgeort plan"):
        open_plan(_if_plan(b"x" * 256), tmp_path)


def test_a_body_has_one_owner(tmp_path: Path) -> None:
    """Two nodes would prepare it for sizes of their own, each over the memory that results of the other point at."""
    body = PlanBuilder()
    body.outputs = [body.constant("one", np.ones(1, np.float32), 0)]
    opened = open_plan(_if_plan(body.to_bytes()), tmp_path)
    for condition in (True, False):
        assert opened.run([np.array(condition)])[0] == [1]
    shared = _if_plan(body.to_bytes())
    shared.nodes[0].inputs[1] = shared.nodes[0].inputs[0]
    with pytest.raises(PlanError, match="branch.*run by another operand"):
        open_plan(shared, tmp_path)


def test_plans_nested_too_deeply_are_refused(tmp_path: Path) -> None:
    plan = _if_plan(b"x" * 256)
    for _ in range(10):
        plan = _if_plan(plan.to_bytes())
    with pytest.raises(PlanError, match="nested too deeply"):
        open_plan(plan, tmp_path)
