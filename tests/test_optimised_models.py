"""What ONNX Runtime's optimiser and quantiser write into a graph, against ONNX Runtime's kernels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest

import edgeort
from edgeort.ort import open_session
from tests.test_bodies import RNG, check, real

F32 = np.float32


def integers(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    """Of any value."""
    info = np.iinfo(dtype)
    return RNG.integers(info.min, info.max + 1, shape).astype(dtype)


def both(folder: Path, proto: onnx.ModelProto, **feeds: np.ndarray) -> edgeort.InferenceSession:
    """Compares a whole model, of integers within one step."""
    (want,) = open_session(proto.SerializeToString()).run(None, feeds)
    path = folder / "model.onnx"
    onnx.save(proto, path)
    session = edgeort.InferenceSession(path, threads=1)
    (got,) = session.run(None, feeds)
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got.astype(F32), want.astype(F32), atol=1 if want.dtype.kind == "u" else 1e-5)
    return session


@pytest.mark.parametrize(
    ("activation", "parameters"),
    [("Relu", []), ("Tanh", []), ("LeakyRelu", [0.2]), ("Clip", [-0.5, 1.0]), ("HardSigmoid", [0.3, 0.4])],
)
def test_fused_conv(tmp_path: Path, activation: str, parameters: list[float]) -> None:
    weights = {1: real(4, 3, 3, 3), 2: real(4)}
    more = {"activation_params": parameters} if parameters else {}
    check("FusedConv", [real(1, 3, 6, 7)], weights, folder=tmp_path, pads=[1, 1, 1, 1], activation=activation, **more)


def test_fused_conv_without_an_activation(tmp_path: Path) -> None:
    check("FusedConv", [real(1, 3, 6, 7)], {1: real(4, 3, 3, 3), 2: real(4)}, folder=tmp_path)


def test_fused_conv_with_a_sum(tmp_path: Path) -> None:
    inputs = [real(1, 3, 6, 7), None, None, real(1, 4, 3, 3)]
    weights = {1: real(4, 3, 3, 3), 2: real(4)}
    check("FusedConv", inputs, weights, folder=tmp_path, strides=[2, 2], pads=[1, 1, 0, 0], activation="Relu")


def test_fused_gemm(tmp_path: Path) -> None:
    weights = {1: real(5, 8), 2: real(5)}
    check("FusedGemm", [real(3, 8)], weights, folder=tmp_path, transB=1, activation="Relu")
    more = {"activation": "LeakyRelu", "activation_alpha": 0.3}
    check("FusedGemm", [real(3, 8)], weights, folder=tmp_path, transB=1, alpha=0.5, **more)


def test_fused_matmul_with_rows_before_the_batch(tmp_path: Path) -> None:
    a, b = real(4, 3, 8), real(8, 3, 6)
    check("FusedMatMul", [a, b], folder=tmp_path, transBatchA=1, transBatchB=1, alpha=0.5)
    check("FusedMatMul", [real(8, 3, 4), b], folder=tmp_path, transBatchA=1, transA=1, transBatchB=1)


def test_old_names(tmp_path: Path) -> None:
    x = real(5, 8)
    check("Trilu", [x], folder=tmp_path, upper=0)
    check("GatherND", [x], {1: np.array([[1, 2], [4, 0]])}, folder=tmp_path)
    check("Pad", [x], {1: np.array([1, 0, 0, 2])}, folder=tmp_path)
    check("Pad", [x], {1: np.array([[1, 0, 0, 2]])}, folder=tmp_path)
    check("ExpandDims", [x], {1: np.array([1], np.int32)[0]}, folder=tmp_path)


def test_products_of_integers(tmp_path: Path) -> None:
    w, scales = integers(16, 8, dtype=np.int8), np.abs(real(8))
    check("DynamicQuantizeMatMul", [real(3, 16)], {1: w, 2: scales, 4: real(8)}, folder=tmp_path)
    weights = {1: w, 2: F32(0.1), 3: F32(0.02), 4: np.uint8(99), 5: np.int8(3)}
    check("MatMulIntegerToFloat", [integers(3, 16)], weights, folder=tmp_path)
    weights = {1: w, 2: F32(0.1), 3: scales, 6: real(8)}
    check("MatMulIntegerToFloat", [integers(3, 16)], weights, folder=tmp_path, tolerance=1e-4)


@pytest.mark.parametrize("mask", [[3, 5], [3, 5, 0, 1]])
@pytest.mark.parametrize("causal", [0, 1])
def test_attention_of_integers(tmp_path: Path, causal: int, mask: list[int]) -> None:
    """Masks of lengths, and of ends and beginnings."""
    weights = {1: integers(16, 48, dtype=np.int8), 2: real(48), 3: F32(0.02), 4: F32(0.01), 6: np.uint8(99)}
    inputs = [integers(2, 5, 16), None, None, None, None, np.array(mask, np.int32)]
    check("QAttention", inputs, weights, folder=tmp_path, num_heads=4, unidirectional=causal)


def test_quantised_pools_and_softmax(tmp_path: Path) -> None:
    given = {1: F32(0.1), 2: np.uint8(99), 3: F32(0.05), 4: np.uint8(30)}
    window = {"kernel_shape": [2, 2], "strides": [2, 2]}
    check("QLinearAveragePool", [integers(1, 3, 6, 6)], given, folder=tmp_path, **window)
    check("NhwcMaxPool", [integers(1, 6, 6, 8)], folder=tmp_path, **window)
    text = """<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]> g (uint8[n,9] x) => (uint8[n,9] y)
      <float s = {0.1}, uint8 z = {99}, float t = {0.00390625}, uint8 o = {0}>
      { y = com.microsoft.QLinearSoftmax<axis=-1, opset=13>(x, s, z, t, o) }"""
    session = both(tmp_path, onnx.parser.parse_model(text), x=integers(3, 9))
    assert session.get_outputs()[0].type == "tensor(uint8)"


@pytest.mark.parametrize("opset", [12, 14, 17])
@pytest.mark.parametrize("name", ["LayerNormalization", "SimplifiedLayerNormalization"])
def test_normalisations_in_the_domain_of_onnx_before_it_has_them(tmp_path: Path, name: str, opset: int) -> None:
    """As optimised models have them, inside and outside of bodies."""
    text = f"""<ir_version: 8, opset_import: ["" : {opset}]> g (float[n,3,8] x, bool c) => (y) {{
        z = {name}<axis=-1, epsilon=0.001>(x, s)  y = If (c) <
          then_branch = t () => (p) {{ p = {name}<axis=-1>(z, b) }}, else_branch = e () => (q) {{ q = Neg(z) }}> }}"""
    proto = onnx.parser.parse_model(text)
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(real(8), entry) for entry in ("s", "b"))
    for flag in (True, False):
        both(tmp_path, proto, x=real(2, 3, 8), c=np.array(flag))


@pytest.mark.parametrize("last", [(), (1,), (2,)])
@pytest.mark.parametrize("length", [15, 16, 520])
@pytest.mark.parametrize("windowed", [False, True])
def test_stft(tmp_path: Path, length: int, last: tuple[int, ...], windowed: bool) -> None:
    """PyTorch writes signals without a last axis; short frames of real ones become a product.

    Against NumPy in float64, as ONNX Runtime's own transform of 520 is off by 4e-5 of the largest.
    """
    onesided, step, window = int(last != (2,)), length // 2, np.abs(real(length))
    dims = ",".join(["b", "n", *map(str, last)])
    text = f"""<ir_version: 8, opset_import: ["" : 17]> g (float[{dims}] x) => (y) <int64 step = {{{step}}},
      int64 size = {{{length}}}> {{ y = STFT<onesided={onesided}>(x, step, {"window" if windowed else ""}, size) }}"""
    proto = onnx.parser.parse_model(text)
    if windowed:
        proto.graph.initializer.append(onnx.numpy_helper.from_array(window, "window"))
    path, x = tmp_path / "model.onnx", real(2, 3 * length + 1, *last)
    onnx.save(proto, path)
    (got,) = edgeort.InferenceSession(path, threads=1).run(None, {"x": x})
    signal = x[..., 0] + 1j * x[..., 1] if last == (2,) else x.reshape(2, -1).astype(np.float64)
    starts = range(0, signal.shape[1] - length + 1, step)
    frames = np.stack([signal[:, k : k + length] * (window if windowed else 1) for k in starts], axis=1)
    want = np.fft.fft(frames)[..., : length // 2 + 1 if onesided else length]
    assert got.shape == (*want.shape, 2)
    np.testing.assert_allclose(got[..., 0] + 1j * got[..., 1], want, atol=2e-6 * np.abs(want).max(), rtol=0)
