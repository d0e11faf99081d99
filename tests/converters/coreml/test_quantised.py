"""Quantised models: W8A8 by pairs, int8 weights alone, what older systems make of them, compressed weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgeort.converters import coreml
from edgeort.errors import UnsupportedError
from tests.converters.coreml.evaluator import Program
from tests.converters.coreml.support import Graph, check, cleaned, evaluate, reference

W8A8 = coreml.Options(precision="float32", min_os="17.0")


def pair(graph: Graph, x: str, scale: float, zero_point: np.ndarray) -> str:
    quantised = graph.add("QuantizeLinear", x, np.float32(scale), zero_point)
    return graph.add("DequantizeLinear", quantised, np.float32(scale), zero_point)


def stored(graph: Graph, rng: np.random.Generator, *shape: int, axis: int = 0) -> str:
    data = rng.integers(-127, 128, shape).astype(np.int8)
    scale = (rng.random(shape[axis]) * 0.02 + 0.001).astype(np.float32)
    return graph.add("DequantizeLinear", data, scale, np.zeros(shape[axis], np.int8), axis=axis)


def network(rng: np.random.Generator, opset: int = 21) -> Graph:
    """A convolution, a product and a Gemm between pairs; weights by channel, biases int32."""
    graph = Graph({"x": rng.standard_normal((2, 3, 8, 8)).astype(np.float32)}, opset)
    x = pair(graph, "x", 0.03, np.uint8(121))
    bias = graph.add(
        "DequantizeLinear", rng.integers(-900, 900, 6).astype(np.int32), np.full(6, 0.0003, np.float32), axis=0
    )
    y = graph.add("Relu", graph.add("Conv", x, stored(graph, rng, 6, 3, 3, 3), bias, pads=[1, 1, 1, 1]))
    y = graph.add("GlobalAveragePool", pair(graph, y, 0.02, np.int8(-128)))
    y = pair(graph, graph.add("Flatten", y), 0.01, np.int8(-128))
    graph.add("Gemm", y, stored(graph, rng, 5, 6), None, transB=1)
    graph.add("MatMul", y, stored(graph, rng, 6, 4, axis=1))
    graph.outputs = [name for name in graph.outputs if name.startswith(("gemm", "matmul"))]
    return graph


def test_pairs_become_w8a8(rng: np.random.Generator, tmp_path: Path):
    graph = network(rng)
    package = check(graph, tmp_path, W8A8)
    found = Program(package.save(tmp_path / "again.mlpackage")).operations()
    assert [found.count(op) for op in ("quantize", "dequantize", "constexpr_affine_dequantize")] == [3, 3, 3]


def test_pairs_in_float16(rng: np.random.Generator, tmp_path: Path):
    check(network(rng), tmp_path, coreml.Options(min_os="17.0"), tolerance=0.02)


def test_activations_need_ios_17(rng: np.random.Generator, tmp_path: Path):
    model = cleaned(network(rng).proto(), tmp_path)
    for os, min_os, newer in (("ios", "15.0", "iOS 17"), ("macos", "13.0", "macOS 14")):
        options = coreml.Options(os=os, min_os=min_os)
        found = coreml.refusals(model, options)
        assert {node.op_type for node, _ in found} == {"QuantizeLinear"} and len(found) == 3
        assert all(f"(W8A8) needs {newer}" in reason for _, reason in found)
        with pytest.raises(UnsupportedError, match=f"QuantizeLinear.*needs {newer}.*min_os is {min_os}"):
            coreml.emit(model, options)


def test_weights_alone(rng: np.random.Generator, tmp_path: Path):
    """int8 on disk from iOS 16 on, float before, which is noted."""
    graph = Graph({"x": rng.standard_normal((2, 64, 5, 5)).astype(np.float32)})
    graph.add("Conv", "x", stored(graph, rng, 64, 64, 3, 3))
    graph.add("ConvTranspose", "x", stored(graph, rng, 64, 8, 3, 3))
    graph.outputs = graph.outputs[1::2]
    small = check(graph, tmp_path, coreml.Options(precision="float32", min_os="16.0"))
    large = check(graph, tmp_path, coreml.Options(precision="float32", min_os="15.0"))
    assert small.notes == () and "need iOS 16" in large.notes[0][1]
    assert len(large.weights) > 3.9 * len(small.weights)


def test_scales_too_small_for_float16(rng: np.random.Generator, tmp_path: Path):
    """Integers move to the next scale that float16 has: each weight is off by half a step at most, no channel is."""
    data = rng.integers(-127, 128, (4, 16, 3, 3)).astype(np.int8)
    scale = np.float32([1e-5, 2e-6, 7e-7, 1.3e-5])
    graph = Graph({"x": rng.standard_normal((1, 16, 6, 6)).astype(np.float32)})
    graph.add("Conv", "x", graph.add("DequantizeLinear", data, scale, axis=0))
    graph.outputs = graph.outputs[-1:]
    proto = graph.proto()
    package = coreml.emit(cleaned(proto, tmp_path), coreml.Options(min_os="16.0"))
    (found,), (want,) = evaluate(package, graph.feeds, tmp_path).values(), reference(proto, graph.feeds).values()
    assert package.notes == () and "constexpr_affine_dequantize" in Program(tmp_path / "model.mlpackage").operations()
    for channel in range(4):
        error = np.abs(found[:, channel] - want[:, channel]).max() / np.abs(want[:, channel]).max()
        assert error < 0.02, f"channel of scale {scale[channel]}"


def test_wide_activations_and_blocks_stay_float(rng: np.random.Generator, tmp_path: Path):
    graph = Graph({"x": rng.standard_normal((4, 8)).astype(np.float32) * 3}, opset=21)
    y = pair(graph, "x", 1e-4, np.int16(0))
    data, scale = rng.integers(-8, 8, (8, 6)), (rng.random((2, 6)) * 0.1).astype(np.float32)
    graph.constants.append(onnx.helper.make_tensor("w4", onnx.TensorProto.INT4, [8, 6], data.reshape(-1).tolist()))
    graph.add("MatMul", y, graph.add("DequantizeLinear", "w4", scale, axis=0, block_size=4))
    graph.outputs = graph.outputs[-1:]
    package = check(graph, tmp_path, W8A8, tolerance=1e-4)
    assert {text.split(",")[0] for _, text in package.notes} == {
        "int16 activations are computed as float", "weights with a scale for each block are stored as float"
    }  # fmt: skip


def test_tables_of_bytes(rng: np.random.Generator, tmp_path: Path):
    table = rng.integers(-127, 128, (300, 16)).astype(np.int8)
    scale = (rng.random((300, 1)) * 0.1).astype(np.float32)
    graph = Graph({"i": rng.integers(0, 300, (2, 7))})
    rows = graph.add("Cast", graph.add("Gather", table, "i"), to=1)
    graph.add("Mul", rows, graph.add("Gather", scale, "i"))
    direct = graph.add("Gather", table, "i")
    graph.add("DequantizeLinear", direct, np.float32(0.5), np.int8(3))
    graph.outputs = [name for name in graph.outputs if name.startswith(("mul", "dequant"))]
    check(graph, tmp_path, coreml.Options(precision="float32", min_os="16.0"))


def test_qlinear_operators(rng: np.random.Generator, tmp_path: Path):
    graph = Graph({"x": rng.standard_normal((1, 3, 6, 6)).astype(np.float32)})
    x = graph.add("QuantizeLinear", "x", np.float32(0.03), np.uint8(120))
    weights = rng.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8)
    scales = (np.float32(0.03), np.uint8(120), weights, np.float32(0.01), np.int8(0), np.float32(0.2), np.uint8(128))
    y = graph.add("QLinearConv", x, *scales)
    graph.add("DequantizeLinear", y, np.float32(0.2), np.uint8(128))
    graph.outputs = graph.outputs[-1:]
    check(graph, tmp_path, W8A8, tolerance=0.05)


@pytest.mark.parametrize(("weights", "share", "least_db"), [("int8", 0.55, 35), ("palette4", 0.35, 12)])
def test_compressed_weights(weights: str, share: float, least_db: float, rng: np.random.Generator, tmp_path: Path):
    graph = Graph({"x": rng.standard_normal((2, 64, 6, 6)).astype(np.float32)})
    y = graph.add("Relu", graph.add("Conv", "x", rng.standard_normal((96, 64, 3, 3)).astype(np.float32)))
    y = graph.add("Conv", y, rng.standard_normal((96, 1, 3, 3)).astype(np.float32), group=96, pads=[1, 1, 1, 1])
    graph.add("MatMul", graph.add("Flatten", y), rng.standard_normal((96 * 16, 10)).astype(np.float32))
    graph.outputs = graph.outputs[-1:]
    proto = graph.proto()
    model = cleaned(proto, tmp_path)
    plain, small = (coreml.emit(model, coreml.Options(min_os="16.0", weights=kind)) for kind in ("float", weights))
    assert small.size_bytes < share * plain.size_bytes
    (found,), (want,) = evaluate(small, graph.feeds, tmp_path).values(), reference(proto, graph.feeds).values()
    error = np.sum((found.astype(np.float64) - want) ** 2)
    assert 10 * np.log10(np.sum(want.astype(np.float64) ** 2) / error) > least_db


def test_compressed_weights_need_ios_16(rng: np.random.Generator, tmp_path: Path):
    model = cleaned(network(rng).proto(), tmp_path)
    with pytest.raises(UnsupportedError, match="int8 weights need iOS 16, and min_os is 15.0"):
        coreml.emit(model, coreml.Options(weights="int8"))
