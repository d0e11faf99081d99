"""Operands of a Concat that are far apart are evened out where that leaves less noise; the float model stays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from edgeort.model import load
from edgeort.quantize import Options, quantize
from edgeort.quantize.concats import factors
from tests.quantize.models import Net, save

SIDE, CHANNELS = 8, 12


def joined(
    apart: float,
    *,
    large_readers: bool = True,
    behind: str = "Conv",
    kernels: Sequence[int] = (1,),
    is_output: bool = False,
) -> onnx.ModelProto:
    """Two convolutions, one with results `apart` times as large, a Concat, and the convolutions of `kernels` behind it.

    With `large_readers` the weights of the smaller operand are as much larger, as trained ones are where both matter.
    `is_output`: what the Concat makes is an output of the model, too.
    """
    net = Net()
    a = net.op("Relu", net.conv("x", 3, CHANNELS, 3))
    net.constants[-1].CopyFrom(onnx.numpy_helper.from_array(np.zeros(CHANNELS, np.float32), net.constants[-1].name))
    weight = net.constant(onnx.numpy_helper.to_array(net.constants[-2]) / apart)
    b = net.op("Relu", net.op("Conv", "x", weight, pads=[1] * 4))
    both = net.op("Concat", a, b, axis=1)
    if behind == "Resize":
        both = net.op("Resize", both, "", net.constant(np.array([1, 1, 2, 2], np.float32)), mode="nearest")
    pooled = []
    for kernel in kernels:
        readers = net.rng.standard_normal((10, 2 * CHANNELS, kernel, kernel)).astype(np.float32) / 5
        readers[:, CHANNELS:] *= apart if large_readers else 1
        last = net.op("Conv", both, net.constant(readers), pads=[kernel // 2] * 4)
        pooled.append(net.op("GlobalAveragePool", last))
    model = net.model(net.op("Sum", *pooled), [1, 3, SIDE, SIDE], [1, 10, 1, 1])
    if is_output:
        model.graph.output.append(
            helper.make_tensor_value_info(both, onnx.TensorProto.FLOAT, [1, 2 * CHANNELS, SIDE, SIDE])
        )
    return model


def features(apart: float) -> onnx.ModelProto:
    """The same of two Gemms, one of which has its weights transposed, behind a pool."""
    net = Net()
    pooled = net.op("Flatten", net.op("GlobalAveragePool", net.op("Relu", net.conv("x", 3, CHANNELS, 3))))
    a = net.op("Relu", net.op("Gemm", pooled, net.weight(CHANNELS, CHANNELS), transB=1))
    small = net.constant(net.rng.standard_normal((CHANNELS, CHANNELS)).astype(np.float32) / 3 / np.float32(apart))
    both = net.op("Concat", a, net.op("Relu", net.op("Gemm", pooled, small)), axis=-1)
    readers = net.rng.standard_normal((2 * CHANNELS, 10)).astype(np.float32) / 5
    readers[CHANNELS:] *= apart
    return net.model(net.op("Gemm", both, net.constant(readers)), [1, 3, SIDE, SIDE], [1, 10])


def samples(count: int) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(3)
    return [{"x": rng.standard_normal((1, 3, SIDE, SIDE)).astype(np.float32)} for _ in range(count)]


def sqnr(folder: Path, model: onnx.ModelProto, **options: object) -> tuple[float, list[str]]:
    """In dB, and the operators of the int8 model."""
    made = quantize(save(folder / "m.onnx", model), folder / "q.onnx", samples(24), Options(**options))  # type: ignore[arg-type]
    return made.differences[0].sqnr_db, [node.op_type for node in load(folder / "q.onnx").graph]


@pytest.mark.parametrize("runtime", ["onnx", "edgeort"])
def test_operands_far_apart_cost_no_accuracy(tmp_path: Path, runtime: str) -> None:
    alike, _ = sqnr(tmp_path, joined(1), runtime=runtime)
    apart, ops = sqnr(tmp_path, joined(100), runtime=runtime)
    assert apart > alike - 3 and ops.count("Mul") == 1


def test_readers_may_have_other_kernels(tmp_path: Path) -> None:
    apart, ops = sqnr(tmp_path, joined(100, kernels=(1, 3)))
    assert apart > sqnr(tmp_path, joined(1, kernels=(1, 3)))[0] - 3 and ops.count("Mul") == 1


def test_features_of_gemms(tmp_path: Path) -> None:
    apart, ops = sqnr(tmp_path, features(100))
    assert apart > sqnr(tmp_path, features(1))[0] - 3 and ops.count("Mul") == 1


@pytest.mark.parametrize(
    "model",
    [
        joined(1),
        joined(6),
        joined(100, large_readers=False),
        joined(100, behind="Resize"),
        joined(100, is_output=True),
    ],
    ids=["alike", "near", "unimportant", "not read by layers alone", "an output"],
)
def test_others_stay(tmp_path: Path, model: onnx.ModelProto) -> None:
    assert "Mul" not in sqnr(tmp_path, model)[1]


def test_ranges_are_saved_of_the_model_as_it_is(tmp_path: Path) -> None:
    saved = tmp_path / "ranges.json"
    first, _ = sqnr(tmp_path, joined(100), save_ranges=saved)
    again, ops = sqnr(tmp_path, joined(100), ranges=saved)
    assert again == pytest.approx(first, abs=1.0) and ops.count("Mul") == 1
    assert "_even" not in saved.read_text()


def test_factors_are_powers_of_two_of_the_small_operands() -> None:
    ones = np.ones((4, 8))
    found = factors([100.0, 1.0], [[ones, 100 * ones]])
    assert found is not None and found[0] == 1 and np.log2(found[1]) % 1 == 0 and 32 <= found[1] <= 128
    assert factors([100.0, 1.0], [[ones, ones]]) is None
    assert factors([7.0, 1.0], [[ones, 7 * ones]]) is None
    assert factors([100.0, 0.0], [[ones, ones]]) is None
    assert factors([1e4, 1.0], [[ones, np.ones((4, 64))]]) is None  # next to nothing is lost with all of it
