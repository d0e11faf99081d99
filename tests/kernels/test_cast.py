"""Conversions between element types, and where models of half precision round."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.kernels.support import NUMBERS, parse, run_everywhere, same_bits

RNG = np.random.default_rng(12)

CASTS = (*NUMBERS, np.dtype(bool), np.dtype("f2"), np.dtype(ml_dtypes.bfloat16))


@pytest.mark.parametrize("source", [d for d in CASTS if d.name != "bfloat16"], ids=str)
def test_cast_to_every_type(source: np.dtype, tmp_path: Path) -> None:
    """Of values that both types hold, or that round."""
    x = np.arange(120).astype(source)
    if source.kind == "f":
        x = np.concatenate([x, x[:60] + source.type(0.4)])
    if source.kind in "if":
        x = np.concatenate([x, -x])
    nodes = [helper.make_node("Cast", ["x"], [d.name], to=helper.np_dtype_to_tensor_dtype(d)) for d in CASTS]
    outputs = [helper.make_tensor_value_info(d.name, helper.np_dtype_to_tensor_dtype(d), ["n"]) for d in CASTS]
    info = helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(source), ["n"])
    model = helper.make_model(
        helper.make_graph(nodes, "g", [info], outputs), opset_imports=[helper.make_opsetid("", 18)], ir_version=9
    )
    for target, ours in zip(CASTS, run_everywhere(model, [x], tmp_path), strict=True):
        fits = (x >= 0) | (target.kind != "u") | (source.kind != "f")
        want = np.where(fits, x, 0).astype(target)  # floats saturate
        if target.name == "bfloat16":
            want = x.astype(np.float32).astype(target).view(np.uint16)
        assert same_bits(ours, want), target


def _half(target: str, source: str, n: int) -> onnx.ModelProto:
    codes = {"float": TensorProto.FLOAT, "double": TensorProto.DOUBLE, "float16": TensorProto.FLOAT16}
    codes["bfloat16"] = TensorProto.BFLOAT16
    return parse(f"g ({source}[{n}] x) => ({target}[{n}] y) {{ y = Cast<to={codes[target]}>(x) }}")


def test_every_float16(tmp_path: Path) -> None:
    x = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    wide = run_everywhere(_half("float", "float16", x.size), [x], tmp_path)[0]
    assert same_bits(wide, x.astype(np.float32))
    assert same_bits(run_everywhere(_half("float16", "float", x.size), [wide], tmp_path)[0], x)


@pytest.mark.parametrize("source", ("float", "double"))
def test_half_types_round_to_nearest_even(source: str, tmp_path: Path) -> None:
    """Around every 97th float16: itself, the tie above it, and the neighbours of the tie."""
    dtype = np.dtype(np.float32 if source == "float" else np.float64)
    base = np.arange(0, 0x7BFF, 97, dtype=np.uint16)
    low, high = base.view(np.float16).astype("f8"), (base + 1).astype(np.uint16).view(np.float16).astype("f8")
    tie = ((low + high) / 2).astype(dtype)
    x = np.concatenate([low.astype(dtype), tie, np.nextafter(tie, dtype.type(0)), np.nextafter(tie, dtype.type(1e6))])
    x = np.concatenate([x, -x, np.array([65519, 65520, 1e30, np.inf, np.nan, 2**-25, 2**-24 * 0.6], dtype)])
    with np.errstate(over="ignore"):
        assert same_bits(run_everywhere(_half("float16", source, x.size), [x], tmp_path)[0], x.astype(np.float16))
    got = run_everywhere(_half("bfloat16", source, x.size), [x], tmp_path)[0]
    finite = ~np.isnan(x)
    want = x.astype(np.float32).astype(ml_dtypes.bfloat16).view(np.uint16)
    if source == "double":  # rounded once: a float32 on the way must not make a tie
        want = np.where(x.astype(np.float32).astype(dtype) == x, want, got)
    np.testing.assert_array_equal(got[finite], want[finite])
    assert (got[~finite] & 0x7FC0 == 0x7FC0).all()


def test_a_double_is_rounded_once(tmp_path: Path) -> None:
    """1 + 2^-11 + 2^-40 lies above a tie of float16, which rounding to float32 first would hit."""
    x = np.array([1 + 2.0**-11 + 2.0**-40, 1 + 2.0**-8 + 2.0**-40, -(1 + 2.0**-11 + 2.0**-40)])
    half = run_everywhere(_half("float16", "double", 3), [x], tmp_path)[0]
    np.testing.assert_array_equal(half.view(np.uint16)[[0, 2]], [0x3C01, 0xBC01])
    assert run_everywhere(_half("bfloat16", "double", 3), [x], tmp_path)[0][1] == 0x3F81


def test_floats_saturate_in_integers(tmp_path: Path) -> None:
    x = np.array([np.nan, np.inf, -np.inf, 3e38, -1.5, 300.7, 2147483647.0, -2147483648.0], np.float32)
    names = {"uint8": 2, "int8": 3, "int32": 6, "int64": 7, "uint64": 13}
    outputs = ", ".join(f"{name}[n] y{name}" for name in names)
    nodes = " ".join(f"y{name} = Cast<to={code}>(x)" for name, code in names.items())
    got = run_everywhere(parse(f"g (float[n] x) => ({outputs}) {{ {nodes} }}"), [x], tmp_path)
    for name, ours in zip(names, got, strict=True):
        limits = np.iinfo(name)
        want = [0 if v != v else max(limits.min, min(limits.max, int(np.clip(v, -1e30, 1e30)))) for v in x.tolist()]
        np.testing.assert_array_equal(ours, np.array(want, name))


def test_bits_as_another_type(tmp_path: Path) -> None:
    x = RNG.normal(size=9).astype(np.float32)
    model = parse("g (float[9] x) => (int32[9] y) { y = BitCast<to=6>(x) }", opset=26, ir_version=13)
    np.testing.assert_array_equal(run_everywhere(model, [x], tmp_path)[0], x.view(np.int32))


def test_float16_operators_are_rounded_at_the_output_alone(tmp_path: Path) -> None:
    text = "g (float16[n] x, float16[n] z) => (float16[n] y) { a = Mul(x, z) b = Mul(a, x) y = Add(b, z) }"
    x, z = (RNG.normal(size=77).astype(np.float16) for _ in range(2))
    got = run_everywhere(parse(text), [x, z], tmp_path)[0]
    wide, other = x.astype("f4"), z.astype("f4")
    assert same_bits(got, (wide * other * wide + other).astype("f2"))


def test_float16_in_a_body_is_rounded_at_its_outputs(tmp_path: Path) -> None:
    text = """g (float16[n] x, float16[n] z, bool c) => (float16[n] y) { a = Mul(x, z) b = If (c) <
        then_branch = t () => (float16[n] p) { q = Mul(a, z) p = Mul(q, x) },
        else_branch = e () => (float16[n] r) { r = Neg(x) }> y = Mul(b, x) }"""
    x, z = (RNG.normal(size=77).astype(np.float16) for _ in range(2))
    got = run_everywhere(parse(text), [x, z, np.array(True)], tmp_path)[0]
    wide, other = x.astype("f4"), z.astype("f4")
    given = (wide * other).astype("f2").astype("f4")
    made = (given * other * wide).astype("f2").astype("f4")
    assert same_bits(got, (made * wide).astype("f2"))


def test_bfloat16_inputs_are_their_bits(tmp_path: Path) -> None:
    x = RNG.normal(size=21).astype(ml_dtypes.bfloat16)
    text = "g (bfloat16[21] x) => (bfloat16[21] y, float[21] z) { y = Mul(x, x) z = Cast<to=1>(x) }"
    product, wide = run_everywhere(parse(text), [x.view(np.uint16)], tmp_path)
    assert same_bits(wide, x.astype(np.float32))
    want = (x.astype(np.float32) * x.astype(np.float32)).astype(ml_dtypes.bfloat16)
    np.testing.assert_array_equal(product, want.view(np.uint16))
