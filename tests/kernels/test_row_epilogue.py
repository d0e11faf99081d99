"""Row epilogues: norms on the rows of the product before them have the reference's bits, in as little memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgeort.engine import Engine
from tests.kernels.support import LEVELS, engine, parse, same_bits
from tests.reference import library

RNG = np.random.default_rng(5)
NORM = "l = LayerNormalization <epsilon = 0.01> (y, scale, shift)"


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(0.3, 1, shape).astype(np.float32)


def operands(k: int, n: int) -> dict[str, np.ndarray]:
    return {"w": normal(k, n), "scale": normal(n), "shift": normal(n)}


def norm(x: np.ndarray, constants: dict[str, np.ndarray]) -> np.ndarray:
    return library().layer_norm(x, constants["scale"], constants["shift"], 0.01)


def opened(model: onnx.ModelProto, folder: Path) -> list[Engine]:
    """At every ISA level of this CPU, with one to four threads."""
    has_v4 = "avx512f" in Path("/proc/cpuinfo").read_text()
    levels = [isa for isa in LEVELS if isa != "v4" or has_v4]
    return [engine(model, folder, threads=threads, isa=isa) for isa in levels for threads in (1, 2, 3, 4)]


def check(
    model: onnx.ModelProto,
    inputs: Sequence[np.ndarray],
    expected: Sequence[np.ndarray],
    folder: Path,
    *,
    alone: int,
) -> None:
    """The outputs everywhere, twice: counts of tasks begin anew. `alone`: norms that are no row epilogue."""
    for ours in opened(model, folder):
        for _ in range(2):
            for got, want in zip(ours.run(inputs), expected, strict=True):
                assert same_bits(got, want), f"{ours.stats.threads} threads, {ours.stats.isa}"
        assert sum("Norm" in node.op and not node.skipped for node in ours.nodes) == alone


# Few columns: tasks are whole rows. Many: several tasks share them. Few rows, many weights: neighbours share columns.
@pytest.mark.parametrize(
    ("rows", "k", "n"), [(1, 3, 1), (37, 20, 19), (67, 33, 48), (13, 16, 300), (40, 64, 515), (16, 384, 384)]
)
def test_a_norm_follows_its_product(rows: int, k: int, n: int, tmp_path: Path) -> None:
    constants, x, r = operands(k, n), normal(rows, k), normal(rows, n)
    model = parse(
        f"""g (float[{rows}, {k}] x, float[{rows}, {n}] r) => (float[{rows}, {n}] y, float[{rows}, {n}] l) {{
            m = MatMul (x, w) y = Add (m, r) {NORM} }}""",
        constants,
    )
    y = library().gemm(x, constants["w"]) + r
    check(model, [x, r], [y, norm(y, constants)], tmp_path, alone=0)


@pytest.mark.parametrize(("rows", "k", "n"), [(37, 20, 19), (13, 16, 300)])
def test_a_norm_follows_a_product_of_bytes(rows: int, k: int, n: int, tmp_path: Path) -> None:
    constants, x = operands(k, n), normal(rows, k)
    constants["w"] = RNG.integers(-127, 128, (k, n)).astype(np.int8)
    model = parse(
        f"""g (float[{rows}, {k}] x) => (float[{rows}, {n}] y, float[{rows}, {n}] l)
            <float xs = {{0.03}}, uint8 xz = {{90}}, float ws = {{0.01}}, int8 wz = {{0}}> {{
            q = QuantizeLinear (x, xs, xz) d = DequantizeLinear (q, xs, xz) v = DequantizeLinear (w, ws, wz)
            y = MatMul (d, v) {NORM} }}""",
        constants,
    )
    y = engine(model, tmp_path).run([x])[0]
    check(model, [x], [y, norm(y, constants)], tmp_path, alone=0)


def test_a_root_mean_square_norm_follows_too(tmp_path: Path) -> None:
    constants, x = {"w": normal(20, 33), "scale": normal(33)}, normal(2, 21, 20)
    text = """g (float[2, 21, 20] x) => (float[2, 21, 33] l) {
        y = MatMul (x, w) l = RMSNormalization <epsilon = 0.01> (y, scale) }"""
    want = library().rms_norm(library().gemm(x.reshape(42, 20), constants["w"]), constants["scale"], 0.01)
    check(parse(text, constants, 10, 23), [x], [want.reshape(2, 21, 33)], tmp_path, alone=0)


def test_a_product_that_others_read_before_its_norm_is_not_overwritten(tmp_path: Path) -> None:
    constants, x = operands(24, 40), normal(30, 24)
    text = f"""g (float[30, 24] x) => (float[30, 3] t, float[30, 40] l) {{
        y = MatMul (x, w) s = Softmax (y) t = MatMul (s, v) {NORM} }}"""
    v = normal(40, 3)
    y = library().gemm(x, constants["w"])
    t = library().gemm(library().softmax(y), v)
    check(parse(text, {**constants, "v": v}), [x], [t, norm(y, constants)], tmp_path, alone=0)


def test_only_the_first_of_two_norms_follows(tmp_path: Path) -> None:
    constants, x = operands(24, 40), normal(30, 24)
    text = f"""g (float[30, 24] x) => (float[30, 40] l, float[30, 40] o) {{
        y = MatMul (x, w) {NORM} o = LayerNormalization <epsilon = 0.01> (y, shift, scale) }}"""
    y = library().gemm(x, constants["w"])
    other = library().layer_norm(y, constants["shift"], constants["scale"], 0.01)
    check(parse(text, constants), [x], [norm(y, constants), other], tmp_path, alone=1)


def test_a_norm_waits_for_a_scale_that_is_computed_later(tmp_path: Path) -> None:
    constants, x, s = operands(24, 40), normal(30, 24), normal(40)
    text = f"""g (float[30, 24] x, float[40] s) => (float[30, 40] l) {{
        y = MatMul (x, w) scale = Softmax (s) {NORM} }}"""
    del constants["scale"]
    y = library().gemm(x, constants["w"])
    want = norm(y, {**constants, "scale": library().softmax(s)})
    check(parse(text, constants), [x, s], [want], tmp_path, alone=1)


def test_a_norm_over_more_than_rows_runs_alone(tmp_path: Path) -> None:
    constants, x = operands(24, 40), normal(3, 10, 24)
    constants |= {"scale": normal(10, 40), "shift": normal(10, 40)}
    text = """g (float[3, 10, 24] x) => (float[3, 10, 40] l) {
        y = MatMul (x, w) l = LayerNormalization <axis = 1, epsilon = 0.01> (y, scale, shift) }"""
    y = library().gemm(x.reshape(30, 24), constants["w"]).reshape(3, 400)
    want = library().layer_norm(y, constants["scale"].ravel(), constants["shift"].ravel(), 0.01).reshape(3, 10, 40)
    check(parse(text, constants), [x], [want], tmp_path, alone=1)


@pytest.mark.parametrize("square", [False, True])
def test_a_norm_takes_the_place_of_a_residual_that_nobody_reads_again(square: bool, tmp_path: Path) -> None:
    """`square`: the residual is also what the product multiplies."""
    rows, n = 64, 256
    constants, x, r = operands(n, n), normal(rows, n), normal(rows, n)
    residual = "a" if square else "b"
    text = f"""g (float[{rows}, {n}] x, float[{rows}, {n}] r) => (float[{rows}, {n}] z) {{
        a = Softmax (x) b = Softmax (r) m = MatMul (a, w) y = Add (m, {residual}) {NORM} z = Add (l, y) }}"""
    a, b = library().softmax(x), library().softmax(r)
    y = library().gemm(a, constants["w"]) + (a if square else b)
    model = parse(text, constants)
    check(model, [x, r], [norm(y, constants) + y], tmp_path, alone=0)
    ours = engine(model, tmp_path)
    ours.run([x, r])
    # The norm is computed while the product still has all of its operands, but needs no memory of its own.
    assert ours.stats.arena_bytes < (2.5 if square else 3.5) * y.nbytes


def test_a_product_without_rows(tmp_path: Path) -> None:
    constants = operands(5, 7)
    model = parse(f"g (float[0, 5] x) => (float[0, 7] l) {{ y = MatMul (x, w) {NORM} }}", constants)
    check(model, [normal(0, 5)], [normal(0, 7)], tmp_path, alone=1)


def test_a_product_without_columns_whose_rows_have_means(tmp_path: Path) -> None:
    constants = operands(5, 0)
    text = """g (float[3, 5] x) => (float[3, 0] l, float[3, 1] mean) {
        y = MatMul (x, w) l, mean = LayerNormalization <epsilon = 0.01> (y, scale, shift) }"""
    want = [normal(3, 0), np.full((3, 1), np.nan, np.float32)]
    check(parse(text, constants), [normal(3, 5)], want, tmp_path, alone=1)
