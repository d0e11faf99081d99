"""float16 storage: what is stored, what stays float32 and why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgeort.errors import BudgetError
from edgeort.quantize import Budget, Options, quantize
from edgeort.quantize.half_floats import refusal
from tests.quantize.models import Net, mobile, samples, save

RNG = np.random.default_rng(0)


def test_refusals():
    numbers = RNG.standard_normal((40, 40)).astype(np.float32)
    assert refusal(numbers) is None
    numbers[3, 5] = 65519  # the largest that rounds to float16's largest
    assert refusal(numbers) is None
    numbers[3, 5] = 65520
    assert "as large" in str(refusal(numbers))
    numbers[3, 5] = np.inf
    assert "as large" in str(refusal(numbers))
    small = RNG.standard_normal((40, 40)).astype(np.float32)
    assert refusal(small * 1e-3) is None and "so small" in str(refusal(small * 1e-7))
    assert "100.00%" in str(refusal(small * 1e-12))
    assert refusal(small * 0) is None


def two(first: float) -> onnx.ModelProto:
    """Two products; the weights of the first are multiplied by `first`."""
    net = Net()
    weights = [net.constant(RNG.standard_normal((48, 48)).astype(np.float32) * np.float32(f)) for f in (first, 1)]
    return net.model(net.op("MatMul", net.op("MatMul", "x", weights[0]), weights[1]), ["n", 48], ["n", 48])


def test_a_tensor_out_of_range_stays(tmp_path: Path):
    path, out = save(tmp_path / "m.onnx", two(1e5)), tmp_path / "h.onnx"
    result = quantize(path, out, options=Options(weights="float16"))
    assert result.layers == 1 and list(result.left) == ["c0"] and "as large" in result.left["c0"]
    kinds = {t.name: t.data_type for t in onnx.load(out).graph.initializer}
    assert sorted(kinds.values()) == [onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16]


def test_a_model(tmp_path: Path):
    path, out = save(tmp_path / "m.onnx", mobile(width=64)), tmp_path / "h.onnx"
    result = quantize(path, out, samples(8), Options(weights="float16", budget=Budget(sqnr_db=50)))
    onnx.checker.check_model(onnx.load(out), full_check=True)
    assert result.output_bytes < 0.6 * result.model_bytes and result.forms == {"float16 weights": result.layers}
    assert 55 < result.differences[0].sqnr_db < 90
    assert "QuantizeLinear" not in {node.op_type for node in onnx.load(out).graph.node}
    one = quantize(path, out, options=Options(weights="float16", exclude=["n2"]))
    assert one.layers == result.layers - 1
    with pytest.raises(BudgetError, match="not kept with float16 weights"):
        quantize(path, tmp_path / "no.onnx", samples(8), Options(weights="float16", budget=Budget(sqnr_db=120)))
    assert not (tmp_path / "no.onnx").exists()
