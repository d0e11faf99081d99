"""Operators that move elements, against NumPy: every element size, odd shapes, attributes of old opsets, refusals."""

from __future__ import annotations

import itertools
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeort import toolchain
from edgeort.engine import Engine
from edgeort.errors import PlanError, UnsupportedError
from edgeort.lowering.params import PARAMS
from edgeort.lowering.plan import PlanBuilder
from tests.kernels.support import engine, parse, run_everywhere, same_bits

RNG = np.random.default_rng(3)
TYPES = {"uint8": np.uint8, "int16": np.int16, "float": np.float32, "int64": np.int64}
WITH_FILES = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def sample(shape: Sequence[int], dtype: type = np.float32) -> np.ndarray:
    return RNG.integers(0, 250, tuple(shape)).astype(dtype)


def dims(n: int) -> str:
    return ", ".join("abcdefgh"[:n])


def one(text: str, x: np.ndarray, rank: int, kind: str = "float", opset: int = 19, **constants: Any) -> onnx.ModelProto:
    """A model of one node `y = ...` of x, and constants."""
    shape = ", ".join(map(str, x.shape))
    return parse(f"g ({kind}[{shape}] x) => ({kind}[{dims(rank)}] y) {{ {text} }}", constants, opset=opset)


def check(model: onnx.ModelProto, inputs: Sequence[np.ndarray], want: np.ndarray, folder: Path) -> None:
    (got,) = run_everywhere(model, inputs, folder)
    assert same_bits(got, want), (got.shape, want.shape, got.dtype, want.dtype)


def refusal(op: str, operands: Sequence[np.ndarray], params: bytes, folder: Path, outputs: int = 1) -> str:
    """What the runtime says to a plan of one node whose operands are constants."""
    plan = PlanBuilder()
    codes = {np.dtype(np.float32): 0, np.dtype(np.int64): 6, np.dtype(np.int32): 5}
    inputs = [plan.constant(f"c{i}", array, codes[array.dtype]) for i, array in enumerate(operands)]
    plan.outputs = [plan.activation(f"y{i}", 0) for i in range(outputs)]
    plan.node(op, "n", inputs, plan.outputs, params)
    path = folder / "refused.plan"
    path.write_bytes(plan.to_bytes())
    with pytest.raises(PlanError) as raised:
        Engine(toolchain.library(toolchain.target("linux", platform.machine()), plan.ops), path, threads=1).run([])
    return raised.value.args[0]


def axis_params(**fields: int) -> bytes:
    return PARAMS["AxisParams"].pack(**fields)


# ---- Transpose


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("shape", [(3, 50), (50, 3), (70, 33), (16, 16), (129, 65), (1, 9), (0, 4)])
def test_matrices_of_every_element_size_transpose(kind: str, shape: tuple[int, int], tmp_path: Path) -> None:
    x = sample(shape, TYPES[kind])
    check(one("y = Transpose <perm = [1, 0]> (x)", x, 2, kind), [x], np.ascontiguousarray(x.T), tmp_path)


@pytest.mark.parametrize("perm", [p for p in itertools.permutations(range(4)) if p[0] in (1, 3)])
def test_axes_permute(perm: tuple[int, ...], tmp_path: Path) -> None:
    x = sample((2, 3, 18, 7))
    check(one(f"y = Transpose <perm = {list(perm)}> (x)", x, 4), [x], np.ascontiguousarray(x.transpose(perm)), tmp_path)


def test_transpose_without_permutation_reverses_the_axes(tmp_path: Path) -> None:
    x = sample((2, 1, 5, 4))
    check(one("y = Transpose(x)", x, 4), [x], np.ascontiguousarray(x.T), tmp_path)


@pytest.mark.parametrize("shape", [(3, 224, 224), (224, 224, 3), (5, 200, 100)])
def test_large_transposes_are_cut_into_tiles(shape: tuple[int, ...], tmp_path: Path) -> None:
    x = sample(shape)
    check(one("y = Transpose <perm = [2, 0, 1]> (x)", x, 3), [x], np.ascontiguousarray(x.transpose(2, 0, 1)), tmp_path)


@WITH_FILES
@given(data=st.data())
def test_transpose_and_its_inverse_are_the_identity(data: st.DataObject, tmp_path: Path) -> None:
    shape = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=5))
    perm = data.draw(st.permutations(range(len(shape))))
    inverse = [list(perm).index(i) for i in range(len(shape))]
    x = sample(shape, np.uint8)
    # The Reshape keeps the two from being cancelled.
    text = (
        f"t = Transpose <perm = {list(perm)}> (x) s = Shape(t) u = Reshape(t, s) y = Transpose <perm = {inverse}> (u)"
    )
    (got,) = engine(one(text, x, len(shape), "uint8"), tmp_path).run([x])
    assert same_bits(got, x)


def test_a_plan_with_a_wrong_permutation_is_refused(tmp_path: Path) -> None:
    params = PARAMS["ListParams"].pack(count=2, values=[1, 1])
    assert "names axis 1 twice" in refusal("Transpose", [sample((2, 3))], params, tmp_path)
    params = PARAMS["ListParams"].pack(count=2, values=[0, 2])
    assert "out of range for rank 2" in refusal("Transpose", [sample((2, 3))], params, tmp_path)


# ---- views


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
    assert all(node.skipped for node in opened.nodes)


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


# ---- Concat, Split, Slice


@WITH_FILES
@given(data=st.data())
def test_split_and_concat_are_the_identity(data: st.DataObject, tmp_path: Path) -> None:
    sizes = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=4))
    shape = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    kind = data.draw(st.sampled_from(list(TYPES)))
    shape[axis] = sum(sizes)
    x = sample(shape, TYPES[kind])
    parts = ", ".join(f"p{i}" for i in range(len(sizes)))
    text = f"{parts} = Split <axis = {axis}> (x, s) y = Concat <axis = {axis}> ({parts})"
    (got,) = engine(one(text, x, len(shape), kind, s=np.array(sizes)), tmp_path, threads=2).run([x])
    assert same_bits(got, x)


@pytest.mark.parametrize(
    ("text", "opset"),
    [
        ("y, z = Split <axis = 1, split = [5, 2]> (x)", 11),
        ("y, z = Split <axis = 1, num_outputs = 2> (x)", 18),
        ("s = Constant <value_ints = [1, 6]> () y, z = Split <axis = -1> (x, s)", 13),
    ],
)
def test_forms_of_split(text: str, opset: int, tmp_path: Path) -> None:
    x = sample((3, 7))
    model = parse(f"g (float[3, 7] x) => (float[a, b] y, float[c, d] z) {{ {text} }}", opset=opset)
    cut = {11: 5, 18: 4, 13: 1}[opset]
    first, second = run_everywhere(model, [x], tmp_path)
    assert same_bits(first, np.ascontiguousarray(x[:, :cut]))
    assert same_bits(second, np.ascontiguousarray(x[:, cut:]))


def test_a_part_that_nobody_reads(tmp_path: Path) -> None:
    x = sample((6, 4))
    check(one("a, y, b = Split <axis = 0> (x)", x, 2, opset=13), [x], x[2:4], tmp_path)


def test_large_concat(tmp_path: Path) -> None:
    a, b = sample((1, 40, 60, 50)), sample((1, 3, 60, 50))
    model = parse(
        "g (float[1, 40, 60, 50] a, float[1, 3, 60, 50] b) => (float[1, 43, 60, 50] y) { y = Concat <axis = 1> (a, b) }"
    )
    check(model, [a, b], np.concatenate([a, b], 1), tmp_path)


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


# ---- Pad, Expand, Tile


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


# ---- tensors made from a rule, shapes


def test_shapes_are_computed_while_preparing(tmp_path: Path) -> None:
    model = parse(
        """g (float[n, 3, m] x) => (float[a, b, c] y, int64[2] z, int64 e) {
        z = Shape <start = -2> (x) e = Size(x) s = Shape(x)
        n = Gather(s, zero) m = Slice(s, last, three) shape = Concat <axis = 0> (m, minus, n)
        t = Transpose <perm = [0, 2, 1]> (x) y = Reshape(t, shape) }""",
        {name: np.array([value]) for name, value in {"zero": 0, "last": 2, "three": 3, "minus": -1}.items()},
    )
    opened = engine(model, tmp_path)
    for shape in ((2, 3, 5), (1, 3, 1)):
        x = sample(shape)
        y, z, size = opened.run([x])
        assert same_bits(y, np.ascontiguousarray(x.transpose(0, 2, 1)).reshape(shape[2], -1, shape[0]))
        assert z.tolist() == list(shape[1:])
        assert size == x.size
    assert {node.op for node in opened.nodes if not node.skipped} <= {"Transpose"}


@pytest.mark.parametrize(("start", "end"), [(0, 9), (1, 2), (-2, 3), (-9, -1), (2, 1)])
def test_parts_of_a_shape(start: int, end: int, tmp_path: Path) -> None:
    x = sample((4, 5, 6))
    model = parse(f"g (float[4, b, 6] x) => (int64[n] y) {{ y = Shape <start = {start}, end = {end}> (x) }}")
    check(model, [x], np.array(x.shape[start:end] if start >= -3 else x.shape[:end], np.int64), tmp_path)


@pytest.mark.parametrize(
    ("kind", "dtype", "values"),
    [
        ("float", np.float32, (1.5, 4.0, 0.25)),
        ("float", np.float32, (3.0, -1.0, -0.7)),
        ("int32", np.int32, (10, -3, -4)),
        ("int64", np.int64, (5, 5, 1)),
        ("int64", np.int64, (-(2**62), 2**62, 2**60)),
    ],
)
def test_ranges(kind: str, dtype: type, values: tuple[float, float, float], tmp_path: Path) -> None:
    model = parse(f"g ({kind} a, {kind} b, {kind} d) => ({kind}[n] y) {{ y = Range(a, b, d) }}")
    start, limit, delta = (dtype(v) for v in values)
    n = max(0, int(np.ceil((values[1] - values[0]) / values[2])))
    want = (start + np.arange(n).astype(dtype) * delta).astype(dtype)
    check(model, [np.array(start), np.array(limit), np.array(delta)], want, tmp_path)


def test_constants_of_a_shape(tmp_path: Path) -> None:
    model = parse(
        """g (int64[3] s) => (int32[a, b, c] y, float[d, e, f] z) {
        y = ConstantOfShape <value = int32[1] {7}> (s) z = ConstantOfShape(s) }"""
    )
    opened = engine(model, tmp_path)
    for shape in ((2, 0, 3), (2, 2, 3)):
        y, z = opened.run([np.array(shape, np.int64)])
        assert same_bits(y, np.full(shape, 7, np.int32))
        assert same_bits(z, np.zeros(shape, np.float32))


@pytest.mark.parametrize("k", [-9, -1, 0, 2, 9])
def test_diagonals(k: int, tmp_path: Path) -> None:
    x = sample((2, 3, 5))
    model = parse(
        f"""g (float[2, 3, 5] x, int64 k) => (float[2, 3, 5] u, float[2, 3, 5] l, uint8[3, 5] e) {{
        u = Trilu <upper = 1> (x, k) l = Trilu <upper = 0> (x, k)
        p, q = Split <axis = 0> (x, ones) r = Squeeze(p, axes) e = EyeLike <k = {k}, dtype = 2> (r) }}""",
        {"ones": np.array([1, 1]), "axes": np.array([0])},
    )
    u, lower, e = run_everywhere(model, [x, np.array(k)], tmp_path)
    assert same_bits(u, np.triu(x, k))
    assert same_bits(lower, np.tril(x, k))
    assert same_bits(e, np.eye(3, 5, k, np.uint8))


@pytest.mark.parametrize("time", [0, 1])
def test_sequences_are_reversed_up_to_their_length(time: int, tmp_path: Path) -> None:
    x, lengths = sample((4, 4, 3)), np.array([0, 1, 3, 9])  # a length beyond the sequence reverses all of it
    model = one(f"y = ReverseSequence <time_axis = {time}, batch_axis = {1 - time}> (x, n)", x, 3, n=lengths)
    want = x.copy().swapaxes(0, time)
    for batch, n in enumerate(lengths):
        want[:n, batch] = want[:n, batch][::-1]
    check(model, [x], np.ascontiguousarray(want.swapaxes(0, time)), tmp_path)


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
