"""What spell_out_quantisation makes of conversions and products of integers that programs do not know."""

from __future__ import annotations

import numpy as np
import pytest

from edgeort.passes.fold_dequantized import fold_dequantized
from edgeort.passes.quantised import dequantized_constant
from edgeort.passes.spell_out_quantisation import spell_out_quantisation
from tests.passes.harness import check, counts, model_of, run


@pytest.mark.parametrize(
    "node",
    [
        "q = QuantizeLinear <axis = 1> (x, each, zeros) y = DequantizeLinear <axis = 1> (q, each, zeros)",
        "q, qs, qz = DynamicQuantizeLinear (x) y = DequantizeLinear (q, qs, qz)",
    ],
)
def test_scales_that_programs_do_not_know_are_spelt_out(node: str) -> None:
    text = f"""g (float[2,4,6,6] x) => (float[A,B,C,D] y) <float[4] each = {{0.03, 0.04, 0.05, 0.0625}},
      uint8[4] zeros = {{120, 128, 7, 255}}> {{ {node} }}"""
    model, count = run(model_of(text), spell_out_quantisation)
    assert count == 2 and not {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"} & set(counts(model))


@pytest.mark.parametrize(
    ("rest", "types", "spelt"),
    [
        ("y = Cast <to = 1> (p)", "float[A,B,C,D] y", 1),
        ("s = Add (p, b) y = Cast <to = 1> (s)", "float[A,B,C,D] y", 1),
        ("s = Add (b, p) y = Cast <to = 1> (s) r = Neg (s)", "float[A,B,C,D] y, int32[A,B,C,D] r", 0),
        ("y = Add (p, b)", "int32[A,B,C,D] y", 0),
    ],
)
def test_sums_of_integers_that_become_floats(rest: str, types: str, spelt: int) -> None:
    """They are beyond what float32 counts exactly; a bias may come between."""
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.integers(-127, 128, (3, 64, 3, 3)).astype(np.int8),
        "b": rng.integers(-900, 900, (3, 1, 1)).astype(np.int32),
    }
    text = f"""g (uint8[1,64,6,6] x) => ({types}) <uint8 z = {{121}}, int8 n = {{0}}> {{
      p = ConvInteger <pads = [1, 1, 1, 1]> (x, w, z, n) {rest} }}"""
    read = {name: array for name, array in weights.items() if name == "w" or "b" in rest}
    model, count = run(model_of(text, weights=read), spell_out_quantisation)
    assert count == spelt and ("ConvInteger" in counts(model)) == (not spelt)


@pytest.mark.parametrize(("zero", "kind"), [((), "int8"), ((7,), "uint8"), ((3, 0, 250, 128, 9), "uint8")])
@pytest.mark.parametrize("opset", [11, 17])
def test_weights_of_integer_products_stay_integers(zero: tuple[int, ...], kind: str, opset: int) -> None:
    """Computed, they would be widened and packed in each run."""
    weights = {"w": np.random.default_rng(0).integers(-9, 120, (8, 5)).astype(kind)}
    weights |= {"n": np.array(zero if len(zero) > 1 else zero[0], kind)} if zero else {}
    text = f"""g (uint8[3,8] x) => (float[A,B] y) <uint8 z = {{121}}> {{
      p = MatMulInteger (x, w, z{", n" if zero else ""}) y = Cast <to = 1> (p) }}"""
    model, count = run(model_of(text, opset=opset, weights=weights), spell_out_quantisation)
    assert count == 1 and counts(model).get("DequantizeLinear", 0) == (len(zero) < 2 or opset >= 13)


@pytest.mark.parametrize(("size", "spelt"), [(200, 1), (300, 0)])
def test_products_of_integers_and_a_vector_are_exact(size: int, spelt: int) -> None:
    text = f"g (uint8[3,{size}] x) => (int32[A] y) {{ y = MatMulInteger (x, w) }}"
    model = model_of(text, weights={"w": np.full(size, 255, np.uint8)})
    assert run(model, spell_out_quantisation)[1] == spelt


@pytest.mark.parametrize("points", [(), (1,)])
def test_weights_of_batched_integer_products_are_float32(points: tuple[int, ...]) -> None:
    """Which nothing computes in each run."""
    rng = np.random.default_rng(0)
    weights = {"w": rng.integers(0, 256, (2, 8, 5)).astype(np.uint8)}
    text = """g (uint8[3,8] x) => (int32[A,B,C] y) <uint8 z = {121}> { y = MatMulInteger (x, w, z, n) }"""
    if points:
        weights["n"] = rng.integers(0, 256, points).astype(np.uint8)
    else:
        text = text.replace(", n", "")
    model, count = run(model_of(text, weights=weights), spell_out_quantisation)
    assert count == 1
    (product,) = (node for node in model.graph if node.op_type == "MatMul")
    assert product.inputs[1].const_value is not None
    want = weights["w"].astype(np.float32) - weights.get("n", np.zeros((), np.uint8)).astype(np.float32)
    np.testing.assert_array_equal(product.inputs[1].const_value.numpy(), want)


def test_an_integer_product_without_columns() -> None:
    """And so without zero points, which are one a column."""
    weights = {"w": np.zeros((8, 0), np.int8), "n": np.zeros(0, np.int8)}
    text = """g (uint8[3,8] x) => (int32[A,B] y) <uint8 z = {121}> { y = MatMulInteger (x, w, z, n) }"""
    model, _ = check(model_of(text, weights=weights), (spell_out_quantisation, fold_dequantized))
    (node,) = (node for node in model.graph if node.op_type == "DequantizeLinear")
    stored = dequantized_constant(node.outputs[0])
    assert stored is not None and stored.numbers.shape == (8, 0)


def test_a_sum_that_is_added_to_itself_is_looked_at_once() -> None:
    """Not along each of the ways through it, which are 2 to the number of sums."""
    sums = " ".join(f"p{i + 1} = Add (p{i}, p{i})" for i in range(64))
    text = f"""g (uint8[1,64,6,6] x) => (float[A,B,C,D] y) <uint8 z = {{121}}, int8 n = {{0}}> {{
      p0 = ConvInteger (x, w, z, n) {sums} y = Cast <to = 1> (p64) }}"""
    weights = {"w": np.full((3, 64, 3, 3), 127, np.int8)}
    assert run(model_of(text, weights=weights), spell_out_quantisation)[1] == 1


WIDE = """g (float[2,4,6,6] x) => ({types}) <float s = {{0.0003}}, float t = {{0.0004}}, {kind} z = {{{zero}}},
  float[4] each = {{0.0003, 0.0004, 0.0005, 0.000625}}, {kind}[4] zeros = {{0, 7, 100, {zero}}}> {{ {nodes} }}"""


@pytest.mark.parametrize(
    ("nodes", "types", "casts"),
    [
        ("q = QuantizeLinear (x, s, z) y = DequantizeLinear (q, s, z)", "float[A,B,C,D] y", 0),
        ("q = QuantizeLinear (x, s, z) d = DequantizeLinear (q, t, z) y = Relu (d)", "float[A,B,C,D] y", 0),
        ("q = QuantizeLinear (x, s, z) y = DequantizeLinear (q, s, z) m = DequantizeLinear (q, t, z)",
         "float[A,B,C,D] y, float[A,B,C,D] m", 0),
        ("q = QuantizeLinear <axis = 1> (x, each, zeros) y = DequantizeLinear <axis = 1> (q, each, zeros)",
         "float[A,B,C,D] y", 0),
        ("q = QuantizeLinear (x, s, z) f = Flatten (q) y = DequantizeLinear (f, s, z)", "float[A,B] y", 2),
        ("q = QuantizeLinear (x, s, z) y = DequantizeLinear (q, s, z)", "float[A,B,C,D] y, {kind}[A,B,C,D] q", 2),
    ],
)  # fmt: skip
@pytest.mark.parametrize(("kind", "zero"), [("uint16", 40000), ("int16", -1200)])
def test_sixteen_bits_that_are_only_restored_are_one_program(
    nodes: str, types: str, casts: int, kind: str, zero: int
) -> None:
    text = WIDE.format(types=types.format(kind=kind), kind=kind, zero=zero, nodes=nodes)
    model, count = run(model_of(text, opset=21), spell_out_quantisation)
    assert count == 2 + nodes.count("m =") and counts(model)["Cast"] == casts
    assert not {"QuantizeLinear", "DequantizeLinear"} & set(counts(model))
