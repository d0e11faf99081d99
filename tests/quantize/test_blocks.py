"""Weights of four bits: the grids, their rounding, and models that ONNX Runtime runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeort import InferenceSession
from edgeort.quantize import Options, blocks, compare, quantize
from edgeort.quantize.forms import Form
from tests.quantize.models import Net, save

WIDTH = 72  # not a multiple of a block


def weights(seed: int, outputs: int, d: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((outputs, d)).astype(np.float32)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 100), st.sampled_from(blocks.SIZES), st.booleans())
def test_grids(seed: int, d: int, size: int, signed: bool):
    rows = weights(seed, 3, d)
    grid, error = blocks.fit(rows, size, signed)
    q = grid.round(rows)
    assert grid.least <= q.min() and q.max() <= grid.least + blocks.LEVELS
    assert (q.astype(grid.dtype).astype(np.int8) == q).all()
    off = np.abs(grid.numbers(q) - rows)
    squares = float((off.astype(np.float64) ** 2).sum())
    assert squares <= error * 1.001 + 1e-9, "rounding to the nearest is no worse than what the search saw"
    scale = np.abs(rows).max() / 7
    whole = np.clip(np.rint(rows / scale), -8, 7) * scale
    assert d < 2 * size or squares < ((whole - rows) ** 2).sum(), "one scale for all is worse"
    assert grid.scales.shape == grid.zeros.shape == (3, -(-d // size)) and (grid.scales > 0).all()


def test_the_better_kind_is_taken():
    rows = weights(0, 4, 64)
    assert not blocks.search(np.abs(rows), 32).signed, "a zero point serves weights of one sign"
    levels = np.random.default_rng(0).integers(-8, 8, (4, 64)).astype(np.float32)
    levels[:, ::8] = -8
    exact = blocks.search(levels, 32)
    assert np.allclose(exact.numbers(exact.round(levels)), levels, atol=0.3)


def test_nothing_but_zeros():
    grid = blocks.search(np.zeros((2, 40), np.float32), 32)
    assert np.isfinite(grid.scales).all() and not grid.numbers(grid.round(np.zeros((2, 40)))).any()


def test_what_inputs_make_large_is_kept_closer():
    rows, importance = weights(3, 8, 32), np.ones(32)
    importance[:4] = 1000
    for signed in (True, False):
        plain, weighed = (blocks.fit(rows, 32, signed, how)[0] for how in (None, importance))
        errors = [((grid.numbers(grid.round(rows)) - rows)[:, :4] ** 2).sum() for grid in (plain, weighed)]
        assert errors[1] < errors[0]


def test_a_covariance_rounds_better():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 64)) + 3 * rng.standard_normal((400, 1))
    rows, covariance = weights(1, 16, 64), x.T @ x / 400
    grid = blocks.search(rows, 32)

    def loss(q: np.ndarray) -> float:
        error = grid.numbers(q) - rows
        return float(np.einsum("oi,ij,oj->", error, covariance, error))

    q = grid.round(rows, covariance)
    assert grid.least <= q.min() and q.max() <= grid.least + blocks.LEVELS
    assert loss(q) < 0.5 * loss(grid.round(rows))


def perceptron() -> onnx.ModelProto:
    """A MatMul with an Add, a Gemm with its weight transposed, a Conv and a table are not of one kind."""
    net = Net()
    hidden = net.op("Relu", net.op("Add", net.op("MatMul", "x", net.weight(WIDTH, 40)), net.weight(40)))
    return net.model(net.op("Gemm", hidden, net.weight(24, 40), net.weight(24), transB=1), ["n", WIDTH], ["n", 24])


def rows(seed: int, count: int = 40) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(5).standard_normal((8, WIDTH))
    return [{"x": (rng.standard_normal((9, 8)) @ mixing).astype(np.float32)} for _ in range(count)]


@pytest.mark.parametrize("block", [16, 32, 128])
def test_a_model(tmp_path: Path, block: int):
    path, out = save(tmp_path / "m.onnx", perceptron()), tmp_path / "q.onnx"
    result = quantize(path, out, options=Options(weights="int4", block=block))
    assert result.forms == {"int4 weights": 2} and not result.differences
    made = onnx.load(out)
    onnx.checker.check_model(made, full_check=True)
    assert made.opset_import[0].version == 21 and made.ir_version >= 10
    restored = [node for node in made.graph.node if node.op_type == "DequantizeLinear"]
    found = [{a.name: a.i for a in node.attribute} for node in restored]
    assert found == [{"axis": 0, "block_size": block}, {"axis": 1, "block_size": block}]
    assert result.output_bytes < 0.5 * result.model_bytes
    (plain,) = compare(path.read_bytes(), out.read_bytes(), rows(1), fuse_qdq=False)
    quantize(path, out, rows(2), Options(weights="int4", block=block))
    (fitted,) = compare(path.read_bytes(), out.read_bytes(), rows(1), fuse_qdq=False)
    assert plain.sqnr_db > 12 and fitted.sqnr_db > plain.sqnr_db + 5


def test_weights_in_a_file_beside_the_model_become_part_of_it(tmp_path: Path):
    (tmp_path / "from").mkdir()
    path, out = tmp_path / "from" / "m.onnx", tmp_path / "q.onnx"
    onnx.save(perceptron(), path, save_as_external_data=True, location="m.data", size_threshold=0)
    quantize(path, out, options=Options(weights="int4"))
    (path.parent / "m.data").unlink()
    assert InferenceSession(out).run(None, rows(1, 1)[0])[0].shape == (9, 24)


@pytest.mark.parametrize("block", [16, 32])
@pytest.mark.parametrize("positive", [False, True])  # weights of one sign have zero points
def test_rows_become_bytes_in_the_same_blocks(tmp_path: Path, block: int, positive: bool):
    proto = perceptron()
    if positive:
        for tensor in proto.graph.initializer:
            array = np.abs(onnx.numpy_helper.to_array(tensor))
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    path, floats, out = save(tmp_path / "m.onnx", proto), tmp_path / "f.onnx", tmp_path / "q.onnx"
    quantize(path, floats, rows(2), Options(weights="int4", block=block))
    result = quantize(path, out, rows(2), Options(weights="int4", block=block, activations=Form.DYNAMIC))
    assert result.forms == {"int4 weights": 2}
    made = [node for node in onnx.load(out).graph.node if node.op_type == "MatMulNBits"]
    assert [{a.name: a.i for a in node.attribute}["accuracy_level"] for node in made] == [4, 4]
    assert not any(node.op_type == "DequantizeLinear" for node in onnx.load(out).graph.node)
    assert out.stat().st_size <= floats.stat().st_size * 1.5
    (lost,) = compare(floats.read_bytes(), out.read_bytes(), rows(1))
    assert 30 < lost.sqnr_db < 60, "bytes lose little of what four bits do"
    session, x = InferenceSession(out), rows(1, 1)[0]
    want = ort.InferenceSession(str(out), providers=["CPUExecutionProvider"]).run(None, x)[0]
    np.testing.assert_allclose(session.run(None, x)[0], want, atol=2e-3 * np.abs(want).max())
    assert sum(node.op == "BlockQGemm" for node in session.nodes) == 2
