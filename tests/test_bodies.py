"""Operators that run as bodies: ours against ONNX Runtime's kernels, and no operator of the standard forgotten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeort import lowering, model
from edgeort.lowering import program
from edgeort.model.bodies import BODIES, EXPANDED
from edgeort.passes import PassContext, run_passes
from tests.kernels.support import open_plan, reference

Array = np.ndarray
RNG = np.random.default_rng(0)


def real(*shape: int) -> Array:
    """Standard normal float32."""
    return RNG.standard_normal(shape).astype(np.float32)


def check(
    op: str,
    inputs: Sequence[Array | None],
    weights: Mapping[int, Array] | None = None,
    *,
    outputs: int = 1,
    tolerance: float = 2e-5,
    domain: str = "com.microsoft",
    folder: Path,
    opset: int = 17,
    **attributes: Any,
) -> None:
    """Runs one node, whose inputs at the positions of `weights` are constants, in ONNX Runtime and in ours."""
    values = {**{i: a for i, a in enumerate(inputs) if a is not None}, **(weights or {})}
    names = [f"x{i}" if i in values else "" for i in range(max(values) + 1)]
    node = helper.make_node(op, names, [f"y{i}" for i in range(outputs)], domain=domain, **attributes)
    infos = [
        helper.make_tensor_value_info(f"x{i}", helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for i, a in values.items()
        if i not in (weights or {})
    ]
    initializers = [numpy_helper.from_array(a, f"x{i}") for i, a in (weights or {}).items()]
    results = [helper.make_tensor_value_info(f"y{i}", TensorProto.UNDEFINED, None) for i in range(outputs)]
    graph = helper.make_graph([node], "g", infos, results, initializers)
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    proto = helper.make_model(graph, opset_imports=imports, ir_version=9)
    feeds = [values[int(info.name[1:])] for info in infos]
    wanted = reference(_typed(proto, feeds), feeds)
    path = folder / "model.onnx"
    onnx.save(proto, path)
    cleaned = model.clean(model.load(path))
    run_passes(cleaned, PassContext())
    got = open_plan(lowering.lower(cleaned), folder).run(feeds)
    for ours, want in zip(got, wanted, strict=True):
        assert ours.dtype == want.dtype and ours.shape == want.shape
        if want.dtype.kind in "iu":
            assert np.abs(ours.astype(int) - want.astype(int)).max() <= 1
        else:
            np.testing.assert_allclose(ours, want, rtol=tolerance, atol=tolerance)


def _typed(proto: onnx.ModelProto, feeds: Sequence[Array]) -> onnx.ModelProto:
    """Without element types for the outputs, which ONNX Runtime infers."""
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    for output in copy.graph.output:
        output.ClearField("type")
    return copy


def test_every_function_of_the_standard_has_a_kernel_or_runs_as_its_body() -> None:
    kernels = set(lowering.HANDLERS) | set(lowering.ANCHORS)
    kernels |= {("", name) for name in (*program.UNARY, *program.BINARY, "Clip")}
    spelt = {("", "DynamicQuantizeLinear")}  # by a pass
    latest = {(schema.domain, schema.name): schema for schema in onnx.defs.get_all_schemas()}
    for (domain, name), schema in latest.items():
        if schema.has_function or schema.has_context_dependent_function:
            assert name in EXPANDED.get(domain, ()) or (domain, name) in kernels | spelt | set(BODIES), (domain, name)


@pytest.mark.parametrize("opset", [13, 17])
def test_gelus(tmp_path: Path, opset: int) -> None:
    x, bias = 3 * real(2, 3, 5), real(5)
    check("Gelu", [x], folder=tmp_path, opset=opset)
    check("BiasGelu", [x], {1: bias}, folder=tmp_path, opset=opset)
    check("FastGelu", [x], folder=tmp_path, opset=opset)
    check("FastGelu", [x], {1: bias}, folder=tmp_path, opset=opset)
    check("QuickGelu", [x], folder=tmp_path, opset=opset, alpha=1.5)


@pytest.mark.parametrize("swapped", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_fused_matmul(tmp_path: Path, swapped: tuple[int, int]) -> None:
    a, b = real(2, 3, 4), real(2, 4, 5)
    a, b = (np.ascontiguousarray(x.swapaxes(1, 2)) if s else x for x, s in zip((a, b), swapped, strict=True))
    check("FusedMatMul", [a, b], folder=tmp_path, transA=swapped[0], transB=swapped[1], alpha=0.25)


@pytest.mark.parametrize("opset", [13, 17])
def test_skip_layer_normalizations(tmp_path: Path, opset: int) -> None:
    x, skip = real(2, 3, 8), real(2, 3, 8)
    weights = {2: real(8), 3: real(8)}
    check("SkipLayerNormalization", [x, skip], weights, folder=tmp_path, opset=opset, epsilon=1e-5)
    check("SkipLayerNormalization", [x, skip], {**weights, 4: real(8)}, folder=tmp_path, opset=opset)
    check("SkipSimplifiedLayerNormalization", [x, skip], {2: real(8)}, folder=tmp_path, opset=opset, epsilon=1e-6)


@pytest.mark.parametrize("masked", [False, True])
def test_embed_layer_normalization(tmp_path: Path, masked: bool) -> None:
    ids, segments = (RNG.integers(0, n, (2, 4)).astype(np.int32) for n in (9, 2))
    weights = {2: real(9, 6), 3: real(7, 6), 4: real(2, 6), 5: real(6), 6: real(6)}
    mask = np.array([[1, 1, 1, 0], [1, 1, 0, 0]], np.int32)
    inputs: list[Array | None] = [ids, segments, *[None] * 5, *([mask] if masked else [])]
    check("EmbedLayerNormalization", inputs, weights, outputs=2, folder=tmp_path)


@pytest.mark.parametrize("mask", [None, "lengths", "kept", "causal"])
def test_attention(tmp_path: Path, mask: str | None) -> None:
    x, weights = real(2, 4, 8), {1: 0.3 * real(8, 24), 2: real(24)}
    masks = {"lengths": np.array([4, 2], np.int32), "kept": np.array([[1, 1, 0, 1], [1, 0, 0, 0]], np.int32)}
    inputs: list[Array | None] = [x, None, None, masks.get(mask or "")]
    check("Attention", inputs, weights, folder=tmp_path, num_heads=2, unidirectional=int(mask == "causal"))


def test_attention_with_a_past(tmp_path: Path) -> None:
    inputs: list[Array | None] = [real(2, 3, 8), None, None, None, real(2, 2, 2, 5, 4)]
    weights = {1: 0.3 * real(8, 24), 2: real(24)}
    check("Attention", inputs, weights, outputs=2, folder=tmp_path, num_heads=2, unidirectional=1)


@pytest.mark.parametrize("form", ["plain", "bias", "padding", "added", "past"])
def test_multi_head_attention(tmp_path: Path, form: str) -> None:
    inputs: list[Array | None] = [real(2, 3, 8), real(2, 5, 8), real(2, 5, 8)]
    weights = {3: real(24)} if form == "bias" else {}
    if form == "padding":
        inputs += [None, np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 0]], np.int32)]
    if form == "added":
        inputs += [None, None, real(1, 2, 3, 5)]
    if form == "past":
        inputs += [None, None, None, real(2, 2, 4, 4), real(2, 2, 4, 4)]
    outputs = 3 if form == "past" else 1
    check("MultiHeadAttention", inputs, weights, outputs=outputs, folder=tmp_path, num_heads=2)


@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize("offset", [False, True])
def test_rotary_embedding(tmp_path: Path, interleaved: int, offset: bool) -> None:
    at = np.array([2], np.int64) if offset else np.array([[0, 2, 1], [3, 4, 5]], np.int64)
    weights = {2: np.cos(real(8, 2)), 3: np.sin(real(8, 2))}
    check("RotaryEmbedding", [real(2, 3, 8), at], weights, folder=tmp_path, interleaved=interleaved)
    check("RotaryEmbedding", [real(2, 2, 3, 4), at], weights, folder=tmp_path, interleaved=interleaved)


def _bytes(*shape: int) -> Array:
    return RNG.integers(0, 256, shape).astype(np.uint8)


def _parameters(first: int, scale: float, zero: int) -> dict[int, Array]:
    return {first: np.array(scale, np.float32), first + 1: np.array(zero, np.uint8)}


def test_quantised_operators(tmp_path: Path) -> None:
    a, b = _bytes(2, 3, 4, 5), _bytes(2, 3, 4, 5)
    both = {**_parameters(1, 0.02, 120), **_parameters(4, 0.03, 7), **_parameters(6, 0.05, 100)}
    check("QLinearAdd", [a, None, None, b], both, folder=tmp_path)
    check("QLinearMul", [a, None, None, b], both, folder=tmp_path)
    one = {**_parameters(1, 0.02, 120), **_parameters(3, 0.01, 128)}
    check("QLinearGlobalAveragePool", [a], one, folder=tmp_path)
    check("QLinearGlobalAveragePool", [a], one, folder=tmp_path, channels_last=1)
    check("QLinearSigmoid", [a], one, folder=tmp_path)
    check("QLinearLeakyRelu", [a], one, folder=tmp_path, alpha=0.1)
    joined = {**_parameters(0, 0.05, 90), **_parameters(3, 0.02, 120), **_parameters(6, 0.03, 7)}
    check("QLinearConcat", [None, None, a, None, None, b], joined, folder=tmp_path, axis=1)


@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("turned", [False, True])
def test_qgemm(tmp_path: Path, caplog: pytest.LogCaptureFixture, columns: bool, turned: bool) -> None:
    a, alpha = _bytes(5, 8), 1.0 if columns else 0.5
    draw = np.random.default_rng(3)
    weight = draw.integers(-127, 127, (4, 8) if turned else (8, 4)).astype(np.int8)
    shape = (4,) if columns else ()
    of_weight = {4: draw.uniform(0.01, 0.02, shape).astype(np.float32), 5: np.zeros(shape, np.int8)}
    bias = {6: draw.integers(-900, 900, 4).astype(np.int32)}
    known = {**_parameters(1, 0.02, 120), 3: weight, **of_weight, **bias}
    check("QGemm", [a], {**known, **_parameters(7, 0.05, 100)}, folder=tmp_path, transB=int(turned), alpha=alpha)
    check("QGemm", [a], known, folder=tmp_path, transB=int(turned), alpha=alpha)
    del known[6]
    check("QGemm", [a], {**known, **_parameters(7, 0.05, 100)}, folder=tmp_path, transB=int(turned))
    assert not caplog.records


@pytest.mark.parametrize("turned", [(0, 0), (1, 0), (0, 1)])
def test_gemm_of_float64(tmp_path: Path, turned: tuple[int, int]) -> None:
    draw = np.random.default_rng(5)
    a = draw.standard_normal((7, 3) if turned[0] else (3, 7))
    weights = {1: draw.standard_normal((5, 7) if turned[1] else (7, 5)), 2: draw.standard_normal(5)}
    more: dict[str, Any] = {"folder": tmp_path, "domain": "", "transA": turned[0], "transB": turned[1]}
    check("Gemm", [a], weights, **more)
    check("Gemm", [a], weights, **more, alpha=0.5, beta=2.0)
    check("Gemm", [a], {1: weights[1]}, **more, tolerance=1e-13)


@pytest.mark.parametrize("op", ["Sigmoid", "Tanh"])
def test_activations_of_float64(tmp_path: Path, op: str) -> None:
    x = np.concatenate([np.linspace(-30, 30, 601), [0.0, 1e-9, -1e-9, 800.0, -800.0, np.inf, -np.inf, np.nan]])
    check(op, [x], tolerance=1e-15, domain="", folder=tmp_path)


@pytest.mark.parametrize("by_column", [False, True])
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_dynamic_lstm(tmp_path: Path, direction: str, by_column: bool) -> None:
    """ONNX Runtime rounds the input and the state, too: the tolerance is that of eight bits."""
    draw, hidden, count = np.random.default_rng(4), 12, 1 + (direction == "bidirectional")
    scales, weights = (count, 4 * hidden) if by_column else (count,), {}
    for at, size in enumerate((6, hidden)):
        weights[1 + at] = draw.integers(0, 256, (count, size, 4 * hidden)).astype(np.uint8)
        weights[8 + 2 * at] = draw.uniform(0.002, 0.004, scales).astype(np.float32)
        weights[9 + 2 * at] = np.full(scales, 126 + at, np.uint8)
    weights[3] = draw.standard_normal((count, 8 * hidden)).astype(np.float32) / 4
    x = draw.standard_normal((5, 2, 6)).astype(np.float32)
    more: dict[str, Any] = {"hidden_size": hidden, "direction": direction, "outputs": 3}
    check("DynamicQuantizeLSTM", [x], weights, **more, tolerance=0.02, folder=tmp_path)
