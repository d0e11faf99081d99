"""Products of dynamically quantised tensors become one node of the plan; near misses stay."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest

from edgeort import InferenceSession
from edgeort.lowering import lower
from edgeort.passes import PassContext, run_passes
from edgeort.passes.recognise_dynamic_products import recognise_dynamic_products
from tests.contract.engines import THREADS, int8_levels
from tests.kernels.support import same_bits
from tests.passes.harness import counts, model_of

RNG = np.random.default_rng(5)
PRODUCT = """g (float[M, 37] x) => (float[M, 21] y) {
    q, r, z = DynamicQuantizeLinear (x) p = MatMulInteger (q, w, z, zw) a = Cast <to = 1> (p) f = Mul (r, s)
    n = Mul (a, f) y = Add (n, b) }"""


def constants(dtype: str, zero: int | list[int], scales: int) -> dict[str, np.ndarray]:
    """Weights of all values of the type, their zero points, so many scales, and a bias."""
    limits = np.iinfo(dtype)
    return {
        "w": RNG.integers(limits.min, limits.max + 1, (37, 21)).astype(dtype),
        "zw": np.array(zero, dtype),
        "s": RNG.uniform(1e-3, 1e-2, scales).astype(np.float32),
        "b": RNG.standard_normal(21).astype(np.float32),
    }


def rows(m: int) -> np.ndarray:
    """Rows of many sizes."""
    return (RNG.standard_normal((m, 37)) * RNG.uniform(0.1, 3, (m, 1))).astype(np.float32)


@pytest.mark.parametrize(
    ("dtype", "zero", "scales"),
    [("int8", 0, 1), ("int8", 0, 21), ("uint8", 128, 1), ("uint8", 117, 1), ("uint8", 0, 21), ("int8", -5, 1)],
)
def test_against_onnxruntime_at_every_level(dtype: str, zero: int, scales: int, tmp_path: Path) -> None:
    proto = ir.to_proto(model_of(PRODUCT, weights=constants(dtype, zero, scales)))
    path = tmp_path / "model.onnx"
    onnx.save(proto, path)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    theirs = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    sessions = [InferenceSession(path, threads=n, isa=level) for level in int8_levels() for n in THREADS]
    for x in (rows(1), rows(7), rows(40), np.zeros((3, 37), np.float32), np.abs(rows(5)), -np.abs(rows(5))):
        got = [session.run(None, {"x": x})[0] for session in sessions]
        assert all(same_bits(got[0], other) for other in got)
        if x.any():  # of zeros alone ONNX Runtime's scale is 1, by the definition none
            np.testing.assert_allclose(got[0], theirs.run(None, {"x": x})[0], rtol=1e-5, atol=1e-5)
        else:
            np.testing.assert_array_equal(got[0], np.broadcast_to(_bias(proto), (3, 21)))


def _bias(proto: onnx.ModelProto) -> np.ndarray:
    return next(onnx.numpy_helper.to_array(t) for t in proto.graph.initializer if t.name == "b")


def test_it_is_one_node_of_the_plan() -> None:
    model = model_of(PRODUCT, weights=constants("uint8", 117, 21))
    run_passes(model, PassContext())
    assert [node.op for node in lower(model).nodes] == ["DynamicQGemm"]


@pytest.mark.parametrize(
    ("change", "to"),
    [
        ("MatMulInteger (q, w, z, zw)", "MatMulInteger (q, w, , zw)"),  # the zero point of x is left out
        ("Cast <to = 1> (p)", "Cast <to = 11> (p) a = Cast <to = 1> (p2)"),
        ("Mul (r, s)", "Mul (s, s)"),
        ("n = Mul (a, f)", "m = Neg (a) k = Mul (m, f) n = Mul (a, k)"),  # the integers are used elsewhere
    ],
)
def test_near_misses(change: str, to: str) -> None:
    text = PRODUCT.replace(change, to).replace("a = Cast <to = 11>", "p2 = Cast <to = 11>")
    model = model_of(text, weights=constants("int8", 0, 1))
    ctx = PassContext()
    assert recognise_dynamic_products(model, ctx) == 0
    assert counts(model)["MatMulInteger"] == 1


def test_scales_of_more_dimensions_stay() -> None:
    """The result has them, too."""
    weights = constants("int8", 0, 21)
    weights["s"] = weights["s"].reshape(1, 1, 21)
    model = model_of(PRODUCT.replace("float[M, 21] y", "float[1, M, 21] y"), weights=weights)
    assert recognise_dynamic_products(model, PassContext()) == 0
    x = RNG.standard_normal((5, 37)).astype(np.float32)
    assert InferenceSession(ir.to_proto(model).SerializeToString()).run(None, {"x": x})[0].shape == (1, 5, 21)


def test_weights_that_int8_cannot_hold_say_so() -> None:
    zeros = [*range(10), *range(240, 251)]
    model = model_of(PRODUCT, weights=constants("uint8", zeros, 21))
    ctx = PassContext()
    assert recognise_dynamic_products(model, ctx) == 0
    assert "do not fit int8" in str(ctx.log[0])
