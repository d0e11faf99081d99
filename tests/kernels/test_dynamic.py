"""DynamicQGemm: rows quantised as the model runs, bit for bit as the definition says; and the function itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest

from edgeort import InferenceSession, toolchain
from edgeort.lowering import lower
from edgeort.model import clean, dynamic_products
from edgeort.passes import PassContext, run_passes
from tests.contract.engines import HOST, THREADS, int8_levels
from tests.contract.test_emulated import ARM, bench, qemu
from tests.kernels.qgemm.support import CORES
from tests.reference import library

SHAPES = [(1, 1, 1), (1, 3, 5), (7, 37, 33), (13, 64, 16), (2, 130, 100), (50, 1, 17)]  # rows, k, columns


def reference(x: np.ndarray, w: np.ndarray, s: np.ndarray) -> np.ndarray:
    """The definition (edgeort/model/dynamic_products.py) in NumPy; the sums are exact."""
    f = np.float32
    low, high = np.minimum(x.min(-1, keepdims=True), f(0)), np.maximum(x.max(-1, keepdims=True), f(0))
    r = np.maximum((high - low) / f(255), np.finfo(f).tiny)
    i = f(1) / r
    z = np.rint(-low * i)
    q = np.clip(np.rint(x * i) + z, f(0), f(255))
    acc = (q.astype(np.float64) - z) @ w.astype(np.float64)
    return (acc.astype(f) * s) * r


def model(w: np.ndarray, s: np.ndarray, tail: str = "y = Identity(p)", opset: int = 18) -> ir.Model:
    """x -> DynamicQuantMatMul -> p -> `tail` -> y, where `tail` may read the bias b."""
    k, n = w.shape
    text = f"""<ir_version: 9, opset_import: ["": {opset}, "edgeort": 1]>
    g (float[b, m, {k}] x) => (float[b, m, {n}] y) {{ p = edgeort.DynamicQuantMatMul(x, w, s) {tail} }}"""
    proto = onnx.parser.parse_model(text)
    bias = np.linspace(-1, 1, n, dtype=np.float32)
    tensors = {"w": w, "s": s, "b": bias}
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in tensors.items())
    made = ir.from_proto(proto)
    dynamic_products.add_function(made)
    return made


def constants(k: int, n: int, least: int = -127) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(k * n)
    w = rng.integers(least, 128, (k, n)).astype(np.int8)
    w[rng.random(w.shape) < 0.2] = least
    return w, rng.uniform(1e-3, 1e-2, n).astype(np.float32)


def rows(m: int, k: int) -> np.ndarray:
    """Rows of many sizes, of one sign, and of zeros."""
    rng = np.random.default_rng(m + k)
    x = rng.standard_normal((2, m, k)) * rng.uniform(1e-3, 1e3, (2, m, 1)) + rng.standard_normal((2, m, 1))
    x[0, ::3] = np.abs(x[0, ::3])
    x[1, ::4] = -np.abs(x[1, ::4])
    x[1, 1::5] = 0
    return x.astype(np.float32)


def results(made: ir.Model, x: np.ndarray, path: Path) -> dict[str, np.ndarray]:
    ir.save(made, path)
    assert any(op == "DynamicQGemm" for op in lowered(made))
    found = {}
    for level in int8_levels():
        for threads in THREADS:
            session = InferenceSession(path, threads=threads, isa=level)
            found[f"{level}, {threads} threads"] = session.run(None, {"x": x})[0]
    return found


def lowered(made: ir.Model) -> list[str]:
    """The operators of its plan."""
    cleaned = clean(made)
    run_passes(cleaned, PassContext())
    return [node.op for node in lower(cleaned).nodes]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("least", [-127, -128])
def test_against_the_definition(shape: tuple[int, int, int], least: int, tmp_path: Path) -> None:
    m, k, n = shape
    w, s = constants(k, n, least)
    x = rows(m, k)
    for where, got in results(model(w, s), x, tmp_path / "model.onnx").items():
        np.testing.assert_array_equal(got, reference(x, w, s), err_msg=where)


@pytest.mark.parametrize("infinite", [-np.inf, np.inf])
def test_a_row_with_an_infinity_has_no_result(infinite: float, tmp_path: Path) -> None:
    w, s = constants(37, 21)
    x = rows(5, 37)
    x[1, 2, 3] = infinite
    for where, got in results(model(w, s), x, tmp_path / "model.onnx").items():
        assert np.isnan(got[1, 2]).all() and np.isfinite(got).sum() == got.size - 21, where


@pytest.mark.parametrize("opset", [13, 17, 18, 21])
def test_as_onnxruntime_computes_the_body(opset: int, tmp_path: Path) -> None:
    w, s = constants(37, 21)
    x = rows(5, 37)
    path = tmp_path / "model.onnx"
    ir.save(model(w, s, opset=opset), path)
    want = ort.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    np.testing.assert_array_equal(InferenceSession(path).run(None, {"x": x})[0], want)


def test_programs_follow_in_the_same_node(tmp_path: Path) -> None:
    w, s = constants(40, 24)
    made = model(w, s, "h = Add(p, b) y = Relu(h)")
    assert lowered(made) == ["DynamicQGemm"]
    x = rows(9, 40)
    want = np.maximum(reference(x, w, s) + np.linspace(-1, 1, 24, dtype=np.float32), 0)
    for where, got in results(made, x, tmp_path / "model.onnx").items():
        np.testing.assert_array_equal(got, want, err_msg=where)


def test_a_norm_runs_on_rows_as_they_are_made(tmp_path: Path) -> None:
    w, s = constants(40, 200)
    made = model(w, s, "h = Add(p, b) g = Add(h, h) y = LayerNormalization<epsilon=0.01>(g, b, b)")
    assert lowered(made) == ["DynamicQGemm", "LayerNorm"]
    x, bias = rows(33, 40), np.linspace(-1, 1, 200, dtype=np.float32)
    h = reference(x, w, s) + bias
    want = library().layer_norm((h + h).reshape(-1, 200), bias, bias, 0.01).reshape(h.shape)
    for where, got in results(made, x, tmp_path / "model.onnx").items():
        np.testing.assert_array_equal(got, want, err_msg=where)
    session = InferenceSession(tmp_path / "model.onnx", threads=2)
    session.run(None, {"x": x})
    assert [node.skipped for node in session.nodes] == [False, True]


def test_another_function_of_that_name_is_what_its_body_says(tmp_path: Path) -> None:
    w, s = constants(6, 4)
    made = model(w, s)
    function = made.functions[(dynamic_products.DOMAIN, dynamic_products.NAME, "")]
    last = next(node for node in function if node.outputs[0] is function.outputs[0])
    last.op_type = "Add"
    assert not dynamic_products.is_known(function)
    assert "DynamicQGemm" not in lowered(made)
    path = tmp_path / "model.onnx"
    ir.save(made, path)
    x = rows(3, 6)
    want = ort.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    np.testing.assert_allclose(InferenceSession(path).run(None, {"x": x})[0], want, rtol=1e-6)


def test_renamed_values_are_the_same_function() -> None:
    w, s = constants(6, 4)
    function = model(w, s).functions[(dynamic_products.DOMAIN, dynamic_products.NAME, "")]
    for node in function:
        for value in node.outputs:
            value.name = f"other_{value.name}"
    assert dynamic_products.is_known(function)


@pytest.mark.slow
@pytest.mark.parametrize("least", [-127, -128])
def test_emulated(least: int, tmp_path: Path) -> None:
    w, s = constants(38, 27, least)
    made = clean(model(w, s, "y = Add(p, b)"))
    run_passes(made, PassContext())
    plan = lower(made)
    path = tmp_path / "model.plan"
    path.write_bytes(plan.to_bytes())
    commands = [[toolchain.harness(HOST, plan.ops)]]
    commands += [[qemu(), "-cpu", core, toolchain.harness(ARM, plan.ops)] for core in CORES]
    found = {
        str(c[:-1]): bench(c, path, "--shape", "x=2x7x38", threads=threads) for c in commands for threads in (1, 2)
    }
    assert len(set(found.values())) == 1, found
