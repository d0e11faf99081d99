"""The plan's layout: Python and C++ agree, and what is written is what the runtime reads."""

from __future__ import annotations

import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from edgeort import toolchain
from edgeort.engine import Engine
from edgeort.errors import InputError, PlanError, UnsupportedError
from edgeort.lowering import header, layout
from edgeort.lowering.params import PARAMS
from edgeort.lowering.plan import PlanBuilder
from edgeort.lowering.structs import Struct
from tests.kernels.support import engine, parse, plan_of


def test_the_header_is_that_of_the_layout() -> None:
    assert header.PATH.read_text() == header.header(), "run python -m edgeort.lowering.header"


def test_every_micro_operation_has_a_formula() -> None:
    rows = (toolchain.RUNTIME / "kernels/elementwise/uops.inc").read_text()
    assert re.findall(r"^(?:UNARY|BINARY)\((\w+),", rows, re.MULTILINE) == list(layout.UOPS)


@pytest.mark.parametrize("record", [layout.HEADER, layout.TENSOR, layout.NODE, *PARAMS.values()], ids=lambda r: r.name)
def test_a_record_comes_back(record: Struct) -> None:
    values = {
        name: tuple(range(1, count + 1))
        for name, ctype, count in record.fields
        if ctype in ("i32", "u32", "i64", "u64")
    }
    raw = record.pack(**values)
    assert len(raw) == record.size and record.size % 8 == 0
    unpacked = record.unpack(raw)
    assert all(tuple(unpacked[name]) == value for name, value in values.items())


def test_a_record_refuses_what_it_has_no_field_for() -> None:
    with pytest.raises(ValueError, match="no field"):
        layout.NODE.pack(colour=1)


def test_a_record_refuses_values_that_a_field_cannot_hold() -> None:
    with pytest.raises(UnsupportedError, match="its values has 9 entries; kernels take 8"):
        PARAMS["ListParams"].pack(values=range(9))
    for value in (2**32, -1):
        with pytest.raises(UnsupportedError, match=f"its op is {value}; kernels take what u32 can hold"):
            layout.NODE.pack(op=value)


def test_misaligned_fields_are_refused() -> None:
    with pytest.raises(ValueError, match="not aligned"):
        Struct("Bad", "", (("a", "u8", 1), ("b", "u32", 1)))


def test_scalars_keep_their_rank() -> None:
    plan = PlanBuilder()
    scalar = plan.constant("c", np.array(3, np.int64), 6)
    assert plan.tensors[scalar].dims == ()


def test_a_plan_has_the_same_bytes_every_time(tmp_path: Path) -> None:
    model = parse("g (float[2,3] x) => (float[2,4] y) { m = MatMul(x, w) y = Relu(m) }", {"w": np.ones((3, 4), "f")})
    for _ in range(2):
        engine(model, tmp_path)
    first, second = sorted(tmp_path.glob("*.plan"))
    assert first.read_bytes() == second.read_bytes()


def test_a_library_names_the_kernel_that_a_foreign_plan_lacks(tmp_path: Path) -> None:
    engine(parse("g (float[2] x) => (float[2] y) { y = Tanh(x) }"), tmp_path)
    plan = next(tmp_path.glob("*.plan"))
    host = toolchain.target("linux", "x86_64")
    with pytest.raises(PlanError, match='no kernel "Elementwise"; it was built for another model'):
        Engine(toolchain.library(host, ["Gemm"]), plan)
    with pytest.raises(PlanError, match='no micro-operation "Tanh"'):
        Engine(toolchain.library(host, ["Elementwise", "uop:Relu"]), plan).run([np.zeros(2, "f")])


def test_inputs_agree_about_a_free_dimension(tmp_path: Path) -> None:
    ours = engine(
        parse("g (float[n,2] x, float[m,n] z) => (float[n,2] y, float[m,n] w) { y = Tanh(x) w = Tanh(z) }"), tmp_path
    )
    ours.run([np.zeros((3, 2), "f"), np.zeros((5, 3), "f")])
    with pytest.raises(InputError, match='input "z" disagrees with another input'):
        ours.run([np.zeros((3, 2), "f"), np.zeros((5, 4), "f")])


def test_constants_lie_in_the_order_in_which_they_come() -> None:
    """Small ones, which prepare may read, then the others as nodes read them."""
    plan = PlanBuilder()
    x = plan.input("x", 0, [1])
    big = [plan.constant(f"big{i}", np.full(5000, i + 1, np.float32), 0) for i in range(2)]
    small = plan.constant("small", np.full(3, 7, np.float32), 0)
    y, z = plan.activation("y"), plan.activation("z")
    plan.node("A", "a", [x, big[1]], [y])
    plan.node("B", "b", [y, big[0], small], [z])
    data = np.frombuffer(plan.to_bytes()[-(2 * 20032 + 64) :], np.float32)
    assert [data[0], data[16], data[16 + 5008]] == [7, 2, 1]


def test_strings_lie_in_front_for_opening_reads_them() -> None:
    plan = PlanBuilder()
    big = plan.constant("big", np.full(5000, 2, np.float32), 0)
    texts = plan.constant("texts", np.array(["x" * 20000], object), layout.STRING)
    y, z = plan.activation("y"), plan.activation("z")
    plan.node("A", "a", [big], [y])
    plan.node("B", "b", [y, texts], [z])
    raw = plan.to_bytes()
    assert raw.index(b"x" * 20000) < raw.index(np.full(5000, 2, np.float32).tobytes())


def test_writing_holds_little_more_than_the_plan() -> None:
    """Weights may be gigabytes: once in what is put together, and once in what comes of it."""
    plan = PlanBuilder()
    weights = [plan.constant(f"w{i}", np.full(1 << 18, i, np.float32), 0) for i in range(1, 17)]
    plan.node("A", "a", weights, [plan.activation("y")])
    tracemalloc.start()
    size = len(plan.to_bytes())
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size > 16 << 20 and most < 2.5 * size


def test_weights_that_nodes_share_are_stored_once(tmp_path: Path) -> None:
    """Also where each node packs them for itself; other weights are not."""
    numbers = np.random.default_rng(0).standard_normal((2, 64, 64)).round(3).astype(np.float32)
    texts = [",".join(map(str, matrix.ravel())) for matrix in numbers]
    given = [f"{name} = Constant<value = float[64,64] {{{text}}}>()" for name, text in zip("wv", texts, strict=True)]
    layers = "a = MatMul(x, w) b = Relu(a) c = MatMul(b, w) d = Relu(c) y = MatMul(d, {last})"
    x, sizes = numbers[0, :3], []
    for last in (0, 1):
        body = "\n".join((*given, layers.format(last="wv"[last])))
        model = parse(f"g (float[3,64] x) => (float[3,64] y) {{ {body} }}")
        sizes.append(len(plan_of(model).to_bytes()))
        wanted = np.maximum(np.maximum(x @ numbers[0], 0) @ numbers[0], 0) @ numbers[last]
        np.testing.assert_allclose(engine(model, tmp_path).run([x])[0], wanted, rtol=1e-4, atol=1e-2)
    assert 64 * 64 * 4 < sizes[0] < 1.5 * 64 * 64 * 4
    assert 0 <= sizes[1] - sizes[0] - 64 * 64 * 4 < 256  # and its tensor's entry
